"""The quick start, played by a person at a terminal, word for word."""

from __future__ import annotations

import re

import pexpect
import pytest

from tests.helpers import Terminal, genvx_argv, genvx_env, until

pytestmark = pytest.mark.needs("openssh", "bash")


@pytest.fixture
def remote(sandbox, tmp_path):
    """Runs `genvx remote --hostfile hostfile.txt …` in a terminal, as the document does."""
    (tmp_path / "hostfile.txt").write_text("gpu-server-1\ngpu-server-2\n")

    def run(*words):
        return Terminal(genvx_argv("remote", "--hostfile", "hostfile.txt", *words), genvx_env())

    return run


def shown(terminal):
    """All that stays on the screen, in lines of words."""
    terminal.child.expect(pexpect.EOF)
    # A progress line is erased again.
    text = re.sub(r"[^\n]*\r\x1b\[K", "", terminal.child.before).replace("\r", "")
    lines = [line.split() for line in text.split("\n")]
    terminal.child.close()
    return [line for line in lines if line]


def test_the_quick_start_runs_word_for_word(remote, sandbox):
    *devices, total = shown(remote("devices"))
    assert [row[:3] for row in devices] == [
        ["HOST", "TOTAL", "AVAILABLE"],
        ["gpu-server-1", "1", "1"],
        ["gpu-server-2", "2", "2"],
    ]
    assert total == ["Total", "3", "devices", "with", "3", "available", "on", "2", "hosts"]

    other = Terminal(["ssh", "-F", sandbox.ssh_config, "gpu-server-2"], genvx_env())
    other.expect("$ ")
    other.line("genvx activate --name my-env --gpus 1")
    other.expect("(genvx my-env) $ ")

    header, row, total = shown(remote("envs"))
    assert header == ["HOST", "ID", "USER", "NAME", "CREATED", "DEVICES", "LEFT", "PID"]
    assert row[0] == "gpu-server-2"
    assert re.fullmatch(r"\S+\(\d+\)", row[2])
    assert row[3] == "my-env"
    assert re.fullmatch(r"\d+ seconds? ago", " ".join(row[4:7]))
    assert total == ["Total", "1", "environments", "on", "2", "hosts"]

    first = remote("activate", "--gpus", "1")
    first.expect("(genvx) gpu-server-1 $ ")
    first.line("genvx status")
    first.expect("environment")
    first.expect("A100-80GB (simulated)")
    first.line("exit")
    assert first.end() == 0

    refused = remote("activate", "--gpus", "2")
    refused.expect("Cannot find a host with enough available resources\r\n")
    assert refused.end() == 3

    other.line("genvx deactivate")
    other.expect("$ ")
    until(lambda: shown(remote("envs"))[-1] == ["Total", "0", "environments", "on", "2", "hosts"])

    last = remote("activate", "--gpus", "2")
    last.expect("(genvx) gpu-server-2 $ ")
    last.line("echo $GENVX_DEVICES; exit 6")
    last.expect("0,1\r\n")
    assert last.end() == 6
    other.line("exit")
    other.end()
