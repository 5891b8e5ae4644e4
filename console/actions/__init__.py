"""CHANGE: everything that alters the host goes through here: planned, confirmed, locked, recorded, verified."""
