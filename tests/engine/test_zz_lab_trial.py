from tests.lab.lab import Lab, PrivateEngine
import pytest

def test_a(healthy_lab: Lab) -> None:
    assert "503" in healthy_lab.break_("edge-5xx")

def test_b(healthy_lab: Lab) -> None:
    assert healthy_lab.is_well()
    healthy_lab.stack.docker("rm", "-f", healthy_lab.stack.container("postgres"))

def test_c(healthy_lab: Lab) -> None:
    assert healthy_lab.is_well()
    healthy_lab.compose("down", "-v")

def test_d(healthy_lab: Lab) -> None:
    assert healthy_lab.is_well()
    healthy_lab.stack.inside("postgres", "sh", "-c", "rm -rf $PGDATA/base $PGDATA/global")
    healthy_lab.stack.docker("kill", healthy_lab.stack.container("postgres"))

def test_d2(healthy_lab: Lab) -> None:
    assert healthy_lab.is_well()

def test_e(private_engine: PrivateEngine) -> None:
    private_engine.docker("run", "-d", "sevdeck-lab/tiny:1", "sleep", "100")
    private_engine.freeze()
    assert not private_engine.answers()

def test_f(private_engine: PrivateEngine) -> None:
    assert private_engine.answers()
    assert not private_engine.docker("ps", "-aq").stdout
    private_engine.kill()

def test_g(private_engine: PrivateEngine) -> None:
    assert private_engine.answers()
