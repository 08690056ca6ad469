"""Salesforce as a destination: the official data API through simple-salesforce, guarded."""
