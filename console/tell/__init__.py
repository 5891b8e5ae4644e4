"""REPORT: documents made from the record."""
