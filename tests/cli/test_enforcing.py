"""genvx remote enforce on real sshd: a round on each host, and a line for each that fails."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from genvx.cli.notifying import idle_message
from genvx.core.enforcing.action import Action, Done, Kind, Rule
from genvx.core.value import replace
from tests.capabilities import USER_A
from tests.cli.look.test_json import checked
from tests.conftest import run_genvx
from tests.helpers import until, waylay

POLICY = '[enforce]\nhook = ["{hook}"]\n[enforce.squatters]\ndo = "end"\ngrace = "1s"\n'


@pytest.fixture
def squatter(sandbox, monkeypatch, short_tmp):
    """A process of another user on a GPU of gpu-server-1, which has rules; the other has none."""
    monkeypatch.setenv("XDG_DATA_HOME", str(short_tmp / "data"))
    process = subprocess.Popen(["sleep", "600"], user=USER_A, group=USER_A, extra_groups=[])
    (host,) = [host for host in sandbox.hosts if host.name == "gpu-server-1"]
    hook = Path(sandbox.directory, "hook")
    hook.write_text(f'#!/bin/sh\nenv > {hook}.part && mv {hook}.part "{hook}.$GENVX_ACTION"\n')
    hook.chmod(0o755)
    Path(host.state, "policy.toml").write_text(POLICY.format(hook=hook))
    simulate = f"1xA100-80GB,process={process.pid}:20G@0"
    waylay(sandbox, "gpu-server-1", f"export GENVX_SIMULATE='{simulate}'")
    yield process
    process.kill()
    process.wait()


@pytest.mark.needs("openssh", "uids")
def test_each_host_does_its_rounds_and_one_without_rules_is_a_line(squatter, sandbox):
    why = f"process {squatter.pid} (sleep) uses GPU 0 without a lease"
    dry = run_genvx("remote", "enforce", "--dry-run")
    assert (dry.returncode, dry.stdout.count("\n")) == (4, 1)
    assert dry.stdout.startswith("gpu-server-1: would tell ")
    assert why in dry.stdout
    assert dry.stderr.count("\n") == 1
    assert dry.stderr.startswith("gpu-server-2: state: ")
    assert "has no [enforce], so there is nothing to enforce" in dry.stderr
    first = checked(run_genvx("remote", "enforce", "--json"), code=4)["hosts"]
    (told,) = first[0]["actions"]
    assert (told["action"], told["pid"], told["result"]) == (
        "tell",
        squatter.pid,
        "told on 0 terminals",
    )
    assert first[1]["ok"] is False
    said: list[str] = []

    def ended() -> bool:
        said.append(run_genvx("remote", "-H", "gpu-server-1", "enforce", "--once").stdout)
        return squatter.poll() is not None

    until(ended)
    assert f"gpu-server-1: term {USER_A}({USER_A}): {why}: sent\n" in said
    # Of rounds that end at once, the hooks go on by themselves.
    until(Path(sandbox.directory, "hook.term").exists)
    assert (run_genvx("remote", "-H", "gpu-server-1", "enforce", "--once").stdout) == ""


def test_who_asks_for_it_is_told_of_what_is_done_about_idle_environments_only():
    idle = Action(
        Kind.TELL, Rule.IDLE, 1001, "ann", ("0", "1"), "has not used GPU 0, 1 for 2 h",
        environment="abcd", name="train", left=7200.0,
    )  # fmt: skip
    message = idle_message(Done(idle, "told on 1 terminal"), "h")
    assert message is not None
    assert message.text == (
        "genvx: environment train (abcd) does not use its GPUs on h, GPU 0, 1: held by ann; "
        "has not used GPU 0, 1 for 2 h; its GPUs are released in 2 h"
    )
    released = idle_message(Done(replace(idle, kind=Kind.RELEASE, left=None), "released"), "h")
    assert released is not None
    assert released.text.endswith("for 2 h; its GPUs were released")
    assert idle_message(Done(replace(idle, rule=Rule.SQUATTERS), "sent"), "h") is None
