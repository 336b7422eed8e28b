class CustomLogger:
    """As 1.88 has it, without the hook for each failed attempt."""
