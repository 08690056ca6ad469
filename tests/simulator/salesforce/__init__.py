"""The fake Salesforce, seen through simple-salesforce and plain HTTP."""
