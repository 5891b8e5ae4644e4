"""A playbook being followed in an incident: every act is an event, written before its effect and after it.

State lives in the journal alone, so any console can go on where another stopped. The playbook is the one that was
started, kept by its hash, whatever happens to the file since. All calls block.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from console.errors import RecordError, RefusedError, UsageError
from console.guide.bindings import Bindings
from console.guide.evidence import Evidence, holds, words
from console.guide.execution import Execute, Output, kept_output
from console.guide.loader import load_catalog, parse_playbook
from console.guide.progress import Progress, progress
from console.guide.requirements import check, check_budget
from console.guide.schema import Deadline, Playbook, Step, Verify
from console.incident.events import Event, new_id
from console.incident.folding import incident_of
from console.incident.journal import Journal
from console.incident.levels import LEVELS
from console.incident.records import Incident, RunState, StepState


class PlaybookRun:
    """One run of one playbook. Make it with `start` or `resume`."""

    def __init__(
        self,
        journal: Journal,
        playbook: Playbook,
        id: str,
        *,
        language: str = "en",
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.journal = journal
        self.playbook = playbook
        self.id = id
        self.language = language
        self._wall = wall
        self._good_since: dict[str, float] = {}  # step -> since when its evidence has been there

    @classmethod
    def start(
        cls, journal: Journal, playbook: Playbook, *, language: str = "en", wall: Callable[[], float] = time.time
    ) -> PlaybookRun:
        """Begin it: the file's bytes are kept, its steps become part of the incident. Raises RecordError."""
        journal.put_blob(playbook.source)
        run = cls(journal, playbook, new_id()[-12:], language=language, wall=wall)
        journal.append(
            "playbook.started",
            {
                "run": run.id,
                "playbook": playbook.id,
                "title": playbook.title.say(language),
                "version": playbook.version,
                "sha256": playbook.sha256,
                "language": language,
                "phases": [{"id": p.id, "title": p.title.say(language)} for p in playbook.phases],
                "steps": [_brief(playbook, step, language) for step in playbook.steps],
            },
        )
        return run

    @classmethod
    def resume(
        cls,
        journal: Journal,
        run: RunState,
        *,
        data_dir: Path | None = None,
        language: str = "en",
        wall: Callable[[], float] = time.time,
    ) -> PlaybookRun:
        """Go on with one that was started, here or elsewhere. Raises RecordError when its file is not kept here.

        Of one that was started on another host the same file may lie among the playbooks of this one (`data_dir`).
        """
        try:
            source = journal.blob(run.sha256)
        except RecordError as error:
            known = load_catalog(data_dir).playbooks.get(run.playbook) if data_dir is not None else None
            if known is None or known.sha256 != run.sha256:
                remedy = "It comes from the host that began the checklist; try again in a moment"
                raise RecordError(f"the file of {run.playbook} is not here: {error.message}", remedy=remedy) from None
            source = known.source
            journal.put_blob(source)
        playbook, problems = parse_playbook(source, f"{run.playbook} (as started)")
        if playbook is None:
            raise RecordError(f"the playbook {run.playbook} as started cannot be read: {problems[0]}")
        return cls(journal, playbook, run.id, language=language, wall=wall)

    def incident(self) -> Incident:
        return incident_of(self.journal)

    def state(self) -> RunState:
        found = self.incident().run(self.id)
        if found is None:
            raise RecordError(f"the checklist {self.playbook.id} is not in the record")
        return found

    def progress(self) -> Progress:
        return progress(self.playbook, self.state())

    def tick(self, step: str, *, text: str = "", reason: str = "", evidence: Evidence | None = None) -> Event:
        """Done, says a person. A wait begins; a notice also counts as an update to people.

        Raises RefusedError when it is settled already, is a decision, may not be done yet (`allow`), or the evidence
        says otherwise and no `reason` is given.
        """
        what, now = self._unsettled(step)
        self.allow(step)
        if what.type == "decision":
            raise RefusedError(f"{what.id} is a decision", remedy="Choose one of its options")
        if what.type == "wait" and now.state != "running" and not reason:
            return self._write(what, "running", {"text": text})
        data: dict[str, Any] = {"text": text, "reason": reason}
        if what.verify is not None and evidence is not None:
            if holds(what.verify, evidence) is False and not reason:
                raise RefusedError(
                    f"the evidence says otherwise: {words(what.verify, evidence)}", remedy="Say why it is done anyway"
                )
            data["evidence"] = words(what.verify, evidence)
        event = self._write(what, "done", data)
        if what.audience:
            self._told(what, text)
        return event

    def allow(self, step: str) -> None:
        """Raises RefusedError when what the step requires does not hold, or its budget is used up.

        For whoever is about to begin it; `tick` and `execute` ask it themselves. No reason overrides it: the step can
        be skipped with one.
        """
        what = self._step(step)
        if not what.requires and what.budget is None:
            return
        events = self.journal.events()
        incident = incident_of(self.journal)
        state = incident.run(self.id)
        if state is not None:
            check(self.playbook, what, state, incident)
        check_budget(what, self.id, events, self._wall())

    def fail(self, step: str, reason: str) -> Event:
        """It did not work, says a person; the playbook's way for that is taken. Raises RefusedError."""
        what, _ = self._unsettled(step)
        return self._write(what, "failed", {"reason": _needed(reason, "Say what went wrong")})

    def skip(self, step: str, reason: str) -> Event:
        """Left out on purpose. Raises RefusedError without a reason or where that is not allowed."""
        what, _ = self._unsettled(step)
        if what.skip == "never":
            raise RefusedError(f"{what.id} may not be skipped")
        return self._write(what, "skipped", {"reason": _needed(reason, "Say why it is skipped")})

    def reopen(self, step: str, reason: str) -> Event:
        """Take back what was settled. Raises RefusedError without a reason."""
        return self._write(self._step(step), "ready", {"reason": _needed(reason, "Say why it is opened again")})

    def note(self, step: str, text: str) -> Event:
        """A note that belongs to a step."""
        return self.journal.append("note", {"run": self.id, "step": self._step(step).id, "text": text})

    def claim(self, step: str, who: str, *, take: bool = False) -> Event:
        """`who` is on it ("" nobody). Raises RefusedError while somebody else is, unless it is taken over."""
        what, now = self._unsettled(step)
        if now.claimed_by and who and now.claimed_by != who and not take:
            raise RefusedError(f"{now.claimed_by} is on it", remedy="Take it over if they cannot")
        data = {"run": self.id, "step": what.id, "who": who, "take": take, "title": what.title.say(self.language)}
        return self.journal.append("step.claimed", data)

    def decide(self, step: str, option: int, *, reason: str = "") -> Event:
        """Choose an option of a decision, by its place. Raises RefusedError, UsageError."""
        what, _ = self._unsettled(step)
        if what.type != "decision" or not 0 <= option < len(what.options):
            raise UsageError(f"{what.id} has no option {option + 1}")
        chosen = what.options[option]
        result = {"option": option, "goto": chosen.branch.goto, "playbook": chosen.branch.playbook}
        return self._write(what, "done", {"text": chosen.label.say(self.language), "reason": reason, "result": result})

    def confirmation(self, step: str, bindings: Bindings) -> str | None:
        """What must be confirmed before it executes: "" one key, else the text to be typed; None where nothing runs."""
        confirm = self._step(step).confirmation
        return None if confirm is None else bindings.fill(confirm.text)

    def execute(self, step: str, bindings: Bindings, execute: Execute, *, confirmed: str | None = None) -> Event:
        """Run the step's command, with intent written before and the result after.

        `confirmed`: None not at all, "" by key, else what was typed. Raises RefusedError when it is not confirmed,
        has no target here, or is running elsewhere. A command without an answer leaves the step `unknown`.
        """
        what, now = self._unsettled(step)
        if what.run is None or what.timeout is None:
            raise RefusedError(f"{what.id} has no command")
        if now.state in ("running", "unknown"):
            raise RefusedError(f"{what.id} was started by {now.by} and its outcome is unknown", remedy="Look first")
        self.allow(step)
        expected = self.confirmation(step, bindings)
        if expected is not None and confirmed != expected:
            raise RefusedError(f"not confirmed: {what.title.say(self.language)}", remedy="Nothing was done")
        argv = bindings.argv(what.run, what.timeout)
        self._write(what, "running", {"text": "", "result": {"argv": list(argv)}})
        output = execute(argv, what.timeout)
        return self._write(what, self._outcome(what, output), {"result": kept_output(self.journal, argv, output)})

    def record(self, step: str, state: str, *, text: str = "", result: Mapping[str, Any] | None = None) -> Event:
        """Write down what something else did for a step: a recovery started, ended, is in doubt."""
        return self._write(self._step(step), state, {"text": text, "result": dict(result) if result else None})

    def observe(self, evidence: Evidence) -> list[Event]:
        """Tick by evidence what can be: checks, verifications under way, waits; let decisions nobody took expire.

        Called now and then with fresh evidence; cheap when nothing is open.
        """
        state = self.state()
        now = self._wall()
        written: list[Event] = []
        for id in progress(self.playbook, state).open:
            step, step_state = self.playbook.step(id), state.step(id)
            if step is not None and step_state is not None:
                event = self._observe(step, step_state, state, evidence, now)
                written += [event] if event is not None else []
        return written

    def _observe(self, step: Step, now_state: StepState, run: RunState, evidence: Evidence, now: float) -> Event | None:
        if step.type == "check" and step.run is None and step.verify is not None:
            if self._stable(step.id, step.verify, evidence, now):
                return self._write(step, "done", {"text": "by evidence", "evidence": words(step.verify, evidence)})
        elif now_state.state == "verifying" and step.verify is not None:
            if self._stable(step.id, step.verify, evidence, now):
                return self._write(step, "done", {"text": "verified", "evidence": words(step.verify, evidence)})
            if now - (now_state.at or now) > (step.verify.within or 120.0):
                return self._write(step, "failed", {"reason": f"not verified: {words(step.verify, evidence)}"})
        elif step.type == "wait" and now_state.state == "running" and step.wait is not None:
            waited = now - (now_state.at or now) >= step.wait
            if waited and (step.until is None or self._stable(step.id, step.until, evidence, now)):
                return self._write(step, "done", {"text": "time is over"})
        elif step.type == "decision" and step.deadline is not None and _too_late(step.deadline, step, run, now):
            then = step.deadline.then
            result = {"option": None, "goto": then.goto, "playbook": then.playbook}
            return self._write(step, "expired", {"reason": "nobody decided in time", "result": result})
        return None

    def _stable(self, id: str, verify: Verify, evidence: Evidence, now: float) -> bool:
        if holds(verify, evidence) is not True:
            self._good_since.pop(id, None)
            return False
        return now - self._good_since.setdefault(id, now) >= verify.stable_for

    def _outcome(self, step: Step, output: Output) -> str:
        if output.exit is None:
            return "unknown"
        if output.exit != step.expected.exit or step.expected.contains not in output.text:
            return "failed"
        return "verifying" if step.verify is not None else "done"

    def _told(self, step: Step, text: str) -> None:
        level = LEVELS[self.incident().severity]
        every = {"internal": level.update, "executive": level.executive, "external": level.external}[step.audience]
        data = {"audience": step.audience, "text": text or step.title.say(self.language)}
        self.journal.append("comms", {**data, "next_at": None if every is None else self._wall() + every})

    def _step(self, id: str) -> Step:
        step = self.playbook.step(id)
        if step is None:
            known = ", ".join(step.id for step in self.playbook.steps)
            raise UsageError(f"{self.playbook.id} has no step {id!r}", remedy=f"Steps: {known}")
        return step

    def _unsettled(self, id: str) -> tuple[Step, StepState]:
        step = self._step(id)
        state = self.state().step(id)
        assert state is not None  # the run was started from this playbook
        if state.settled:
            raise RefusedError(f"{id} is {state.state} already ({state.by})", remedy="Open it again to change that")
        return step, state

    def _write(self, step: Step, state: str, data: Mapping[str, Any]) -> Event:
        told = {key: value for key, value in data.items() if value not in ("", None)}
        title = step.title.say(self.language)
        return self.journal.append("step", {"run": self.id, "step": step.id, "state": state, "title": title, **told})


def _brief(playbook: Playbook, step: Step, language: str) -> dict[str, Any]:
    """What the fold needs to show the step without the file."""
    brief = {
        "id": step.id,
        "title": step.title.say(language),
        "type": step.type,
        "phase": step.phase,
        "roles": list(step.roles),
        "due": playbook.due(step),
        "expect": step.expect,
    }
    return {key: value for key, value in brief.items() if value not in ("", None, [])}


def _needed(reason: str, remedy: str) -> str:
    if not reason.strip():
        raise RefusedError("a reason is needed", remedy=remedy)
    return reason


def _too_late(deadline: Deadline, step: Step, run: RunState, now: float) -> bool:
    """The decision came up when the last step before it on the way was settled."""
    before = [state.at for state in run.steps if state.at is not None and state.id != step.id]
    return now - max([run.started_at, *before]) > deadline.after
