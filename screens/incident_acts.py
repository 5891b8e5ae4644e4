"""What people do to an incident as a whole: severity, roles, status, notes, updates, evidence, corrections."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textual import work

from console.errors import SevdeckError
from console.incident import rules
from console.incident.events import ROLES
from console.incident.levels import LEVELS
from console.incident.records import LIFECYCLE, Incident
from console.incident.timers import timers
from screens.base import ConsoleScreen
from screens.dialogs import Ask, Choose
from screens.seat import Seat
from widgets.format import age_text, countdown_text
from widgets.lines import Span, line
from widgets.timeline import Timeline


def brief(incident: Incident, now: float) -> str:
    """What somebody who takes over must know, in a few sentences."""
    level = LEVELS[incident.severity]
    parts = [f"{incident.id} {level.label} {incident.title}, {incident.status}"]
    if incident.declared_at is not None:
        parts.append(f"declared {age_text(now - incident.declared_at)} ago")
    if "t0" in incident.moments:
        parts.append(f"impact for {age_text(now - incident.moments['t0'].at)} ({incident.moments['t0'].source})")
    if incident.recoveries:
        parts.append("recovery: " + ", ".join(f"{r.title or r.level} {r.state}" for r in incident.recoveries[-3:]))
    if incident.active_containment:
        parts.append("ACTIVE containment: " + ", ".join(f"{c.name} {c.target}" for c in incident.active_containment))
    todo = [s.title for run in incident.runs for s in run.steps if not s.settled]
    if todo:
        parts.append(f"next: {todo[0]} ({len(todo)} steps open)")
    due = timers(incident, now)
    if due:
        parts.append(f"due: {due[0].label} {countdown_text(due[0].left(now))}")
    return ". ".join(parts) + "."


class IncidentActs(ConsoleScreen):
    """The acts; a screen mixes them in and gives `seat`."""

    seat: Seat

    async def write(self, kind: str, data: Mapping[str, Any]) -> bool:
        """Record one event; tells the person when it cannot be."""
        try:
            await self.seat.desk.append(kind, data)
        except SevdeckError as error:
            self.notify(str(error), severity="error", timeout=10, markup=False)
            return False
        return True

    def refused(self, error: SevdeckError) -> None:
        self.notify(str(error), severity="warning", timeout=8, markup=False)

    def open_incident(self) -> Incident | None:
        """The incident, or None after telling how to get one."""
        if self.incident is None:
            self.notify("No incident is open: D declares one.", markup=False)
        elif self.incident.loading:
            self.notify("The record is still being verified: in a moment.", markup=False)
            return None
        return self.incident

    @work(group="ask", exclusive=True)
    async def do_incident_severity(self) -> None:
        incident = self.open_incident()
        if incident is None:
            return
        options = [
            (str(n), line(Span(f"{lv.label}  ", "strong"), f"{lv.name}: {lv.meaning}")) for n, lv in LEVELS.items()
        ]
        chosen = await self.app.push_screen_wait(Choose("Severity", options, str(incident.severity)))
        if chosen is None or int(chosen) == incident.severity:
            return
        reason = await self.app.push_screen_wait(
            Ask(f"Why SEV-{chosen}?", "Lowering needs a reason; raising deserves one.")
        )
        if reason is None:
            return
        try:
            rules.check_severity(incident, int(chosen), reason)
        except SevdeckError as error:
            self.refused(error)
            return
        await self.write("severity", {"severity": int(chosen), "previous": incident.severity, "reason": reason})

    @work(group="ask", exclusive=True)
    async def do_incident_role(self) -> None:
        incident = self.open_incident()
        if incident is None:
            return
        options = [(r, line(f"{r:<16}", Span(incident.roles.get(r, "nobody"), "dim"))) for r in ROLES]
        role = await self.app.push_screen_wait(Choose("Which role?", options))
        if role is None:
            return
        now = incident.roles.get(role, "") or self.seat.actor.name
        who = await self.app.push_screen_wait(Ask(f"Who is {role}?", "empty: nobody", now, required=False))
        if who is not None:
            await self.write("role", {"role": role, "who": who})

    @work(group="ask", exclusive=True)
    async def do_incident_handover(self) -> None:
        incident = self.open_incident()
        if incident is None:
            return
        offer = incident.open_handover
        me = self.seat.actor.name
        if offer is not None and offer.to == me:
            answer = await self.app.push_screen_wait(
                Choose(
                    f"{offer.by} hands over to you: {offer.brief}",
                    [("yes", line("I take the command")), ("no", line("I decline"))],
                    "no",
                )
            )
            if answer == "yes":
                await self.write("handover.accepted", {"offer": offer.offer})
            elif answer == "no":
                reason = await self.app.push_screen_wait(Ask("Why do you decline?"))
                if reason:
                    await self.write("handover.declined", {"offer": offer.offer, "reason": reason})
            return
        to = await self.app.push_screen_wait(
            Ask("Hand the command to whom?", "their login; they accept with H on their console")
        )
        if to is None:
            return
        text = await self.app.push_screen_wait(
            Ask("The brief", "edit it; it is recorded", brief(incident, time.time()))
        )
        if text is not None:
            head = await self.seat.desk.head()
            if await self.write("handover.offered", {"to": to, "brief": text, "head": head}):
                self.notify(f"Offered to {to}. Head of the record: {head}", timeout=10, markup=False)

    @work(group="ask", exclusive=True)
    async def do_incident_update(self) -> None:
        incident = self.open_incident()
        if incident is None:
            return
        options = [(a, line(a)) for a in ("internal", "executive", "external")]
        audience = await self.app.push_screen_wait(
            Choose("Who was told?", options, hint="It is written down here; it is not sent.")
        )
        if audience is None:
            return
        text = await self.app.push_screen_wait(
            Ask("What were they told?", "what users see, since when, what is being done")
        )
        if text is None:
            return
        level = LEVELS[incident.severity]
        every = {"internal": level.update, "executive": level.executive, "external": level.external}[audience]
        minutes = await self.app.push_screen_wait(
            Ask("Next update in how many minutes?", "promised to them", str(int((every or 3600) // 60)))
        )
        if minutes is None or not minutes.isdigit():
            return
        next_at, head = time.time() + 60 * int(minutes), await self.seat.desk.head()
        data = {"audience": audience, "text": text, "next_at": next_at, "head": head}
        await self.write("comms", data)

    @work(group="ask", exclusive=True)
    async def do_incident_status(self) -> None:
        incident = self.open_incident()
        if incident is None:
            return
        names = [*LIFECYCLE[1:], "false-alarm", *(["reopened"] if incident.over else [])]
        options = [(n, line(n, Span("  now" if n == incident.status else "", "dim"))) for n in names]
        chosen = await self.app.push_screen_wait(Choose("Status", options, incident.status))
        if chosen is None or chosen == incident.status:
            return
        back = (
            chosen in LIFECYCLE and LIFECYCLE.index(chosen) < LIFECYCLE.index(incident.status)
            if incident.status in LIFECYCLE
            else True
        )
        needed = chosen in {"reopened", "false-alarm"} or back
        reason = await self.app.push_screen_wait(
            Ask(f"{chosen}: why, or how you know", "" if needed else "may stay empty", required=needed)
        )
        if reason is None:
            return
        try:
            if chosen == "reopened":
                rules.check_reopen(incident, reason)
            else:
                rules.check_status(incident, chosen, reason)
        except SevdeckError as error:
            self.refused(error)
            return
        match chosen:
            case "resolved" | "closed":
                head = await self.seat.desk.head()
                if await self.write(chosen, {"text": reason, "head": head}):
                    words = f"Head of the record: {head}. Keep it with your notes"
                    self.notify(f"{incident.id} {chosen}. {words}", timeout=15, markup=False)
            case "reopened":
                await self.write("reopened", {"reason": reason})
            case _:
                await self.write("status", {"status": chosen, "reason": reason})

    @work(group="ask", exclusive=True)
    async def do_timeline_pin(self) -> None:
        entry = self.query_one(Timeline).current()
        if entry is not None:
            await self.write("pin", {"event": entry.id, "pinned": not entry.pinned})

    @work(group="ask", exclusive=True)
    async def do_timeline_amend(self) -> None:
        entry = self.query_one(Timeline).current()
        if entry is None:
            return
        options = [("annotate", line("Add a remark")), ("amend", line("Correct it; the original stays readable"))]
        how = await self.app.push_screen_wait(Choose(entry.summary, options))
        if how is None:
            return
        text = await self.app.push_screen_wait(Ask("Remark" if how == "annotate" else "What it should say"))
        if text is None:
            return
        if how == "annotate":
            await self.write("annotate", {"event": entry.id, "text": text})
            return
        reason = await self.app.push_screen_wait(Ask("Why is it corrected?"))
        if reason is not None:
            await self.write("amend", {"event": entry.id, "text": text, "reason": reason})

    @work(group="ask", exclusive=True)
    async def do_incident_attach(self) -> None:
        incident = self.open_incident()
        if incident is None:
            return
        name = await self.app.push_screen_wait(Ask("Which file?", "its text is masked and hashed before it is stored"))
        if name is None:
            return
        path = _typed_path(name)
        try:
            event = await self.seat.desk.attach(path)
        except SevdeckError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        masked = ", secrets masked" if event.data["masked"] else ""
        size, sha256 = event.data["size"], str(event.data["sha256"])[:16]
        self.notify(f"Attached {path.name}: {size} bytes{masked}, sha256 {sha256}", markup=False)


def _typed_path(text: str) -> Path:
    """A path as people type or paste it: with a tilde, or quoted."""
    return Path(shlex.split(text)[0] if text.startswith(("'", '"')) else text).expanduser()
