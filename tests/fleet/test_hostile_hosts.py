"""Hosts that log us in and then lie: nothing hangs, nothing is believed, no control
character is printed.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from tests.conftest import ROOT, run_genvx
from tests.helpers import waylay

pytestmark = pytest.mark.needs("openssh")

PREAMBLE = f"""
import json, os, sys
sys.path[0] = {str(ROOT)!r}
from genvx.core.wire.callreader import read_call
from genvx.core.wire.reply import Reply
call = read_call(lambda n: os.read(0, n))
def send(data):
    while data: data = data[os.write(1, data[:65536]):]
def reply(value): send(Reply(value=value).to_bytes(call.token))
def snapshot():
    from genvx.core.wire import snapshotcodec
    from genvx.local.host import LocalHost
    return snapshotcodec.SNAPSHOT.write(LocalHost().snapshot())
"""


@pytest.fixture
def lying(make_sandbox):
    """A sandbox of two hosts, the first of whose far ends is what the test says."""

    def make(code):
        sandbox = make_sandbox("1", "2")
        liar = Path(sandbox.directory) / "liar.py"
        liar.write_text(PREAMBLE + textwrap.dedent(code))
        waylay(sandbox, "gpu-server-1", f'exec {sys.executable} {liar} "$@"')
        return sandbox

    return make


def check(answer):
    """The honest host is shown, the liar is a line, and nothing reaches the terminal raw."""
    assert answer.returncode == 4, answer.stderr
    assert "gpu-server-2  2      2" in answer.stdout
    lines = answer.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("gpu-server-1: ")
    assert all(line.isprintable() for line in answer.stdout.splitlines() + lines)
    return lines[0]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("reply(None)", "protocol"),
        ("reply([])", "protocol"),
        ("reply({'devices': 7})", "protocol"),
        ("s = snapshot(); s['devices'] = s['devices'] * 5000; reply(s)", "impossible devices"),
        ("s = snapshot(); s['devices'][0]['uuid'] = '../../x'; reply(s)", "impossible uuid"),
        ("s = snapshot(); s['devices'][0]['memory'] = -1; reply(s)", "impossible memory"),
        ("s = snapshot(); s['boottime_ns'] = 10**400; reply(s)", "protocol"),
        ("send(b'GENVX-REPLY ' + call.token.encode() + b' 99999999999 x')", "impossible length"),
        ("send(b'GENVX-REPLY cafe 2 {}\\n')", "gave no reply"),
        # Asked for the whole agent, it says the same.
        ("send(b'GENVX-REST ' + call.token.encode() + b'\\n')", "says that it is not whole"),
        ("send(b'x' * 200_000)", "64 KiB"),
        (
            "send(Reply(error='NoCapacity', message='a\\x1b[2Jb').to_bytes(call.token))",
            "a\\x1b[2Jb",
        ),
        ("send(Reply(error='SystemExit', message='x').to_bytes(call.token))", "agent"),
        ("sys.stderr.write('\\x1b]0;pwned\\x07\\x1b[2J\\n'); sys.exit(9)", "\\x1b[2J"),
        ("os.kill(os.getpid(), 9)", "gpu-server-1"),
        ("import time; time.sleep(600)", "timeout"),
        (
            "send(b'GENVX-REPLY ' + call.token.encode() + b' 60000000 ' + b'[' * 1000)\n"
            "import time; time.sleep(600)",
            "timeout",
        ),
        (
            "send(b'GENVX-REPLY ' + call.token.encode() + b' 5000 ' + b'[' * 5000 + b'\\n')",
            "cannot be read",
        ),
    ],
)
def test_a_host_that_lies_is_one_line_and_the_others_are_shown(lying, code, words):
    lying(code)
    assert words in check(run_genvx("remote", "-t", "6", "devices"))


def test_escape_codes_in_names_are_shown_escaped(lying):
    lying(
        """
        s = snapshot()
        s['hostname'] = s['devices'][0]['name'] = 'evil\\x1b]0;pwned\\x07\\u202e'
        s['driver']['notes'] = ['note\\x1b[2J']
        reply(s)
        """
    )
    for arguments in (["devices", "-v"], ["devices", "--csv", "-v"], ["status"], ["envs"]):
        answer = run_genvx("remote", *arguments)
        assert answer.returncode == 0
        assert all(c.isprintable() or c == "\n" for c in answer.stdout + answer.stderr)
    assert "evil\\x1b]0;pwned\\x07" in run_genvx("remote", "devices", "-v").stdout


def test_a_grant_that_is_none_is_passed_over(lying):
    lying("reply(snapshot() if call.operation == 'snapshot' else {'environment': 'x'})")
    answer = run_genvx("remote", "-q", "run", "-g", "1", "--", "printenv", "GENVX_STATE_DIR")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "gpu-server-2" in answer.stdout


def test_a_host_that_promises_and_refuses_is_passed_over(lying):
    lying(
        """
        if call.operation == 'snapshot': reply(snapshot())
        else: send(Reply(error='NoCapacity', message='changed my mind').to_bytes(call.token))
        """
    )
    answer = run_genvx("remote", "run", "-g", "1", "--", "printenv", "GENVX_STATE_DIR")
    assert answer.returncode == 0
    assert "gpu-server-2" in answer.stdout
