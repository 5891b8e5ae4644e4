"""The order and the columns of the containers pane."""

from __future__ import annotations

import pytest

from console.watch.containers import ContainersReading
from console.watch.source import Reading
from tests.unit.readings_made import container, stopped
from widgets.containers_pane import ContainersPane, names_of, ordered, state_text

OWN = (container("app", cpu=5.0, memory=20), container("edge", cpu=1.0, memory=10), stopped("worker", 137))
NEIGHBOUR = container("grafana", project="watching", cpu=90.0, memory=900, status="restarting", health="")
ALONE = container("", name="adhoc", project="", cpu=50.0, memory=500)
ALL = (NEIGHBOUR, ALONE, *OWN)


@pytest.mark.parametrize(
    ("sort", "own", "others"),
    [
        ("state", ["worker", "app", "edge"], ["grafana", "adhoc"]),
        ("name", ["app", "edge", "worker"], ["adhoc", "grafana"]),
        ("cpu", ["app", "edge", "worker"], ["grafana", "adhoc"]),
        ("memory", ["app", "edge", "worker"], ["grafana", "adhoc"]),
    ],
)
def test_the_own_project_comes_first_in_every_order(sort: str, own: list[str], others: list[str]) -> None:
    assert [c.label for c in ordered(ALL, sort, "shop")] == own + others


def test_without_a_configured_project_the_worst_is_first_wherever_it_belongs() -> None:
    assert [c.label for c in ordered(ALL, "state")] == ["worker", "grafana", "adhoc", "app", "edge"]


def test_that_memory_ran_out_is_never_cut_off() -> None:
    killed = stopped("worker", 137, oom_killed=True)
    pane = ContainersPane()
    for width in (44, 57, 58, 66, 120):
        row = "".join(span.text for span in pane._row(killed, 8, width, False, False, "3m"))
        assert "OOM" in row, width
        assert "OOM↻" not in row
    assert state_text(killed) == "exited 137 OOM"


def test_replicas_of_one_service_are_told_apart() -> None:
    pane = ContainersPane(project="shop")
    two = [container("app", id=str(n) * 64, name=f"shop-app-{n}") for n in (1, 2)]
    pane.set_reactive(ContainersPane.reading, Reading(ContainersReading("", "", (*two, container("edge")), ())))
    named = [names_of(c, False, pane._crowded) for c in pane.rows()]
    assert named == ["app-1", "app-2", "edge"]
