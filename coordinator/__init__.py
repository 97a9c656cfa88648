"""The coordinator binary. It imports neither torch nor anything that reads interactions."""
