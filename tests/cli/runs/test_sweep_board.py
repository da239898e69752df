"""genvx sweep tensorboard, with a program of that name which says what it was given."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.conftest import run_genvx
from tests.helpers import start_genvx, until

pytestmark = pytest.mark.needs("openssh")

_BOARD = """\
import json, os, pathlib, socket, sys, time
words = sys.argv[1:]
given = dict(zip(words[::2], words[1::2]))
listener = socket.create_server((given["--host"], int(given["--port"])))
while True:
    logs = pathlib.Path(given["--logdir"])
    found = {str(each.relative_to(logs)): each.read_text() for each in logs.rglob("*tfevents*")}
    said = pathlib.Path(os.environ["PLACE"], "said")
    said.with_suffix(".new").write_text(json.dumps(found))
    said.with_suffix(".new").rename(said)
    time.sleep(0.1)
"""
_TRIAL = """
mkdir logs
echo one >> logs/events.out.tfevents.1
echo no > logs/other
[ "$GENVX_TRIAL" = 0 ] || until [ -e "$PLACE/go" ]; do sleep 0.1; done
echo two >> logs/events.out.tfevents.1
"""


@pytest.fixture
def place(short_tmp, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(short_tmp / "data"))
    monkeypatch.setenv("PLACE", str(short_tmp))
    return short_tmp


def test_one_tensorboard_shows_the_event_files_of_all_trials_as_they_grow(
    sandbox, place, monkeypatch
):
    words = ("-P", "act=relu,a/b", "--tuner", "grid", "-g", "1", "--env", f"PLACE={place}")
    sweep = start_genvx("remote", "sweep", *words, "--", "sh", "-c", _TRIAL)
    until(lambda: "trial 0  completed" in sweep.stdout.readline())
    lacking = run_genvx("sweep", "tensorboard")
    assert lacking.returncode == 2
    assert "tensorboard is not installed here: pip install tensorboard" in lacking.stderr
    program = Path(place, "bin", "tensorboard")
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{_BOARD}")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    board = start_genvx("sweep", "tensorboard")
    assert "TensorBoard: http://localhost:" in board.stderr.readline()
    said = Path(place, "said")
    done, going = "0 act=relu/logs/events.out.tfevents.1", "1 act=a_b/logs/events.out.tfevents.1"
    until(
        lambda: (
            said.exists() and json.loads(said.read_text()) == {done: "one\ntwo\n", going: "one\n"}
        )
    )
    Path(place, "go").touch()
    until(lambda: json.loads(said.read_text()) == {done: "one\ntwo\n", going: "one\ntwo\n"})
    os.killpg(board.pid, signal.SIGINT)
    board.communicate()
    sweep.communicate()
    assert (board.returncode, sweep.returncode) == (130, 0)
