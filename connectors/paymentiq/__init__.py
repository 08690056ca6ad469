"""PaymentIQ (Worldline): every payment attempt of a cashier, listed by last update."""
