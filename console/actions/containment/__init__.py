"""Containment: temporary measures that limit the damage, each with its way back, on a ledger that outlives everything."""
