"""Ctrl-C while hosts keep us waiting: what has come is shown."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import run_genvx
from tests.helpers import Terminal, genvx_argv, genvx_env
from torture.servers import misbehaving, silent

pytestmark = pytest.mark.needs("openssh")


@pytest.fixture
def waiting(make_sandbox):
    """Starts a verb on one host that answers and one that never does, and waits until it waits."""
    sandbox = make_sandbox("2")
    with misbehaving(silent) as port:

        def start(*verb):
            hosts = f"gpu-server-1,127.0.0.1:{port}"
            words = ["remote", "-H", hosts, "-t", "60", *verb]
            terminal = Terminal(genvx_argv(*words), genvx_env(GENVX_SSH_CONFIG=sandbox.ssh_config))
            terminal.expect("1/2 hosts")
            return terminal

        yield start


def test_ctrl_c_shows_what_has_come_and_how_much_has_not(waiting):
    terminal = waiting("devices")
    terminal.key("\x03")
    terminal.expect("gpu-server-1  2      2")
    terminal.expect("interrupted: 1 of 2 hosts had not answered\r\n")
    assert terminal.end() == 130


def test_ctrl_c_in_json_names_the_hosts_that_had_not_answered(waiting):
    terminal = waiting("devices", "--json")
    terminal.key("\x03")
    text = terminal.expect("interrupted: 1 of 2")
    answered, late = json.loads(text[text.index("{") : text.rindex("}") + 1])["hosts"]
    assert len(answered["devices"]) == 2
    assert late["error"]["kind"] == "interrupted"
    assert terminal.end() == 130


def test_ctrl_c_ends_a_watch_that_waits(waiting):
    terminal = waiting("devices", "-w")
    terminal.key("\x03")
    terminal.expect("gpu-server-1  2      2")
    assert terminal.end() == 130


def test_ctrl_c_while_a_host_is_chosen_takes_nothing(waiting):
    terminal = waiting("activate", "-g", "1")
    terminal.key("\x03")
    assert terminal.end() == 130


def test_ctrl_c_while_a_run_is_looked_for_does_nothing(waiting):
    terminal = waiting("runs", "stop", "nothing")
    terminal.key("\x03")
    assert terminal.end() == 130
    assert "no run" not in terminal.child.before


def test_a_table_and_the_lines_about_failures_do_not_mix_in_one_file(sandbox, tmp_path):
    path = tmp_path / "both"
    with open(path, "wb") as both:
        subprocess.run(
            genvx_argv(
                "remote", "-H", "gpu-server-1,gpu-server-2,no-such.invalid", "devices", "-v"
            ),
            env=genvx_env(),
            stdout=both,
            stderr=both,
        )
    last, line = path.read_text().splitlines()[-2:]
    assert last == "Total 3 devices with 3 available on 2 hosts"
    assert line.startswith("no-such.invalid: dns: ")


# Presses Ctrl-C when a thread of the command has the lock that all need who send to the host.
_PRESSED = """
import os, signal, sys, threading, paramiko

class Pressed(threading.Event):
    left = int(sys.argv[1])

    def is_set(self):
        Pressed.left -= 1
        if not Pressed.left:
            os.kill(os.getpid(), signal.SIGINT)
        return super().is_set()

init = paramiko.Transport.__init__

def __init__(self, *args, **options):
    init(self, *args, **options)
    self.clear_to_send = Pressed()

paramiko.Transport.__init__ = __init__
from genvx.cli.main import main
sys.argv = ["genvx", *sys.argv[2:]]
main()
"""


def test_ctrl_c_in_the_midst_of_a_message_ends_a_command_at_once(sandbox):
    run = run_genvx("remote", "run", "-d", "-g", "1", "--", "sleep", "1000").stdout.strip()
    for words, said in (
        (("watch", run), f"run {run} goes on"),
        (("pull", run), "pull goes on there"),
        (("run", "-g", "1", "--", "sleep", "1000"), ""),
        (("run", "-d", "--wait", "-g", "1", "--", "true"), "may have started"),
        (("runs", "stop", run), ""),
    ):
        # Five messages to each of two hosts find the run, or the best host. The third of those
        # that follow is the question.
        argv = [sys.executable, "-c", _PRESSED, "13", "remote", *words]
        terminal = Terminal(argv, genvx_env())
        assert terminal.end() == 130
        assert said in terminal.child.before
        assert "Traceback" not in terminal.child.before
