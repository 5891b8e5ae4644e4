"""Decides: is it time to act, and if not, why not? It looks at nothing and does nothing. Pure; times are given.

Suspended means that nothing is begun, for a reason that is said. Frozen means that automation has done what it may
and a person is needed; it ends when it was well for ten samples.
"""

from __future__ import annotations

from dataclasses import dataclass

from console.actions.monitor.episode import CLOSE_GOOD, Episode, Sample


@dataclass(frozen=True, slots=True)
class Situation:
    """What else is going on, in words; "" and empty: nothing. `engine`: up, unknown, down, settling."""

    engine: str = "up"
    engine_detail: str = ""
    run: str = ""  # who holds the project
    hold: str = ""
    contained: tuple[str, ...] = ()
    starting: tuple[str, ...] = ()  # within the start period of a first start
    unwritable: str = ""  # why nothing can be recorded

    @property
    def reason(self) -> str:
        """Why nothing may be begun now; "" when something may."""
        if self.engine == "down":
            return f"the Docker engine does not answer: {self.engine_detail}".removesuffix(": ")
        if self.engine != "up":
            return (
                "the Docker engine came back a moment ago"
                if self.engine == "settling"
                else "the Docker engine has not answered yet"
            )
        if self.run:
            return self.run
        if self.hold:
            return f"changes are on hold: {self.hold}"
        if self.contained:
            return f"{', '.join(self.contained)} held in deliberate containment"
        if self.starting:
            return f"{', '.join(self.starting)} within the start period"
        return f"nothing can be recorded: {self.unwritable}" if self.unwritable else ""


@dataclass(frozen=True, slots=True)
class Happening:
    """Something to tell. `kind`: bad, good, opened, closed, flapping, steady, suspended, resumed, frozen, thawed."""

    kind: str
    text: str
    page: bool = False  # a person is needed


class Sentinel:
    """Give it samples, the situation and the ends of climbs; ask `act` whether to begin one."""

    def __init__(self, frozen: str = "") -> None:
        self.episode = Episode()
        self.frozen = frozen
        self.climbing = False
        self.suspended = ""
        self._free_since = float("-inf")  # since when nothing suspends: older trouble is seen again before it counts

    @property
    def state(self) -> str:
        """One word for the heartbeat."""
        if self.climbing:
            return "recovering"
        if self.suspended:
            return "suspended"
        if self.episode.flapping:
            return "flapping"
        if self.frozen:
            return "frozen"
        return "episode" if self.episode.open else "watching"

    @property
    def close_look(self) -> bool:
        """Trouble that nobody has decided about yet: look more often."""
        decided = self.frozen or self.suspended or self.episode.flapping
        return self.episode.suspicious and not self.climbing and not (self.episode.open and decided)

    def step(self, now: float, situation: Situation, sample: Sample | None = None) -> list[Happening]:
        """Take what is newly known. Samples of the time while somebody changes things are not counted."""
        found = self._suspend(now, situation)
        if sample is None or self.climbing or situation.run:
            return found
        before = self.episode.last
        changed = self.episode.take(sample)
        if sample.ok is not None and (before is None or before.ok != sample.ok):
            found.append(Happening("good" if sample.ok else "bad", sample.detail))
        for word in changed:
            found += self._changed(word, sample)
        if self.frozen and self.episode.good >= CLOSE_GOOD:  # also where the episode was of the monitor before this one
            found.append(Happening("thawed", f"well again, so what was frozen may act again: {self.frozen}"))
            self.frozen = ""
        return found

    def act(self, now: float) -> bool:
        """True: begin a climb now."""
        if self.suspended or self.climbing or self.frozen or self.episode.flapping:
            return False
        return self.episode.certain(self._free_since)

    def begin(self) -> None:
        self.climbing = True

    def end(self, now: float, freeze: str = "", *, page: bool = True) -> list[Happening]:
        """A climb is over. `freeze`: why nothing more is to be tried, "" when it may be; `page`: call a person."""
        self.climbing = False
        self._free_since = now
        self.episode.forget_row()
        if not freeze:
            return []
        self.frozen = freeze
        return [Happening("frozen", freeze, page=page)]

    def _suspend(self, now: float, situation: Situation) -> list[Happening]:
        reason = "" if self.climbing and situation.run else situation.reason
        if not reason and not self.climbing and self.suspended:
            self._free_since = now
            self.episode.forget_row()
        if reason == self.suspended:
            return []
        was, self.suspended = self.suspended, reason
        if reason and _same_kind(was, reason):
            return []
        return [Happening("suspended", reason) if reason else Happening("resumed", f"no longer: {was}")]

    def _changed(self, word: str, sample: Sample) -> list[Happening]:
        if word == "opened":
            return [Happening("opened", sample.detail)]
        if word == "flapping":
            words = f"good and bad by turns: {sample.detail}; nothing is done by itself"
            return [Happening("flapping", words, page=True)]
        if word == "steady":
            return [Happening("steady", "no longer flapping")]
        return [Happening("closed", sample.detail)]


def _same_kind(was: str, now: str) -> bool:
    """The words of a run change with each of its steps, those of an engine with each ping: one line for all of it."""
    return any(mark in was and mark in now for mark in (" is recovering ", "the Docker engine does not answer"))
