"""Playbooks: content only, in YAML."""
