"""REMEMBER: the incident as a fold over durable events."""
