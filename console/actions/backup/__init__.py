"""Backups of the project's database: made, listed, verified, thrown away by rule, and read back."""
