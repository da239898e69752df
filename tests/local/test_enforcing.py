"""genvx enforce with real processes of several users on simulated devices."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess

import pytest

from genvx.core.enforcing import decision
from genvx.core.enforcing.action import Action, Kind, Rule
from genvx.local import processes
from genvx.local.enforcing.acting import act
from genvx.local.host import LocalHost
from tests.capabilities import USER_A, USER_B, USER_C
from tests.helpers import start_genvx, until

END = '[enforce.squatters]\ndo = "end"\ngrace = "1s"\n'
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""
HOLD = """
import os, sys
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.local.host import LocalHost
hold = LocalHost().acquire(Ask(Requirements(1), name="mine"))
print(hold.grant.environment_id, flush=True)
sys.stdin.read()
"""


class Room:
    """A machine with two simulated GPUs, a policy, and processes of users."""

    def __init__(self, world, state, data, monkeypatch):
        self.world, self.state, self.data = world, state, data
        self.patch = monkeypatch
        self.lines: list[str] = []
        self.running: list[subprocess.Popen] = []
        self.uses = ""
        monkeypatch.setenv("GENVX_STATE_DIR", str(state))
        monkeypatch.setenv("XDG_DATA_HOME", str(data))
        self.use()

    def use(self, *uses: str) -> None:
        self.patch.setenv("GENVX_SIMULATE", ",".join(["2xA100-80GB", *uses]))

    def policy(self, text: str) -> None:
        (self.state / "policy.toml").write_text(text)

    def environ(self) -> dict[str, str]:
        return {name: os.environ[name] for name in ("GENVX_STATE_DIR", "GENVX_SIMULATE")}

    def start(self, uid: int, *argv: str, **options) -> subprocess.Popen:
        self.running.append(
            subprocess.Popen(argv, user=uid, group=uid, extra_groups=[], cwd="/", **options)
        )
        return self.running[-1]

    def enforcer(self, **options):
        enforcer = LocalHost().enforcer(self.lines.append, **options)
        enforcer.open()
        return enforcer

    def journal(self) -> list[dict]:
        path = self.data / "genvx" / "enforce" / "journal.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def room(world, shared_state, tmp_path, monkeypatch):
    room = Room(world, shared_state, tmp_path / "data", monkeypatch)
    yield room
    for process in room.running:
        process.kill()
        process.communicate()


def rounds(enforcer, over) -> list:
    """Rounds of an enforcer until something is so; what was done in them."""
    done: list = []

    def one() -> bool:
        done.extend(enforcer.round())
        return over()

    until(one, "the rounds have done it")
    return done


@pytest.mark.needs("uids")
def test_a_squatter_is_told_on_their_terminal_asked_killed_and_nobody_else_is(room, monkeypatch):
    monkeypatch.setattr(decision, "_GRACE_NS", 10**9)
    room.policy(f'{END}[enforce.exempt]\nusers = ["{USER_B}"]\n')
    ours, theirs = pty.openpty()
    os.fchown(theirs, USER_A, USER_A)
    bad = room.start(
        USER_A,
        room.world.python,
        "-c",
        f"import fcntl, termios\nfcntl.ioctl(0, termios.TIOCSCTTY, 0)\n{STUBBORN}",
        stdin=theirs,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert bad.stdout.readline() == b"ready\n"
    exempt = room.start(USER_B, "sleep", "600")
    holder = room.world.start(USER_C, HOLD, **room.environ())
    room.running.append(holder)
    assert holder.stdout.readline()
    # GPU 0 is leased by now, so the holder is on it, the exempt one is an intruder there, and the
    # squatter is on the other one.
    room.use(f"process={holder.pid}:9G@0", f"process={exempt.pid}:9G@0", f"process={bad.pid}:20G@1")
    enforcer = room.enforcer()
    done = rounds(enforcer, lambda: bad.poll() is not None)
    enforcer.close()
    assert bad.returncode == -signal.SIGKILL
    kinds = list(dict.fromkeys(each.action.kind for each in done))
    assert kinds == [Kind.TELL, Kind.TERM, Kind.KILL]
    assert {each.action.pid for each in done} == {bad.pid}
    assert (exempt.poll(), holder.poll()) == (None, None)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    os.close(theirs)
    assert f"process {bad.pid} (" in shown
    assert "uses GPU 1 without a lease; it is ended in 1 s" in shown
    assert "it is killed now" in shown
    entries = room.journal()
    assert [each["action"] for each in entries][:2] == ["tell", "term"]
    assert {(each["uid"], each["pid"]) for each in entries} == {(USER_A, bad.pid)}
    assert entries[0]["result"] == "told on 1 terminal"


@pytest.mark.needs("uids")
def test_a_dry_run_says_who_would_be_hit_and_does_nothing(room):
    room.policy(END)
    bad = room.start(USER_A, "sleep", "600")
    room.use(f"process={bad.pid}:20G@0")
    with start_genvx("enforce", "--dry-run", "--once") as process:
        shown, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    assert shown == (
        f"would tell {USER_A}({USER_A}): process {bad.pid} (sleep) uses GPU 0 without a lease; "
        "the next step comes 1 s later\n"
    )
    assert not room.data.exists()


@pytest.mark.needs("uids")
def test_it_goes_on_until_sigterm_and_the_next_one_remembers_who_was_told(room):
    room.policy('[enforce.squatters]\ndo = "end"\ngrace = "1h"\n')
    bad = room.start(USER_A, "sleep", "600")
    room.use(f"process={bad.pid}:20G@0")
    with start_genvx("enforce", "--every", "1h") as process:
        assert process.stdout.readline().startswith("tell ")
        with start_genvx("enforce", "--once") as other:
            assert "another genvx enforce of yours is running here" in other.communicate()[1]
        process.send_signal(signal.SIGTERM)
        assert process.communicate() == ("", "")
    assert process.returncode == 0
    enforcer = room.enforcer()
    assert enforcer.round() == []
    enforcer.close()
    assert bad.poll() is None


@pytest.mark.needs("uids")
def test_a_user_enforces_on_themselves_only(room):
    room.policy(END)
    mine, theirs = room.start(USER_A, "sleep", "600"), room.start(USER_B, "sleep", "600")
    room.use(f"process={mine.pid}:20G@0", f"process={theirs.pid}:20G@1")
    home = room.state / "home"
    home.mkdir()
    os.chown(home, USER_A, USER_A)
    code = """
import time
from genvx.local.host import LocalHost
enforcer = LocalHost().enforcer(print)
enforcer.open()
end = time.monotonic() + 20
while time.monotonic() < end:
    for done in enforcer.round():
        print(done.action.kind.value, done.action.pid, flush=True)
        if done.action.kind.value == "term":
            raise SystemExit
    time.sleep(0.1)
"""
    said = room.world.run(USER_A, code, XDG_DATA_HOME=str(home), **room.environ())
    assert said.stdout.splitlines() == [f"tell {mine.pid}", f"term {mine.pid}"], said.stderr
    assert mine.wait(20) == -signal.SIGTERM
    assert theirs.poll() is None


@pytest.mark.needs("uids")
def test_an_idle_environment_is_released_and_another_users_of_the_same_id_is_not(room):
    room.policy('[enforce.idle]\ndo = "release"\nafter = "1s"\n')
    holder = room.world.start(USER_A, HOLD, **room.environ())
    room.running.append(holder)
    environment = holder.stdout.readline().strip()
    works = room.start(USER_B, "sleep", "600")
    other = room.world.start(
        USER_B,
        HOLD.replace('name="mine"', f'name="mine", environment_id={environment!r}'),
        **room.environ(),
    )
    room.running.append(other)
    assert other.stdout.readline().strip() == environment
    room.use(f"process={works.pid}:9G:60%@1")
    enforcer = room.enforcer()
    held = lambda: {each.owner.uid for each in LocalHost().snapshot().leases}  # noqa: E731
    done = rounds(enforcer, lambda: held() == {USER_B})
    enforcer.close()
    assert [(each.action.kind, each.action.uid) for each in done] == [
        (Kind.TELL, USER_A),
        (Kind.RELEASE, USER_A),
    ]


@pytest.mark.needs("uids")
def test_the_hook_has_the_facts_and_a_journal_that_cannot_be_written_stops_nothing(room):
    journal = room.data / "genvx" / "enforce" / "journal.jsonl"
    journal.mkdir(parents=True)
    hook, said = room.state / "hook", room.state / "said"
    hook.write_text(f'#!/bin/sh\nenv > {said}.part && mv {said}.part "{said}.$GENVX_ACTION"\n')
    hook.chmod(0o755)
    room.policy(f'[enforce]\nhook = ["{hook}"]\n{END}')
    bad = room.start(USER_A, "sh", "-c", "sleep 600; : '$(reboot) \x1b[2J'")
    until(lambda: "reboot" in getattr(processes.describe(bad.pid), "command", ""))
    room.use(f"process={bad.pid}:20G@0")
    enforcer = room.enforcer()
    rounds(enforcer, lambda: bad.poll() is not None)
    enforcer.close()
    facts = dict(line.split("=", 1) for line in (room.state / "said.term").read_text().splitlines())
    assert facts["GENVX_RULE"] == "squatters"
    assert facts["GENVX_UID"] == str(USER_A)
    assert (facts["GENVX_PID"], facts["GENVX_GPUS"]) == (str(bad.pid), "0")
    assert "$(reboot) \\x1b[2J" in facts["GENVX_COMMAND"]
    (line,) = {*room.lines}
    assert line.startswith("cannot write the journal in ")


@pytest.mark.needs("uids")
@pytest.mark.parametrize(
    ("policy", "mode", "why"),
    [
        ("[enforce.squatters]\ndo = 1", 0o644, "must be "),
        (END, 0o666, "can be written by others"),
        (f'{END}[enforce.exempt]\nusers = ["no-such-user-here"]', 0o644, "there is no user"),
        (f'{END}[enforce.exempt]\ngroups = ["no-such-group-here"]', 0o644, "there is no group"),
    ],
)
def test_where_a_fact_is_missing_nothing_is_done_and_that_is_said(room, policy, mode, why):
    room.policy(END)
    bad = room.start(USER_A, "sleep", "600")
    room.use(f"process={bad.pid}:20G@0")
    enforcer = room.enforcer()
    room.policy(policy)
    (room.state / "policy.toml").chmod(mode)
    assert enforcer.round() == [] == enforcer.round()
    enforcer.close()
    (line,) = room.lines  # once, not in each round
    assert why in line
    assert line.endswith("; nothing is done")


@pytest.mark.needs("uids")
def test_a_driver_that_does_not_answer_is_a_missing_fact(room, monkeypatch):
    room.policy(END)
    monkeypatch.delenv("GENVX_SIMULATE")
    monkeypatch.setenv("GENVX_NVML_LIBRARY", "/nowhere")
    enforcer = room.enforcer()
    assert enforcer.round() == []
    enforcer.close()
    assert room.lines[0].endswith("; nothing is done")


REUSED = """
import os, signal, subprocess, sys, time
from genvx.core.enforcing.action import Action, Kind, Rule
from genvx.local import processes
from genvx.local.enforcing.acting import act
from genvx.local.machine import Machine
first = subprocess.Popen(["sleep", "600"])
then = processes.describe(first.pid)
action = Action(
    Kind.KILL, Rule.SQUATTERS, then.uid, "x", ("0",), "", first.pid, then.starttime, "sleep"
)
first.kill(); first.wait()
time.sleep(0.05)  # start times are told in hundredths of a second
with open("/proc/sys/kernel/ns_last_pid", "w") as file:
    file.write(str(first.pid - 1))
second = subprocess.Popen(["sleep", "600"])
assert second.pid == first.pid, (first.pid, second.pid)
print(act(action, Machine()))
time.sleep(0.1)
print(second.poll())
second.kill()
"""


@pytest.mark.needs("namespaces", "uids")
def test_a_process_that_has_the_pid_of_one_that_was_judged_is_not_killed(world):
    said = subprocess.run(
        ["unshare", "--pid", "--mount", "--mount-proc", "--fork", *world.command(REUSED)],
        env=world.environ(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert said.stdout.split() == ["gone", "None"], said.stderr


@pytest.mark.needs("uids")
def test_a_process_of_another_user_with_the_same_pid_and_time_is_not_killed(room):
    other = room.start(USER_B, "sleep", "600")
    start = processes.starttime(other.pid)
    action = Action(Kind.KILL, Rule.SQUATTERS, USER_A, "a", ("0",), "", other.pid, start, "sleep")
    assert act(action, LocalHost()) == "gone"
    assert other.poll() is None
