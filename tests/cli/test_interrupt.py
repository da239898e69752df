"""Ctrl-C while hosts keep us waiting: what has come is shown."""

from __future__ import annotations

import json
import subprocess

import pytest

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
