"""Sumsub: one verification case a client, read again by its external user id."""
