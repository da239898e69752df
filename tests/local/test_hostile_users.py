"""Several users on one machine: nobody can forge, delete, revive or block another's lease.

Each test is a row of the table of what a hostile local user can do.
"""

from __future__ import annotations

import json
import os
import re
import signal

import pytest

from tests.capabilities import USER_A, USER_B

pytestmark = pytest.mark.needs("uids")

TAKE = """
import sys
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.local.host import LocalHost
hold = LocalHost().acquire(Ask(Requirements({count}), name={name!r}))
print(hold.grant.environment_id, flush=True)
for note in hold.grant.notes: print("note:", note, flush=True)
sys.stdin.read()
"""

SHOW = """
import json
from genvx.local.host import LocalHost
s = LocalHost().snapshot()
print(json.dumps({"envs": [[e.owner.uid, e.name] for e in s.environments],
                  "free": len(s.available), "odd": list(s.odd)}))
"""


@pytest.fixture
def machine(world, shared_state):
    class Machine:
        state = shared_state
        leases = shared_state / "leases"

        def __init__(self):
            self.env = {"GENVX_STATE_DIR": str(shared_state), "GENVX_SIMULATE": "2xA100-80GB"}
            self.started = []

        def run(self, uid, code, **more):
            return world.run(uid, code, **self.env, **more)

        def start(self, uid, code):
            """Start code that prints a line when it is ready, and wait for that."""
            process = world.start(uid, code, **self.env)
            self.started.append(process)
            line = process.stdout.readline()
            assert line, process.stderr.read()
            return process, line.strip()

        def take(self, uid, count=1, name="victim"):
            return self.start(uid, TAKE.format(count=count, name=name))

        def show(self, uid=USER_A):
            answer = self.run(uid, SHOW)
            assert answer.returncode == 0, answer.stderr
            return json.loads(answer.stdout)

    machine = Machine()
    yield machine
    for process in machine.started:
        process.kill()
        process.communicate()


def lease_of(machine, uid):
    (path,) = (machine.leases / str(uid)).glob("*.lease")
    return path


def test_users_see_each_others_leases_and_never_share_a_device(machine):
    machine.take(USER_A, 1, "a")
    machine.take(USER_B, 1, "b")
    assert machine.show() == {"envs": [[USER_A, "a"], [USER_B, "b"]], "free": 0, "odd": []}
    refused = machine.run(USER_B, TAKE.format(count=1, name="c"))
    assert "NoCapacity" in refused.stderr


HOLD = """
import sys
from genvx.local.state import locks
f = open(path, "r+"); assert locks.hold(f.fileno())
print("held", flush=True)
sys.stdin.read()
"""


def test_a_forged_lease_in_ones_own_directory_does_not_count(machine):
    machine.take(USER_A)
    source = lease_of(machine, USER_A)
    machine.start(
        USER_B,
        f"""
import os
os.makedirs("{machine.leases}/{USER_B}")
path = "{machine.leases}/{USER_B}/{source.name}"
open(path, "w").write(open("{source}").read())
{HOLD}""",
    )
    shown = machine.show()
    assert shown["envs"] == [[USER_A, "victim"]]
    assert "not of the file's owner" in shown["odd"][0]


def test_a_hard_link_to_anothers_lease_under_another_name_does_not_count(machine):
    machine.take(USER_A)
    source = lease_of(machine, USER_A)
    directory = machine.leases / str(USER_B)
    directory.mkdir(mode=0o755)
    os.chown(directory, USER_B, USER_B)
    # Root links, because fs.protected_hardlinks may stop the attacker already; it must not be what
    # we rest on.
    os.link(source, directory / "00112233445566aa.lease")
    shown = machine.show()
    assert shown["envs"] == [[USER_A, "victim"]]
    assert "not of the directory's owner" in shown["odd"][0]


@pytest.mark.parametrize(
    "attack",
    [
        "os.unlink(path)",
        "os.rename(path, path + 'x')",
        "os.truncate(path, 0)",
        "open(path, 'w')",
        "os.rename(os.path.dirname(path), os.path.dirname(path) + 'x')",
        "os.chmod(path, 0o666)",
        "open(os.path.dirname(path) + '/x', 'w')",
    ],
)
def test_nobody_can_delete_rename_or_change_anothers_lease(machine, attack):
    machine.take(USER_A)
    path = lease_of(machine, USER_A)
    answer = machine.run(USER_B, f"import os; path = {str(path)!r}; {attack}")
    assert "PermissionError" in answer.stderr
    assert machine.show()["envs"] == [[USER_A, "victim"]]


def test_names_that_only_others_use_are_not_ambiguous_to_us(machine):
    machine.take(USER_A, 1, "train")
    machine.take(USER_A, 1, "train")
    answer = machine.run(
        USER_B, "from genvx.local.host import LocalHost; LocalHost().release('train')"
    )
    assert "NotOwner: environment 'train' belongs to" in answer.stderr


def test_nobody_can_release_anothers_environment_but_root_can(machine):
    _, environment = machine.take(USER_A)
    code = f"from genvx.local.host import LocalHost; LocalHost().release({environment!r})"
    answer = machine.run(USER_B, code)
    assert f"NotOwner: environment '{environment}' belongs to" in answer.stderr
    assert machine.run(0, code).returncode == 0
    assert machine.show()["envs"] == []


@pytest.mark.parametrize(
    "attempt",
    [
        "host.attach(env, Requirements(1))",
        "host.detach(env)",
        "host.join(env)",
        "take_turn(host, env)",
    ],
)
def test_nobody_can_do_anything_to_anothers_environment(machine, attempt):
    _, env = machine.take(USER_A)
    refused = machine.run(
        USER_B,
        f"""
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.local.host import LocalHost
from genvx.local.turns import take_turn
host, env = LocalHost(), {env!r}
{attempt}
""",
    )
    assert "UnknownEnvironment: no active environment" in refused.stderr
    assert machine.show() == {"envs": [[USER_A, "victim"]], "free": 1, "odd": []}


@pytest.mark.parametrize("part", ["attached", "detached"])
def test_an_amendment_of_anothers_environment_counts_for_nothing(machine, part):
    """Its writer is whoever owns the file; the environment is that user's of this id, or none."""
    _, env = machine.take(USER_A)
    answer = machine.run(
        USER_B,
        f"""
from genvx.core.leases.lease import Part
from genvx.core.value import replace
from genvx.local.host import LocalHost
host = LocalHost()
devices = tuple(device.uuid for device in host.snapshot().devices)
forged = replace(host.blank({env!r}, "", "", None), part=Part({part!r}), devices=devices, pid=0)
host.store.publish(forged).abandon()
print("published")
""",
    )
    assert answer.stdout == "published\n", answer.stderr
    assert machine.show() == {"envs": [[USER_A, "victim"]], "free": 1, "odd": []}
    machine.take(USER_A, 1, "second")
    assert machine.show()["free"] == 0


def test_a_turn_of_who_does_not_hold_the_device_is_not_waited_for(machine):
    _, env = machine.take(USER_A)
    machine.start(
        USER_B,
        f"""
import sys
from genvx.core.line.turn import Turn
from genvx.local import processes
from genvx.local.host import LocalHost
from genvx.local.state.turnkinds import TURNS
from genvx.local.turnstate import publish_turn
host = LocalHost()
devices = tuple(device.uuid for device in host.snapshot().devices)
owner = processes.owner_of({USER_B})
for number, name in ((1, "e" * 16), (2**61, "f" * 16)):
    for kind in TURNS:
        turn = Turn(name, owner, {env!r}, devices, number)
        globals()[kind.name(name)] = publish_turn(host, turn, kind)
print("waiting", flush=True)
sys.stdin.read()
""",
    )
    answer = machine.run(
        USER_A,
        f"""
from genvx.local.host import LocalHost
from genvx.local.turns import take_turn
take_turn(LocalHost(), {env!r}, patience=20).withdraw()
print("had its turn")
""",
    )
    assert answer.stdout == "had its turn\n", answer.stderr


def test_nobody_can_make_anothers_dead_lease_look_alive(machine):
    process, _ = machine.take(USER_A)
    path = lease_of(machine, USER_A)
    process.kill()
    process.wait()
    answer = machine.run(
        USER_B,
        f"""
from genvx.local.state import locks
f = open({str(path)!r})
locks.hold(f.fileno())
""",
    )
    assert "Bad file descriptor" in answer.stderr
    assert machine.show(USER_B)["envs"] == []


def test_a_plain_flock_by_anybody_does_not_revive_a_lease(machine):
    process, _ = machine.take(USER_A)
    path = lease_of(machine, USER_A)
    process.kill()
    process.wait()
    machine.start(
        USER_B,
        f"""
import fcntl, sys
f = open({str(path)!r})
fcntl.flock(f, fcntl.LOCK_EX)
print("flocked", flush=True)
sys.stdin.read()
""",
    )
    assert machine.show(USER_B)["envs"] == []


def test_a_lock_that_is_held_for_ever_costs_one_timeout_and_names_its_holder(machine):
    holder, _ = machine.start(
        USER_B,
        f"""
import fcntl, sys
f = open("{machine.state}/acquire.lock", "r+")
fcntl.flock(f, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
""",
    )
    process, _ = machine.take(USER_A)
    note = process.stdout.readline()
    assert f"pid {holder.pid} of" in note
    assert "went on without the lock" in note
    assert machine.show()["envs"] == [[USER_A, "victim"]]


@pytest.mark.parametrize(
    "squat",
    [
        "os.mkfifo(path, 0o666)",
        "os.symlink('/etc/passwd', path)",
        "os.mkdir(path)",
        "open(path, 'w').close(); os.chmod(path, 0o600)",
        "os.symlink('nowhere', path)",
    ],
)
def test_a_squatted_lock_file_is_not_followed_and_does_not_block(world, machine, squat):
    """In a directory where nobody is root, the lock file may be anything that anybody put there."""
    flat = machine.state / "flat"
    flat.mkdir()
    flat.chmod(0o1777)
    machine.env = {**machine.env, "GENVX_STATE_DIR": str(flat)}
    path = flat / ".genvx.lock"
    answer = machine.run(USER_B, f"import os; os.umask(0); path = {str(path)!r}; {squat}")
    assert answer.returncode == 0, answer.stderr
    passwd = os.stat("/etc/passwd")
    machine.take(USER_A)
    assert machine.show(USER_B)["envs"] == [[USER_A, "victim"]]
    assert os.stat("/etc/passwd").st_size == passwd.st_size
    assert not (flat / "nowhere").exists()


JUNK = {
    "garbage": "b'\\xff\\x00garbage'",
    "deep": "b'[' * 4000",
    "deeper": "b'[' * 60000",
    "numbers": "b'1' * 4000",
    "ansi": 'b\'{"name": "\\x1b[2J"}\'',
    "wrong": 'b\'{"v": 1, "id": [], "uid": {}}\'',
    "empty": "b''",
}


@pytest.mark.parametrize("content", JUNK.values(), ids=JUNK.keys())
def test_junk_that_is_held_live_is_listed_as_odd_and_ignored(machine, content):
    machine.take(USER_A)
    machine.start(
        USER_B,
        f"""
import os
os.makedirs("{machine.leases}/{USER_B}")
path = "{machine.leases}/{USER_B}/00aa00aa00aa00aa.lease"
open(path, "wb").write({content})
{HOLD}""",
    )
    shown = machine.show()
    assert shown["envs"] == [[USER_A, "victim"]]
    assert len(shown["odd"]) == 1
    assert shown["odd"][0].isprintable()


@pytest.mark.parametrize(
    "make",
    [
        "os.mkfifo(path)",
        "os.symlink('/dev/zero', path)",
        "os.mkdir(path)",
        "open(path, 'w').truncate(1 << 40)",
        "os.mkdir(path + 'x', 0)",
        "import socket; socket.socket(socket.AF_UNIX).bind(path)",
    ],
)
def test_odd_kinds_of_files_neither_block_nor_break_a_scan(machine, make):
    machine.take(USER_A)
    answer = machine.run(
        USER_B,
        f"""
import os
os.makedirs("{machine.leases}/{USER_B}")
path = "{machine.leases}/{USER_B}/00aa00aa00aa00aa.lease"
{make}
""",
    )
    assert answer.returncode == 0, answer.stderr
    assert machine.show()["envs"] == [[USER_A, "victim"]]
    _, _ = machine.take(USER_A, 1, "second")


def test_a_flood_of_files_hides_only_the_flooders_own_leases(machine):
    machine.take(USER_A)
    machine.run(
        USER_B,
        f"""
import os
os.makedirs("{machine.leases}/{USER_B}")
for n in range(5000): open("{machine.leases}/{USER_B}/%016x.lease" % n, "w").close()
""",
    )
    shown = machine.show()
    assert shown["envs"] == [[USER_A, "victim"]]
    assert any("more files than are looked at" in odd for odd in shown["odd"])


def test_a_squatted_directory_makes_its_victim_use_another(machine):
    answer = machine.run(USER_B, f"import os; os.mkdir('{machine.leases}/{USER_A}')")
    assert answer.returncode == 0
    machine.take(USER_A)
    assert machine.show()["envs"] == [[USER_A, "victim"]]
    assert any(p.name.startswith(f"{USER_A}.") for p in machine.leases.iterdir())
    doctor = machine.run(
        USER_A,
        "from genvx.local.host import LocalHost\n"
        "for f in LocalHost().doctor(): print(f.severity.value, f.result)",
    )
    assert re.search(rf"{USER_A} belongs to \w+\({USER_B}\)", doctor.stdout)


def test_the_doctor_says_in_one_line_who_squats_many_names(machine):
    answer = machine.run(
        USER_B,
        f"""
import os
for uid in range(70000, 70500): os.mkdir(f"{machine.leases}/{{uid}}")
for number in range(500): os.mkdir(f"{machine.leases}/{USER_A}.{{number:08x}}")
""",
    )
    assert answer.returncode == 0, answer.stderr
    machine.take(USER_A)
    assert machine.show(USER_B)["envs"] == [[USER_A, "victim"]]
    doctor = machine.run(
        USER_A,
        "from genvx.local.host import LocalHost\n"
        "for f in LocalHost().doctor(): print(f.severity.value, f.result)",
    )
    lines = [line for line in doctor.stdout.splitlines() if "whom it does not name" in line]
    assert len(lines) == 1
    assert f"({USER_B}), whom it does not name" in lines[0]
    assert "and 999 more such names" in lines[0]


def test_the_doctor_lists_few_of_many_odd_files(machine):
    machine.run(
        USER_B,
        f"""
import os
os.makedirs("{machine.leases}/{USER_B}")
for n in range(40): os.mkdir("{machine.leases}/{USER_B}/%016x.lease" % n)
""",
    )
    doctor = machine.run(
        USER_A,
        "from genvx.local.host import LocalHost\n"
        "for f in LocalHost().doctor(): print(f.severity.value, f.result)",
    )
    lines = [line for line in doctor.stdout.splitlines() if "ignored" in line]
    assert len(lines) == 11
    assert lines[-1] == "warning ignored 30 more"


def test_nobody_can_lock_a_file_that_a_shell_is_about_to_hold(machine):
    """Whoever may read a file may lock it."""
    process, path = machine.start(
        USER_A,
        """
import os, sys
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.local.granting import joining
from genvx.local.host import LocalHost
os.umask(0o022)
host = LocalHost()
print(host.store.prepare(), flush=True)
path = sys.stdin.readline().strip()
descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)  # as a shell does
print("open", flush=True)
sys.stdin.readline()
hold = host.acquire(Ask(Requirements(1)))
joining.join(host, hold.grant.environment_id, command="sh", through=descriptor)
print("held", flush=True)
""",
    )

    def say(text):
        process.stdin.write(text + "\n")
        process.stdin.flush()
        return process.stdout.readline().strip() or process.stderr.read()

    assert say(path) == "open"
    rival = f"""
import fcntl, os, struct, sys
descriptor = os.open({path!r}, os.O_RDONLY)
fcntl.flock(descriptor, fcntl.LOCK_SH)
fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 0, 0, 0))
print("locked", flush=True)
sys.stdin.read()
"""
    assert "PermissionError" in machine.run(USER_B, rival).stderr
    assert say("go on") == "held"


def test_a_directory_that_others_may_write_is_not_trusted(machine):
    machine.take(USER_A)
    (machine.leases / str(USER_A)).chmod(0o777)
    assert machine.show(USER_B)["envs"] == []


def test_only_the_owner_and_root_reap(machine):
    process, _ = machine.take(USER_A)
    process.kill()
    process.wait()
    machine.show(USER_B)
    assert lease_of(machine, USER_A).exists()
    machine.show(USER_A)
    assert list((machine.leases / str(USER_A)).glob("*.lease")) == []


def test_signals_and_stops_of_the_owner_change_nothing_for_others(machine):
    process, _ = machine.take(USER_A)
    os.kill(process.pid, signal.SIGSTOP)
    assert machine.show(USER_B)["envs"] == [[USER_A, "victim"]]
    os.kill(process.pid, signal.SIGCONT)


def test_first_use_by_two_users_at_once_works_with_any_umask(world, machine):
    """Each makes its directory and the lock file in a fresh sticky directory."""
    for turn in range(10):
        flat = machine.state / f"flat{turn}"
        flat.mkdir()
        flat.chmod(0o1777)
        machine.env = {**machine.env, "GENVX_STATE_DIR": str(flat)}
        code = "import os; os.umask(0o077)\n" + TAKE.format(count=1, name="x")
        both = [world.start(uid, code, **machine.env) for uid in (USER_A, USER_B)]
        answers = [process.communicate("") for process in both]
        assert [error for _, error in answers] == ["", ""]
        assert [line for out, _ in answers for line in out.splitlines() if "note" in line] == []


def test_a_directory_that_was_half_made_is_opened_to_others_before_it_is_used(machine):
    """As of a process that was killed between making it and giving it its mode: what is published
    there must be seen, or it is granted again.
    """
    directory = machine.leases / str(USER_A)
    directory.mkdir(mode=0o700)
    os.chown(directory, USER_A, USER_A)
    machine.take(USER_A, 2)
    assert machine.show(USER_B)["envs"] == [[USER_A, "victim"]]
