"""Runs where logind ends all processes of a user at logout, played by programs of our own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from genvx.errors import StateError
from genvx.local import doctor
from genvx.local.running import logind
from genvx.local.runs import lock
from tests.helpers import as_a_user
from tests.local.runs.test_runs import asked

_BUSCTL = """#!/bin/sh
echo "busctl $*" >> {place}/calls
[ "$XDG_RUNTIME_DIR" = /run/user/{uid} ] || exit 9
case "$*" in
*get-property*) printf '%s\\n' '{kills}' 'as 0' 'as 1 "root"' ;;
*StartTransientUnit*)
    echo "{moves}" >&2
    [ -z "{moves}" ] && echo 0::/user.slice/user@0.service/x.scope > {place}/cgroup ;;
esac
"""
_LOGINCTL = """#!/bin/sh
echo "loginctl $*" >> {place}/calls
case "$*" in
*show-user*) echo Linger={lingers} ;;
*enable-linger*) echo "{refuses}" >&2; [ -z "{refuses}" ] ;;
esac
"""


@pytest.fixture
def session(short_tmp, monkeypatch):
    """Has this process be in a session of logind that answers like this; returns what was asked."""
    as_a_user(monkeypatch)

    def begin(kills="b true", lingers="no", moves="", refuses="", cgroup="session-3.scope"):
        words = {"kills": kills, "lingers": lingers, "moves": moves, "refuses": refuses}
        words |= {"place": short_tmp, "uid": os.getuid()}
        programs = short_tmp / "bin"
        programs.mkdir()
        for name, text in (("busctl", _BUSCTL), ("loginctl", _LOGINCTL)):
            (programs / name).write_text(text.format(**words))
            (programs / name).chmod(0o755)
        (short_tmp / "cgroup").write_text(f"0::/user.slice/user-0.slice/{cgroup}\n")
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        monkeypatch.setattr(logind, "_CGROUP", str(short_tmp / "cgroup"))
        monkeypatch.setattr(logind, "_MOVING", 0.2)
        calls = Path(short_tmp / "calls")
        return lambda: calls.read_text().splitlines() if calls.exists() else []

    return begin


def test_a_run_leaves_the_session_for_a_scope_and_its_user_lingers(session, start):
    calls = session()
    run = start(asked("sleep", "1000"), fork=True)
    assert run.note == logind.LINGERED
    question, linger, enable, move = calls()
    assert "KillUserProcesses" in question
    assert linger == f"loginctl show-user {os.getuid()} --property=Linger"
    assert enable == "loginctl --no-ask-password enable-linger"
    assert f"genvx-run-{run.id}.scope fail 2 PIDs au 1 " in move


def test_it_is_the_supervisor_that_leaves_the_session(session, start, host):
    calls = session(lingers="yes")
    run = start(asked("sleep", "1000"), fork=True)
    assert run.note == ""
    supervisor = lock.supervision_of(host.state, os.getuid(), run.id)
    assert f"PIDs au 1 {supervisor.pid} " in calls()[-1]
    assert not any("enable-linger" in call for call in calls())


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"refuses": "Access denied"}, "Access denied; have root type: loginctl enable-linger raz"),
        ({"moves": "Bad message"}, "Bad message; try systemd-run --user --scope true there"),
    ],
)
def test_a_run_that_would_end_at_the_logout_is_refused(session, start, catalog, answers, said):
    session(**answers)
    with pytest.raises(StateError, match="KillUserProcesses=yes") as refused:
        start(asked("true"), fork=True)
    assert said in str(refused.value)
    assert os.listdir(catalog._shelf.root) == []


@pytest.mark.parametrize(
    ("answers", "asks"),
    [
        ({"kills": "b false"}, 1),
        ({"kills": "garbage"}, 1),
        ({"cgroup": "user@0.service/app.slice"}, 0),
        ({"cgroup": ""}, 0),
    ],
)
def test_elsewhere_nothing_is_done(session, start, answers, asks):
    calls = session(**answers)
    assert start(asked("true"), fork=True).note == ""
    assert len(calls()) == asks


def test_doctor_says_it_before(session, host):
    session()
    found = doctor.examine(host.environ, host._survey, host.places)
    (line,) = [each for each in found if each.check == "logind"]
    assert line.advice.startswith("loginctl enable-linger")
