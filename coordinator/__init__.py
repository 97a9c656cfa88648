"""The coordinator binary. It can import neither torch nor anything that reads interactions (checked in tests)."""
