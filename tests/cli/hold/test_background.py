"""Remote commands as jobs of a shell: in the background, in the foreground, without stdin."""

from __future__ import annotations

import pytest

from tests.conftest import run_genvx
from tests.helpers import Terminal, genvx_argv, genvx_env

pytestmark = pytest.mark.needs("openssh", "bash")

RUN = " ".join(genvx_argv("remote", "-q", "run", "-g", "1"))


@pytest.fixture
def local(sandbox):
    """A shell with job control."""
    terminal = Terminal(["/bin/bash", "--norc", "--noediting", "-i"], genvx_env(PS1="local> "))
    terminal.expect("local> ")
    yield terminal
    terminal.child.close(force=True)


def test_a_job_in_the_background_is_not_stopped_for_what_it_could_read(local):
    local.line(f"{RUN} -- sh -c 'sleep 1; exit 7' & wait $!; echo code=$?")
    local.expect("code=7")


def test_what_is_typed_is_for_whoever_is_in_the_foreground(local):
    local.line(f"{RUN} -- sh -c 'echo u''p; cat' &")
    local.expect("up\r\n")
    local.line("echo he''re")
    local.expect("here\r\n")
    local.line("fg")
    local.expect("cat'\r\n")
    local.line("for cat")
    local.expect("for cat\r\n")
    local.expect("for cat\r\n")
    local.key("\x1a")
    local.expect("Stopped")
    local.line("bg")
    local.line("echo aga''in")
    local.expect("again\r\n")
    local.line("fg")
    local.expect("cat'\r\n")
    local.key("\x04")
    local.expect("local> ")
    local.line("echo code=$?")
    local.expect("code=0")


@pytest.mark.parametrize("where", [[], ["remote", "-q"]])
def test_without_stdin_a_command_reads_nothing(sandbox, state, where):
    answer = run_genvx(*where, "run", "-g", "1", "--no-stdin", "--", "cat", input="x", stdin=None)
    assert (answer.stdout, answer.stderr, answer.returncode) == ("", "", 0)
