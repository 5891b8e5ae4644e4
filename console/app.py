"""The Textual application: it wires sources to screens, screens to the engine, and signals to a clean exit.

No logic lives here: what is read comes from `console.watch`, what is judged from `console.checks`, what happened
from `console.incident`.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import work
from textual.app import App, SystemCommand
from textual.screen import ModalScreen, Screen
from textual.worker import WorkerFailed

from console import commands, hangup
from console.config import Config
from console.errors import InvalidFileError, SevdeckError, SourceError, UsageError
from console.incident.durability import Standing
from console.watch.lane import Lane
from console.watch.live import LiveSources
from console.watch.readings import NAMES, Readings
from console.watch.source import Reading, Supervisor
from screens.base import ConsoleScreen
from screens.dashboard import Dashboard
from screens.themes import OWN_THEMES, THEMES, terminal_theme, theme_name
from widgets.containers_pane import ContainersPane

if TYPE_CHECKING:
    from console.actions.containment.reminder import Contained, Reminder
    from console.actions.facts import Holder
    from console.checks.check import Finding
    from console.checks.diagnose import Diagnosing
    from console.guide.desk import Desk
    from console.incident.records import Incident
    from console.replica.attachments import Attachments
    from console.replica.replica import Replica
    from console.watch.history import Keeper
    from screens.seat import Seat

_log = logging.getLogger(__name__)

REFRESH_RATES = (1.0, 2.0, 5.0)  # seconds
_SLOW = ("probes", "metrics")  # published every second also when nothing new was asked
_GATHER = 0.03  # seconds in which the readings of one beat arrive
_BEAT = 0.06  # seconds after the whole second in which readings are those of the beat
_NEWS = 3  # notices at once; the timeline has them all
_JUDGE_EVERY = 0.9  # seconds at least between two judgements
_LEDGER = 1.5  # seconds for a look at the containment ledger
_FIRST_FRAME = 1.0  # seconds after which the rest is loaded though a source has not answered yet


class Sevdeck(App[int]):
    """The console."""

    TITLE = "sevdeck"
    COMMAND_PALETTE_BINDING = "ctrl+p"

    def __init__(self, config: Config, data_dir: Path, live: LiveSources, theme: str, *, note: str = "") -> None:
        super().__init__(ansi_color=theme == "ansi-dark")
        for own in OWN_THEMES:
            self.register_theme(own)
        self.theme = theme
        self._config = config
        self._data_dir = data_dir
        self._live = live
        self._note = note
        self._readings = Readings()
        self._findings: Sequence[Finding] | None = None
        self._judging = self._beating = False
        self._judged_at = 0.0  # monotonic
        self._complete = False  # what the first frame does not need is loaded
        self._completing = False
        self._made_seat: Seat | None = None
        self._replica: Replica | None = None
        self._attachments: Attachments | None = None
        self._reminder: Reminder | None = None
        self._contained: tuple[Contained, ...] = ()  # measures that may be in force
        self._diagnosing: Diagnosing | None = None
        self._recovering: Holder | None = None  # a recovery that is under way, whoever started it
        self._ledger = Lane("ledger")
        self._keeper: Keeper[tuple[Finding, ...]] | None = None  # fills the history, and finds in it
        self._keeper_said = ""
        self._told: set[tuple[str, float]] = set()
        self._before: Incident | None = None  # as it was when others' acts were told last
        self._refresh_seconds = config.refresh
        self.failure: Exception | None = None
        self._supervisor = Supervisor(live.sources, self._published)

    # -- life

    def get_default_screen(self) -> Screen[Any]:
        return Dashboard(self._config.thresholds, self._live.hub, self._config.docker.project)

    def on_mount(self) -> None:
        mapped, problems = commands.keymap(self._config.keys, str(self._config.path or "sevdeck.toml"))
        self.set_keymap(mapped)
        for name in (signal.SIGHUP, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(name, self.exit, 0)
        loop = asyncio.get_running_loop()
        if not self.is_headless and sys.stdin.isatty():
            hangup.watch(sys.stdin.fileno(), lambda: loop.call_soon_threadsafe(self.exit, hangup.EXIT))
        self._live.hub.start()
        if self._refresh_seconds != 1.0:
            self._supervisor.set_every(self._refresh_seconds)
        self.set_interval(1.0, self._tick)
        self.run_worker(self._supervisor.run(), group="watch")
        self.set_timer(_FIRST_FRAME, self._load_rest)
        for text in [*(str(problem) for problem in problems), *([self._note] if self._note else [])]:
            self.notify(text, severity="warning", timeout=15, markup=False)

    async def on_unmount(self) -> None:
        if self._made_seat is not None:
            await self._made_seat.desk.leave()
            await self._made_seat.desk.drain()
        self.workers.cancel_group(self, "replica")
        self.workers.cancel_group(self, "outbox")
        for one in (self._replica, self._attachments):
            if one is not None:
                one.close()
        if self._keeper is not None:
            self._keeper.close()
        await self._supervisor.close()
        self._ledger.close()
        self._live.hub.close()

    def _handle_exception(self, error: Exception) -> None:
        """A refusal is told; a fault of ours ends the console: details to the log file, one sentence to the person."""
        if isinstance(error, WorkerFailed):
            cause = error.error
            if isinstance(cause, SevdeckError):
                self.notify(str(cause), severity="error", timeout=10, markup=False)
                return
            # What was asked for failed, and the rest of the console is as well as before.
            _log.error("an act of the console failed", exc_info=cause)
            name = type(cause).__name__
            self.notify(
                f"That failed unexpectedly ({name}); details are in sevdeck.log", severity="error", markup=False
            )
            return
        if self.failure is None:
            self.failure = error
            _log.error("the console failed", exc_info=error)
        self.exit(1)

    # -- what the first frame does not need: judging and the record take as long to import as the frame to draw

    def _load_rest(self) -> None:
        """Import it in a thread, so that keys are heard meanwhile; then begin to judge and to follow the record."""
        if not self._completing:
            self._completing = True
            gc.freeze()  # modules and widgets stay for good: no collection need look at them again
            gc.enable()
            loop = asyncio.get_running_loop()
            threading.Thread(target=self._import_rest, args=(loop,), name="imports", daemon=True).start()

    def _import_rest(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            import console.actions.containment.reminder
            import console.checks.judge
            import console.checks.unusual
            import console.guide.desk
            import console.incident.timers  # noqa: F401
        except Exception as error:  # without it nothing is judged or recorded: the person must know
            loop.call_soon_threadsafe(self.call_later, self._handle_exception, error)
            return
        with suppress(RuntimeError):  # the loop is closed: a person was quick to leave
            # By message, because timers need the context of the application that a bare callback has not.
            loop.call_soon_threadsafe(self.call_later, self._rest_loaded)

    def _rest_loaded(self) -> None:
        self._complete = True
        self._seat  # noqa: B018
        self._keep_history()
        self._beat_soon()
        if self._config.extra.get("notify"):
            self.run_worker(self._send(), group="outbox")

    def _keep_history(self) -> None:
        from console.checks.unusual import Trends
        from console.watch.history import Keeper
        from console.watch.history.asked import follow

        self._keeper = Keeper(
            self._data_dir, self._config.docker.project, Trends(self._data_dir, self._config.thresholds)
        )
        self._keeper.start()
        self.run_worker(follow(self._keeper, self._config), group="history")

    def _fill_history(self) -> None:
        if self._keeper is None:
            return
        self._keeper.take(self._readings)
        if (note := self._keeper.note) and note != self._keeper_said:
            self._keeper_said = note
            self.notify(note, severity="warning", timeout=10, markup=False)

    async def _send(self) -> None:
        """Send what waits in the outbox while the console is open; what cannot be sent is said until it is seen."""
        from console.tell.notify import Sender

        sender = Sender(self._config, self._data_dir, self._not_sent)
        try:
            await sender.live()
        finally:
            sender.close()

    def _not_sent(self, text: str) -> None:
        self.bell()
        self.notify(text, severity="error", timeout=10, markup=False)

    @property
    def _seat(self) -> Seat:
        """What screens may use of the engine; made when it is first asked for."""
        if self._made_seat is None:
            from console.guide.desk import Desk
            from console.incident.events import Actor
            from console.incident.store import IncidentStore
            from console.watch.lane import QueueLane
            from screens.seat import Seat

            actor = Actor.current()
            desk = Desk(IncidentStore(self._data_dir, actor), self._config, self._incident_changed)
            self._made_seat = Seat(self._config, self._data_dir, actor, desk, QueueLane("engine"))
            for name in NAMES:
                if getattr(self._readings, name).heard:
                    desk.observe(name, self._readings)
            self.run_worker(desk.run(), group="desk")
            dsn = self._config.extra.get("replica", {}).get("dsn")
            if dsn:
                self._share(desk, dsn)
        return self._made_seat

    def _share(self, desk: Desk, dsn: str) -> None:
        """Follow the record on the server as well."""
        from console.replica.attachments import Attachments
        from console.replica.replica import replica

        self._replica = replica(self._config, desk.store, self._show)
        if self._replica is not None:
            self._replica.pending = desk.bound
            self.run_worker(self._replica.run(), group="replica")
        self._attachments = Attachments(dsn, desk.store)
        self.run_worker(self._attachments.run(), group="replica")

    # -- what is known goes to the screen in front

    def _published(self, name: str, reading: Reading[Any]) -> None:
        before = getattr(self._readings, name)
        self._readings = self._readings.with_(name, reading)
        if name in _SLOW and reading.same_as(before):
            return
        self._live.heard(name, reading)
        if self._made_seat is not None:
            self._made_seat.desk.observe(name, self._readings)
        if not self._complete or (name == "containers" and time.monotonic() % 1.0 > _BEAT):
            self._show()  # an event, shown at once
        if self._complete:
            self._beat_soon()
        elif self._readings.host.heard and self._readings.containers.heard:
            self.call_after_refresh(self._load_rest)

    def _beat_soon(self) -> None:
        """Judge and show what the sources tell on the beat of the second in one go: each repaint has its price."""
        if not self._beating:
            self._beating = True
            self.set_timer(_GATHER, self._beat)

    def _beat(self) -> None:
        self._beating = False
        rest = self._judged_at + _JUDGE_EVERY - time.monotonic()
        if rest <= 0:
            self._judge()
        elif not self._judging:
            self._judging = True
            self.set_timer(rest, self._judge)
        self._show()

    def _judge(self) -> None:
        self._judging = False
        self._judged_at = time.monotonic()
        self._findings = self._judged()
        self._show()

    def _judged(self, more: Sequence[Finding] = ()) -> list[Finding]:
        """The findings of the readings, and of checks that were asked for, judged together."""
        from console.checks.judge import judge

        changes = self._diagnosing.history.recent if self._diagnosing is not None else ()
        asked = {finding.key for finding in more}
        trends = (self._keeper.latest if self._keeper is not None else None) or ()
        more = [*more, *(finding for finding in trends if finding.key not in asked)]
        findings = judge(self._readings, self._config, time.time(), more, changes)
        if self._contained:
            from console.actions.containment.explaining import explained

            findings = explained(findings, self._contained)
        if self._recovering is not None:
            from console.actions.attending import attended

            findings = attended(findings, self._recovering)
        return findings

    def _incident_changed(self) -> None:
        for one in (self._replica, self._attachments):
            if one is not None:
                one.kick()
        self._tell_news()
        self._show()

    def _tell_news(self) -> None:
        from console.guide.news import news

        before, self._before = self._before, self._seat.desk.incident
        if before is not None and self._before is not None:
            for text in news(before, self._before, self._seat.actor.name)[:_NEWS]:
                self.bell()
                self.notify(text, timeout=10, markup=False)

    def _tick(self) -> None:
        now = time.time()
        if (screen := self._front) is not None:
            screen.now = float(int(now))
        self._fill_history()
        if self._complete and int(now) % 2 == 0:
            self.run_worker(self._look_at_ledger(now), group="ledger", exclusive=True)
        incident = self._made_seat.desk.incident if self._made_seat is not None else None
        if incident is not None and incident.open:
            from console.incident.timers import overdue

            self.run_worker(self._seat.desk.tick_by_evidence(self._findings), group="evidence", exclusive=False)
            if incident.solo:
                self.run_worker(self._call_out(self._seat.desk), group="deputy")
            for timer in overdue(incident, now):
                key = (timer.name, timer.due_at)
                if key not in self._told and not timer.name.startswith("step:"):
                    self._told.add(key)
                    # What was late before this console looked is on the screen already; only news is called out.
                    if now - timer.due_at < 5:
                        self.bell()
                        self.notify(f"due now: {timer.label}", severity="warning", timeout=10, markup=False)

    async def _look_at_ledger(self, now: float) -> None:
        """Show what is contained and who recovers, and say what is overdue until somebody undoes it: nothing is undone
        by itself."""
        from console.actions.containment.reminder import Reminder
        from console.actions.lock import recovering

        reminder = self._reminder = self._reminder or Reminder(self._data_dir)
        try:
            found = await self._ledger.call(reminder.look, deadline=_LEDGER)
            at_work = partial(recovering, self._data_dir, self._config.docker.project)
            self._recovering = await self._ledger.call(at_work, deadline=_LEDGER)
        except (SourceError, OSError):  # a disk that hangs: what is known stays on the screen
            return
        if found != self._contained:
            self._contained = found
            self._show()
        for text in reminder.due(found, now):
            self.bell()
            self.notify(text, severity="warning", timeout=15, markup=False)

    async def _call_out(self, desk: Desk) -> None:
        said = await desk.call_out(self._findings)
        if said:
            self.bell()
            title = "10 minutes on: say where things stand (n notes it)"
            self.notify(said, title=title, timeout=45, markup=False)

    @property
    def _front(self) -> ConsoleScreen | None:
        """The screen in front; a dialog lies over it and does not make it blind."""
        return next((s for s in reversed(self.screen_stack) if isinstance(s, ConsoleScreen)), None)

    def _show(self) -> None:
        """Give the screen in front what is known now."""
        if (screen := self._front) is not None:
            for name, value in self._known().items():
                setattr(screen, name, value)

    def _tell(self, screen: ConsoleScreen) -> None:
        """Give a screen that is not mounted yet what is known; its watchers run when it is."""
        for name, value in {**self._known(), "now": float(int(time.time()))}.items():
            screen.set_reactive(getattr(ConsoleScreen, name), value)

    def _known(self) -> dict[str, Any]:
        known: dict[str, Any] = {
            "readings": self._readings,
            "findings": self._findings,
            "contained": self._contained,
        }
        if self._made_seat is not None:
            desk = self._made_seat.desk
            known |= {"incident": desk.incident or desk.preview, "unsaved": desk.unsaved or desk.elsewhere or desk.full}
            if desk.incident is not None:
                known["standing"] = self._standing(desk, desk.incident.id)
        return known

    def _standing(self, desk: Desk, incident: str) -> Standing:
        if self._replica is None:
            return Standing(desk.heads, None, "", desk.unsaved_entries, desk.warnings)
        status = self._replica.status
        there = status.vectors.get(incident)
        if there is None and not status.away:
            there = {}  # it answers, and has nothing of this one yet
        trouble = "" if status.well else status.words(time.time(), brief=True)
        warnings = (*desk.warnings, *status.collisions)
        return Standing(desk.heads, there, trouble, desk.unsaved_entries, warnings)

    def on_screen_resume(self) -> None:
        self._show()

    # -- what people ask for

    def on_console_screen_asked(self, message: ConsoleScreen.Asked) -> None:
        name = "do_" + message.command.replace(".", "_")
        getattr(self, name)(message.subject)

    def on_containers_pane_opened(self, message: ContainersPane.Opened) -> None:
        from screens.container import ContainerScreen

        self._open(ContainerScreen(self._live.containers, message.container))

    def _open(self, screen: ConsoleScreen) -> None:
        """One screen over the dashboard at a time: Esc always leads back to it. An open question comes first."""
        if isinstance(self.screen, ModalScreen):
            return
        while len(self.screen_stack) > 1:
            self.pop_screen()
        self._tell(screen)  # before its first frame: a key typed ahead must find it complete
        self.push_screen(screen)

    def do_app_back(self, subject: str = "") -> None:
        if len(self.screen_stack) > 1:
            self.pop_screen()
            self._show()

    def do_app_dashboard(self, subject: str = "") -> None:
        while len(self.screen_stack) > 1:
            self.pop_screen()
        self._show()

    def do_app_quit(self, subject: str = "") -> None:
        self._quit()

    @work(group="quit", exclusive=True)
    async def _quit(self) -> None:
        from screens.dialogs import Choose
        from widgets.lines import line

        unsaved = self._seat.desk.unsaved
        if unsaved:
            options = [("wait", line("wait until they are saved")), ("quit", line("quit and lose them"))]
            if await self.push_screen_wait(Choose(unsaved, options, "wait")) != "quit":
                return
        await self._seat.desk.leave()
        left = await self._replica.drain(1.5) if self._replica is not None else 0
        files = self._attachments.waiting if self._attachments is not None else 0
        if left or files:
            told = f"not in the database yet: {left or 0} entries, {files} files; they are safe here"
            options = [("quit", line("quit: they go there when sevdeck runs again")), ("wait", line("stay"))]
            if await self.push_screen_wait(Choose(told, options, "quit")) != "quit":
                await self._seat.desk.join()
                return
        self.exit(0)

    def do_app_help(self, subject: str = "") -> None:
        from screens.dialogs import Read
        from screens.help import help_lines

        screen = self.screen
        name = screen.NAME if isinstance(screen, ConsoleScreen) else "dashboard"
        self.push_screen(Read(help_lines(name, self._config.keys, min(106, self.size.width - 4))))

    def do_app_palette(self, subject: str = "") -> None:
        self.action_command_palette()

    def do_app_theme(self, subject: str = "") -> None:
        at = THEMES.index(self.theme) if self.theme in THEMES else 0
        self.theme = THEMES[(at + 1) % len(THEMES)]

    def do_finding_why(self, subject: str = "") -> None:
        from console.actions.diagnosing import checks
        from console.checks.diagnose import Diagnosing
        from console.checks.scene import Scene
        from screens.diagnosis import DiagnosisScreen

        if self._diagnosing is None:  # kept: what was found stays known, and there is never a second run beside one
            self._diagnosing = Diagnosing(
                lambda: Scene(self._config, data_dir=self._data_dir), checks, judged=self._judged
            )
        self._open(DiagnosisScreen(self._seat, self._diagnosing, self._judged))

    def do_watch_pause(self, subject: str = "") -> None:
        if self._supervisor.paused:
            self._supervisor.resume()
        else:
            self._supervisor.pause()
        self._pace_logs()
        self.notify("paused: space goes on" if self._supervisor.paused else "live again", timeout=3, markup=False)

    def do_watch_slower(self, subject: str = "") -> None:
        self._set_refresh(+1)

    def do_watch_faster(self, subject: str = "") -> None:
        self._set_refresh(-1)

    def _set_refresh(self, step: int) -> None:
        at = REFRESH_RATES.index(self._refresh_seconds) if self._refresh_seconds in REFRESH_RATES else 0
        self._refresh_seconds = REFRESH_RATES[max(0, min(len(REFRESH_RATES) - 1, at + step))]
        self._supervisor.set_every(self._refresh_seconds)
        self._pace_logs()
        self.notify(f"every {self._refresh_seconds:.0f} s", timeout=2, markup=False)

    def _pace_logs(self) -> None:
        """The log pane of the dashboard keeps the rhythm of the others; paused, it stands still."""
        dashboard = self.screen_stack[0]
        if isinstance(dashboard, Dashboard):
            dashboard.every = math.inf if self._supervisor.paused else self._refresh_seconds

    def do_logs_open(self, subject: str = "") -> None:
        from screens.logs import LogsScreen

        self._open(LogsScreen(self._live.hub, source=subject, seat=self._seat))

    def do_incident_open(self, subject: str = "") -> None:
        from screens.incident import IncidentScreen

        if not isinstance(self.screen, IncidentScreen):
            self._open(IncidentScreen(self._seat, playbook=subject))

    @work(group="elsewhere", exclusive=True)
    async def do_record_elsewhere(self, subject: str = "") -> None:
        refusal = await self._seat.desk.go_elsewhere()
        if refusal:
            self.notify(refusal, severity="warning", markup=False)

    def do_recovery_open(self, subject: str = "") -> None:
        from screens.recovery import Recovery

        level, _, service = subject.rpartition(":")
        self._open(Recovery(self._seat, service=service, level=level))

    def do_containment_open(self, subject: str = "") -> None:
        from screens.containment import ContainmentScreen

        measure, _, service = subject.rpartition(":")
        self._open(ContainmentScreen(self._seat, service, measure))

    def do_incident_declare(self, subject: str = "") -> None:
        self._declare()

    @work(group="declare", exclusive=True)
    async def _declare(self) -> None:
        from console.actions.attending import CHECK
        from console.checks.evidence import evidence
        from screens.declare import Declare

        # An incident is about what is wrong, not about who is mending it.
        title = next((f.summary for f in self._findings or () if not f.cause and f.check != CHECK), "")
        seen = evidence(self._readings, self._config, time.time())
        answer = await self.push_screen_wait(Declare(seen, title, self._seat.actor.name))
        if answer is None:
            return
        try:
            await self._seat.desk.declare(
                answer.title,
                answer.severity,
                commander=answer.commander,
                wizard=answer.wizard,
                playbook=answer.playbook,
            )
        except SevdeckError as error:
            self.notify(str(error), severity="error", timeout=15, markup=False)
            return
        from screens.incident import IncidentScreen

        if not isinstance(self.screen, IncidentScreen):
            self.do_incident_open()
        if isinstance(self.screen, IncidentScreen):
            self.call_after_refresh(self.screen.action_command, "playbook.begin")

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        if isinstance(screen, ConsoleScreen):
            for command in commands.on_screen(screen.NAME):
                yield SystemCommand(
                    f"{command.label}  ({command.display})",
                    command.help,
                    lambda id=command.id: self.call_later(screen.action_command, id),
                )


def run(config: Config, data_dir: Path, live: LiveSources, note: str = "") -> int:
    """Open the console on this terminal; returns the exit code."""
    if not sys.stderr.isatty():
        # Textual draws on standard error, so redirecting it would leave a blank screen.
        raise UsageError(
            "The console draws on standard error, and that is not a terminal",
            remedy="Leave out `2>`; messages are in sevdeck.log in the data directory",
        )
    _, problems = commands.keymap(config.keys, str(config.path or "sevdeck.toml"))
    if problems:
        raise InvalidFileError(problems)
    theme = theme_name(config.theme) if config.theme else terminal_theme(os.environ)
    app = Sevdeck(config, data_dir, live, theme, note=note)
    code = app.run() or 0
    if app.failure is not None:
        raise app.failure
    return code
