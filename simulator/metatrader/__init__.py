"""A trading server's SQL export: real tables, filled from the story."""
