"""The lab: a real Compose stack on a real engine, with one switch per fault."""
