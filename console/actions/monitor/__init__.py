"""The monitor: looks at what users see, for months, and recovers by itself up to the ceiling.

`episode` and `sentinel` decide and are pure; `sampler` and `engine` look; `record` and `heartbeat` write; `watch` is
the loop that joins them. Only `console.actions.climb` changes anything.
"""
