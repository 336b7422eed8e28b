class CustomLogger:
    """A base class to derive from."""
