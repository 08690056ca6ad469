"""Tests of the connectors: a contract file a vendor, and a file of its traps."""
