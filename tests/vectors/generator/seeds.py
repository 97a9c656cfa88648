"""Where all randomness of the vectors comes from."""

import hashlib


def seeded(purpose: str) -> bytes:
    """Return 32 bytes that stand for fresh entropy in the vectors."""
    return hashlib.sha256(f"fecosr test vectors: {purpose}".encode()).digest()
