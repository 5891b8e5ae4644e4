"""LEAD: playbooks and checklists."""
