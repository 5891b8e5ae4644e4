"""Programs for `[backup] hook` that are ready to use. Each needs only Python: it may be copied to where it runs."""
