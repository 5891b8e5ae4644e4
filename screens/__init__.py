"""Full screens: each owns its state and answers the messages of its widgets."""
