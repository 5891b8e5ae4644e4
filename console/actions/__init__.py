"""CHANGE: everything that alters the host is planned, confirmed, recorded and verified here."""
