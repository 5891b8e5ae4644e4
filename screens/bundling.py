"""One key: what this host looks like now is collected and masked, counted before the person's eyes, and attached."""

from __future__ import annotations

import time
from collections.abc import Sequence

from textual import work

from console.checks import bundle as bundles
from console.checks.bundle import Bundle
from console.checks.check import Finding
from console.checks.diagnosis import CheckResult
from console.checks.scene import Scene
from console.errors import SevdeckError
from console.incident.attach import LIMIT
from screens.dialogs import Confirm
from screens.incident_acts import IncidentActs
from widgets.lines import Span, line
from widgets.pane import wrap

_KEY = "y"


class BundleActs(IncidentActs):
    """The evidence bundle; a screen mixes it in."""

    def found(self) -> tuple[Sequence[Finding], Sequence[CheckResult]]:
        """What goes into the bundle as the diagnosis: findings, and results of checks."""
        return self.findings or (), ()

    @work(group="bundle", exclusive=True)
    async def do_incident_bundle(self) -> None:
        incident = self.open_incident()
        if incident is None:
            return
        self.notify("Collecting evidence: usually a few seconds, at most one minute.", markup=False)
        try:
            bundle, content = await self._collected()
        except SevdeckError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        room = min(100, self.size.width) - 8
        lines = [line(Span(text, "strong")) for text in wrap(f"Attach this bundle to {incident.id}?", room)]
        lines += [line(text) for told in bundles.preview(bundle) for text in wrap(told, room)]
        if await self.app.push_screen_wait(Confirm(lines, key=_KEY, does="attach it")) != _KEY:
            return
        try:
            name = f"{bundles.name_of(bundle)}.tar.gz"
            event = await self.seat.desk.attach_masked(name, content, "evidence bundle")
        except SevdeckError as error:
            self.notify(str(error), severity="error", timeout=10, markup=False)
            return
        sha256 = str(event.data["sha256"])[:16]
        self.notify(f"Attached {name}: {len(content)} bytes, sha256 {sha256}", timeout=10, markup=False)

    async def _collected(self) -> tuple[Bundle, bytes]:
        """The bundle of this moment, and its archive as large as an attachment may be."""
        desk, (findings, results) = self.seat.desk, self.found()
        scene = Scene(self.seat.config, data_dir=self.seat.data_dir)
        try:
            bundle = await bundles.collect(
                scene,
                findings=findings,
                results=results,
                flight=desk.recorder.freeze(time.time()),
                journal=await desk.events(),
            )
            return await self.seat.engine.call(bundles.packed_within, bundle, LIMIT)
        finally:
            await scene.close()
