"""Cellxpert: which affiliate a client came from, what it is owed, and doubts about the client."""
