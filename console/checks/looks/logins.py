"""Failed log-ins over ssh: from the journal, else from the log file of the system."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from console.checks import files
from console.checks.check import Finding, Suggestion, advice
from console.checks.diagnosis import Looked
from console.checks.made import count, listed
from console.checks.scene import Scene
from console.config import Limits
from console.errors import SourceError
from console.programs.running import run_program
from console.watch.logstamp import StampReader

WINDOW = 600  # seconds
_DEADLINE = 3.0  # seconds; a big journal takes about one
_PLACES = (Path("/var/log/auth.log"), Path("/var/log/secure"))
_TAIL = 1 << 19  # bytes
_FAILED = re.compile(r"Failed (?:password|keyboard-interactive\S*|none) for .*? from (\S+)")
# Where passwords are switched off, a try ends with these.
_TURNED_AWAY = re.compile(
    r"Invalid user .*? from (\S+)|Connection (?:closed|reset) by (?:authenticating|invalid) user \S* (\S+)"
)
_UNREADABLE = re.compile(r"No journal files|insufficient permissions|not seeing messages", re.IGNORECASE)
_JOURNAL = ("journalctl", "--quiet", "--no-pager", "--output=cat", f"--since=-{WINDOW}s", "--lines=20000")


async def look(scene: Scene) -> Looked:
    """Raises SourceError when an ssh server runs and nothing tells of its log-ins."""
    lines = await _journal()
    if lines is None:
        lines = await files.look(lambda: tail(_PLACES, scene.now))
    server = lines is not None or await files.look(_server)
    return verdict(lines, server, scene.config.thresholds.get("failed_logins", Limits()))


def verdict(lines: Iterable[str] | None, server: bool, limit: Limits) -> Looked:
    """`lines` None: nothing that tells could be read. Raises SourceError as `look`."""
    if lines is None:
        if server:
            remedy = "Run sevdeck as root, or in the group systemd-journal or adm"
            raise SourceError("neither the journal nor the log file of sshd can be read", remedy=remedy)
        return Looked(cleared="no ssh server runs here")
    sources = attempts(lines)
    found = judge(sources, limit)
    return Looked((found,) if found else (), f"{count(sum(sources.values()), 'failed log-in')} over ssh in 10 min")


async def _journal() -> list[str] | None:
    """What sshd said lately; None when this user cannot know."""
    ran = await run_program([*_JOURNAL, "--identifier=sshd", "--identifier=sshd-session"], deadline=_DEADLINE)
    if not ran.ok or _UNREADABLE.search(ran.error):
        return None
    whole = ran.out.decode("utf-8", "replace").splitlines()
    # Quiet hides the notice of missing rights, so an empty answer counts only where the journal has anything at all.
    if not whole:
        any_ = await run_program(["journalctl", "--quiet", "--no-pager", "--lines=1", "_UID=0"], deadline=_DEADLINE)
        return [] if any_.ok and any_.out.strip() else None
    return whole


def tail(places: Iterable[Path], now: float) -> list[str] | None:
    """Lines of the last 10 min of the first log file that can be read; None without one."""
    for place in places:
        try:
            with place.open("rb") as file:
                file.seek(max(0, file.seek(0, 2) - _TAIL))
                text = file.read(_TAIL).decode("utf-8", "replace")
        except OSError:
            continue
        return recent(text.splitlines(), now, lambda: now)
    return None


def recent(lines: Iterable[str], now: float, clock: Callable[[], float]) -> list[str]:
    """Those of the last 10 min; a line without a time belongs to none."""
    reader = StampReader(now=clock)
    found = []
    for line in lines:
        stamp = reader.find(line) if "sshd" in line else None
        if stamp is not None and 0 <= now - reader.seconds(stamp.when) <= WINDOW:
            found.append(line)
    return found


def _server() -> bool:
    """Whether an ssh server runs, as far as /proc tells."""
    for place in Path("/proc").glob("[0-9]*/comm"):
        try:
            if place.read_text().strip() == "sshd":
                return True
        except OSError:
            continue
    return False


def attempts(lines: Iterable[str]) -> Counter[str]:
    """Address -> failed tries. One try may leave two kinds of lines: the more frequent kind counts."""
    failed: Counter[str] = Counter()
    away: Counter[str] = Counter()
    for line in lines:
        if found := _FAILED.search(line):
            failed[found[1]] += 1
        elif found := _TURNED_AWAY.search(line):
            away[found[1] or found[2]] += 1
    return failed | away


def judge(sources: Counter[str], limit: Limits) -> Finding | None:
    bound = limit.warn if limit.warn is not None else limit.crit
    total = sum(sources.values())
    if bound is None or total <= bound:
        return None
    worst = sources.most_common(5)
    return advice(
        "security.logins",
        f"{total} failed log-ins over ssh in 10 min, most from {worst[0][0]}",
        [f"{number} from {source}" for source, number in worst],
        Suggestion(
            f"block {listed([source for source, _ in worst[:3]])}; allow keys only (PasswordAuthentication no)",
            "somebody tries passwords; look for one that succeeded: journalctl -u ssh | grep Accepted",
            "none",
            0.5,
            cost="people without a key cannot log in any more",
            falsified_by="the address is ours: a script with an old password",
        ),
    )
