"""An agent that waits runs nothing once a login would be another one than its own."""

import os
import subprocess
import sys

import pytest

from genvx.agent import login
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.core.wire.asking import call_of
from genvx.core.wire.job import Job
from genvx.core.wire.ongoing import Run, Stay
from genvx.core.wire.protocol import STALE
from genvx.core.wire.replyreader import ReplyReader
from tests.helpers import ROOT


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".bashrc").write_text('[ -f ~/.more ] && . ~/.more; source "$HOME/.most"\n')
    return tmp_path


@pytest.mark.parametrize("name", [".bashrc", ".zshenv", ".more", ".most"])
def test_a_start_up_file_that_has_changed_or_is_sourced_is_noticed(home, name):
    found = login.Login()
    assert found.unchanged
    (home / "other").write_text("export A=1\n")
    assert found.unchanged
    (home / name).write_text("export A=1\n")
    assert not found.unchanged


def test_a_start_up_file_that_is_a_pipe_or_a_directory_blocks_nothing(home):
    os.mkfifo(home / ".zshenv")
    (home / ".profile").mkdir()
    assert login.Login().unchanged


def test_an_agent_that_waited_says_so_and_starts_nothing(home, tmp_path):
    ran = tmp_path / "ran"
    run = Run(Ask(Requirements()), Job(("touch", str(ran))))
    for changes in (False, True):
        with subprocess.Popen(
            [sys.executable, "-m", "genvx.agent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT), "GENVX_STATE_DIR": str(tmp_path / "state")},
        ) as agent:
            assert agent.stdin is not None
            assert agent.stdout is not None
            (tmp_path / "state").mkdir(mode=0o755, exist_ok=True)
            os.write(agent.stdin.fileno(), call_of(Stay(60.0, True), "0123abcd").to_bytes())
            _reply(agent.stdout.fileno(), "0123abcd")
            if changes:
                ran.unlink()
                (home / ".bashrc").write_text("export A=1\n")
            os.write(agent.stdin.fileno(), call_of(run, "4567abcd").to_bytes())
            reply = _reply(agent.stdout.fileno(), "4567abcd")
            assert reply.error is None
            assert (reply.value == STALE) == changes
            assert agent.wait(60) == 0
        assert ran.exists() == (not changes)


def _reply(descriptor, token):
    reader = ReplyReader(token)
    while (reply := reader.feed(os.read(descriptor, 65536))) is None:
        pass
    return reply
