"""The broker's own client table, read by SQL."""
