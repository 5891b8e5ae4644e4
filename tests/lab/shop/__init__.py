"""The shop that the lab breaks: runs in containers only."""
