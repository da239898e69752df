"""Servers and sweeps whose commands start in containers, as they are typed: real podman."""

from __future__ import annotations

import os
import signal
import urllib.request

import pytest

from genvx.local.machine import Machine
from genvx.local.runs import lock
from tests.conftest import run_genvx
from tests.helpers import until
from tests.local.runs.containers import IMAGE, Podman

pytestmark = pytest.mark.needs("podman")

_TRIAL = """\
[ -e /usr/bin/python3 ] && exit 1
echo "$CUDA_VISIBLE_DEVICES $GENVX_PARAMETERS"
echo "{\\"value\\": $1}" >>"$GENVX_REPORT"
"""


@pytest.fixture(scope="module")
def podman(tmp_path_factory):
    podman = Podman(tmp_path_factory.mktemp("podman") / "p")
    podman.make_image()
    yield podman
    podman.end()


@pytest.fixture
def typed(podman, monkeypatch, state, short_tmp):
    """Has a command line done with podman on the PATH; what was printed."""
    monkeypatch.setenv("PATH", f"{podman.programs}:{os.environ['PATH']}")
    monkeypatch.setenv("GENVX_RUNS_DIR", str(short_tmp / "runs"))
    monkeypatch.setenv("GENVX_SIMULATE", "2xA100-80GB")

    def typed(*words, code=0):
        done = run_genvx(*words)
        assert done.returncode == code, done.stderr
        return done

    yield typed
    for each in lock.living(Machine().state):
        os.kill(each.pid, signal.SIGKILL)  # so that nobody starts anything meanwhile
    podman.clear()


def test_each_trial_of_a_sweep_starts_in_a_container(typed, tmp_path, monkeypatch):
    (tmp_path / "train.sh").write_text(_TRIAL)
    monkeypatch.chdir(tmp_path)
    words = ["sweep", "-P", "x=1,3", "-g", "1", "--maximize", "--image", IMAGE, "--project", "."]
    done = typed(*words, "--", "dash", "train.sh", "{x}")
    assert "value 3, x=3" in done.stdout
    assert '{"x": 1}' in typed("logs", "2").stdout + typed("logs", "1").stdout


def test_a_server_in_a_container_answers_and_stops(typed, podman):
    mounts = [word for path in ("/usr", "/lib") for word in ("--mount", f"{path}:{path}:ro")]
    server = ["/usr/bin/python3", "-m", "http.server", "{port}", "--bind", "127.0.0.1"]
    url = typed("serve", "-d", "-g", "1", "--image", IMAGE, *mounts, "--", *server).stdout.strip()
    with urllib.request.urlopen(url, timeout=60) as answer:
        assert b"Directory listing" in answer.read()
    assert len(podman.names()) == 1
    typed("runs", "stop", "1")
    until(lambda: podman.names() == [])


def test_options_of_a_container_without_an_image_are_refused(typed):
    for verb in (["sweep", "-P", "x=1,2"], ["serve"]):
        done = typed(*verb, "-g", "1", "--runtime", "podman", "--", "true", code=2)
        assert "--runtime goes with --image" in done.stderr
