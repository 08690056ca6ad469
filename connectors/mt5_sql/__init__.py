"""MetaTrader 5 and 4, read from the SQL database their server exports to."""
