"""Patterns of log messages: which lines say the same thing, how often, since when, and what is unusual about that."""
