"""Real connectors over in-process fakes."""
