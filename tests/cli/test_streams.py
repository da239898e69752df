"""Streams that are full, closed, or read no more: the right code, and one line where one can be
said.
"""

from __future__ import annotations

import os
import shlex
import subprocess

import pytest

from tests.helpers import genvx_argv, genvx_env

NO_HOST = ("remote", "-H", "no-such.invalid")

PRINTING = [
    ("devices",),
    ("envs",),
    ("status",),
    ("devices", "--json"),
    ("devices", "-w"),
    ("queue",),
    ("explain", "-g", "1"),
    ("policy",),
    ("doctor",),
    ("acquire", "-g", "1", "--for", "1h"),
    ("shell-init", "bash"),
    ("completion", "bash"),
    ("config",),
    ("sandbox", "status", "--dir", "/var/tmp/genvx-no-such"),
    ("version",),
    ("--version",),
    ("--help",),
    ("help", "run"),
    (*NO_HOST, "devices", "--json"),
]


def buffered():
    """As people have it: what is printed is written at the end, or by blocks."""
    return genvx_env(PYTHONUNBUFFERED="")


def sh(words, streams):
    """Run genvx in a shell that has done something to its streams."""
    command = f"exec {shlex.join(genvx_argv(*words))} {streams}"
    return subprocess.run(
        ["sh", "-c", command], env=buffered(), capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("words", PRINTING, ids=" ".join)
def test_a_full_disk_is_one_line_and_1(state, words):
    answer = sh(words, "> /dev/full")
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-1] == (
        "genvx: cannot write the output: No space left on device"
    )
    assert answer.stderr.count("\n") == (2 if words[0] == "remote" else 1)


@pytest.mark.parametrize("words", PRINTING, ids=" ".join)
def test_a_pipe_that_nobody_reads_is_no_error(state, words):
    read, write = os.pipe()
    os.close(read)
    answer = subprocess.run(
        genvx_argv(*words),
        env=buffered(),
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    os.close(write)
    if words[0] == "remote":
        assert (answer.returncode, answer.stderr.count("\n")) == (4, 1)
    else:
        assert (answer.returncode, answer.stderr) == (0, "")


CODES = [
    (("devices",), 0),
    (("devices", "--json"), 0),
    (("--help",), 0),
    (("run", "-g", "1", "--", "sh", "-c", "echo out; echo err >&2; exit 7"), 7),
    (("frobnicate",), 2),
    ((*NO_HOST, "devices"), 4),
]


@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&-", ">&- 2>&- <&-", "2> /dev/full"])
@pytest.mark.parametrize(("words", "code"), CODES, ids=lambda each: str(each)[:20])
def test_a_stream_that_is_closed_changes_no_code(state, words, code, streams):
    if words[0] == "run" and streams == "2> /dev/full":
        words = ("run", "-g", "1", "--", "sh", "-c", "exit 7")
    answer = sh(words, streams)
    assert answer.returncode == code
    assert "Traceback" not in answer.stderr
    assert "fault of genvx" not in answer.stderr


def test_a_command_does_not_get_files_of_genvx_as_its_closed_streams(state):
    show = "readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 > seen"
    answer = sh(("run", "-g", "1", "--", "sh", "-c", show), "<&- >&- 2>&-")
    assert answer.returncode == 0
    # The lease's file has another number, where no command writes to it by chance.
    with open("seen") as seen:
        lines = seen.read().splitlines()
    assert lines[0] == "/dev/null"
    assert lines[2] == "/dev/null"
