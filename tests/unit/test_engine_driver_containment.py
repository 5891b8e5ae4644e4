"""What the driver sends to the engine for a containment, to the letter, and what it makes of the answers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from console.actions.engine import DockerDriver, EngineRefusedError, InDoubtError
from console.config import DockerConfig
from tests.unit.engine_twin import EngineTwin, inspected

APP = "a" * 64


@pytest.fixture
def twin() -> Iterator[EngineTwin]:
    with EngineTwin() as made:
        made.put(inspected())
        yield made


@pytest.fixture
def driver(twin: EngineTwin) -> Iterator[DockerDriver]:
    made = DockerDriver(DockerConfig(host=twin.host))
    yield made
    made.close()


async def test_a_connection_carries_every_name_and_the_fixed_address(twin: EngineTwin, driver: DockerDriver) -> None:
    twin.answers["/networks/n1/connect"] = (200, "")
    await driver.connect(
        APP, "n1", {"aliases": ["app", "api"], "links": ["shop-old-1:legacy"], "ipam": {"IPv4Address": "10.0.0.9"}}
    )
    ((path, body),) = twin.sent
    sent = json.loads(body)
    assert (path, sent["Container"]) == ("/networks/n1/connect", APP)
    assert sent["EndpointConfig"]["Aliases"] == ["app", "api"]
    assert sent["EndpointConfig"]["Links"] == ["shop-old-1:legacy"]
    assert sent["EndpointConfig"]["IPAMConfig"] == {"IPv4Address": "10.0.0.9"}


async def test_a_restart_policy_goes_back_with_its_number_of_retries(twin: EngineTwin, driver: DockerDriver) -> None:
    twin.answers[f"/containers/{APP}/update"] = (200, {"Warnings": []})
    await driver.update_restart(APP, "no", 0)
    await driver.update_restart(APP, "on-failure", 3)
    assert [json.loads(body)["RestartPolicy"] for _, body in twin.sent] == [
        {"Name": "no"},
        {"Name": "on-failure", "MaximumRetryCount": 3},
    ]


async def test_a_plain_no_is_a_no_and_a_broken_connection_is_doubt(twin: EngineTwin, driver: DockerDriver) -> None:
    twin.answers["/networks/n1/disconnect"] = (500, {"message": "container is not connected to network n1"})
    with pytest.raises(EngineRefusedError, match="not connected"):
        await driver.disconnect(APP, "n1")
    twin.answers[f"/containers/{APP}/pause"] = (204, "")
    await driver.pause(APP)
    twin.path.unlink()
    with pytest.raises(InDoubtError):
        await driver.pause(APP)


async def test_a_portrait_has_what_could_be_had_and_says_what_not(twin: EngineTwin, driver: DockerDriver) -> None:
    shown = inspected()
    shown["NetworkSettings"]["Networks"] = {"shop_back": {"NetworkID": "n1"}}
    twin.put(shown)
    twin.answers[f"/containers/{APP}/top"] = (200, {"Titles": ["PID"], "Processes": [["41"]]})
    twin.answers["/networks/n1"] = (200, {"Name": "shop_back"})
    found = await driver.portrait(APP, 10)
    assert found["inspect"]["Name"] == "/shop-app-1"
    assert found["top"]["Processes"] == [["41"]]
    assert found["network_0"] == {"Name": "shop_back"}
    assert "No such container" in found["changed_files"]["error"]
