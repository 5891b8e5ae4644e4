"""JUDGE: whether what was read is well, and what to do about it."""
