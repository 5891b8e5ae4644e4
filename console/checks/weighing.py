"""What a suggestion costs to try, and what would show that it is wrong: for those that do not say it themselves.

Costs are those of the recovery levels on a stack of six services; a person who knows their own adds to them.
"""

from __future__ import annotations

from dataclasses import replace

from console.checks.check import Finding, Suggestion

# Check -> what would speak against its suggestion. {s} is what the finding is about.
_AGAINST = {
    "containers.loop": "{s} stays up with the release and settings it had before",
    "containers.oom_loop": "{s} dies with a higher limit, too",
    "containers.oom": "{s} is killed again within minutes: then it is a leak, or the limit is too low",
    "containers.oom_past": "its memory stays flat",
    "containers.exited": "{s} ends again at once: then its last log lines say why",
    "containers.stopped": "somebody stopped {s} on purpose",
    "containers.paused": "somebody paused {s} on purpose, to look at it",
    "containers.isolated": "somebody took {s} off the network on purpose",
    "containers.created": "the same service stays behind again: then its dependency is not well",
    "containers.restarting": "{s} dies again",
    "containers.health": "{s} is unwell again right after: then what it needs is the cause, or its data",
    "containers.memory": "its memory stays flat",
    "containers.cpu": "{s} is as busy right after a restart: then it is work, not a loop",
    "probes.fail": "{s} fails again right after: then what it needs is the cause, or its data",
    "probes.flapping": "it goes on coming and going after a restart",
    "probes.business": "it fails again right after one restart: then it is data or a release",
    "probes.slow": "what it waits for is slow, too",
    "probes.certificate": "another certificate is served there than the one that was renewed",
    "host.disk": "space does not stay free: then something goes on writing",
    "host.inodes": "inodes do not stay free: then something goes on writing files",
    "logs.disk_full": "the volume has free space and a quota is the limit",
    "host.memory": "memory is free again by itself",
    "database.connections": "the number stays as it is afterwards",
    "database.password": "the password in its environment is the one that the server knows",
    "database.cache_full": "memory falls by itself: keys expire",
    "metrics.limit": "the figure was as high at this hour last week",
    "logs.burst": "the same lines came while all was well",
    "logs.flood": "the same lines came while all was well",
    "sources.containers": "docker ps answers in another terminal",
}


def weighed(suggestion: Suggestion, cause: Finding, label: str) -> Suggestion:
    """With its cost and what would falsify it. `label`: the service the cause is about, "" for none."""
    cost = suggestion.cost or _cost(suggestion.action)
    against = suggestion.falsified_by or _AGAINST.get(cause.check, "").format(s=label or cause.subject)
    return replace(suggestion, cost=cost, falsified_by=against)


def _cost(action: str) -> str:
    """
    >>> _cost("recover:1:app"), _cost("recover:2:"), _cost("none")
    ('app is away for some seconds', 'everything is away for about a quarter of a minute', '')
    """
    kind, _, rest = action.partition(":")
    level, _, service = rest.partition(":")
    if kind != "recover":
        return ""
    if level == "1":
        return f"{service} is away for some seconds"
    if level in ("2", "3"):
        return "everything is away for about a quarter of a minute"
    return "what was written since the backup is set aside"
