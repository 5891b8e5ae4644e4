"""Panes and controls: each sees records and messages only."""
