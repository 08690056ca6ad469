"""SOQL: the part of it a client of ours may send. What is left out answers 501."""
