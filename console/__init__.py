"""sevdeck: an incident console for Docker Compose hosts."""

__version__ = "0.1.0"
