"""A lease is alive exactly while somebody holds its lock: real files, real locks, real
processes.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.core.value import replace
from genvx.errors import InvalidInput, NoCapacity, StateError, UnknownEnvironment
from genvx.local.host import LocalHost
from genvx.local.state import locks
from genvx.local.state.store import LeaseStore
from tests.conftest import run_genvx
from tests.helpers import alive, child_of, end, genvx_env, job, start_genvx, until

ONE, TWO = Requirements(1), Requirements(2)


@pytest.fixture
def host(state):
    found = LocalHost()
    yield found
    found.close()


def files(state):
    return sorted(p.name for p in (state / "leases" / str(os.getuid())).glob("*.lease"))


def test_acquiring_and_releasing_leaves_nothing(host, state):
    with host.acquire(Ask(TWO, name="x")) as hold:
        assert [d.index for d in hold.grant.devices] == [0, 1]
        assert len(files(state)) == 1
        assert host.snapshot().available == ()
    assert files(state) == []
    assert len(host.snapshot().available) == 2


def test_a_refusal_writes_nothing(host, state):
    with host.acquire(Ask(ONE)), pytest.raises(NoCapacity, match="1 of 2 available"):
        host.acquire(Ask(TWO))
    assert files(state) == []


def test_shares_of_a_device_stop_where_it_is_full(host):
    share = Requirements(1, 30 << 30)
    with host.acquire(Ask(ONE)), host.acquire(Ask(share)), host.acquire(Ask(share)):
        with pytest.raises(NoCapacity):
            host.acquire(Ask(share))
        with pytest.raises(NoCapacity):
            host.acquire(Ask(ONE))


def test_an_environment_without_devices_needs_no_driver(host, monkeypatch):
    monkeypatch.delenv("GENVX_SIMULATE")
    with host.acquire(Ask(Requirements(0), name="cpu")) as hold:
        assert hold.grant.variables["CUDA_VISIBLE_DEVICES"] == ""
        assert [e.name for e in host.snapshot().environments] == ["cpu"]


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", " x", "x" * 129, "\u202egnp.exe"])
def test_a_name_that_cannot_be_shown_is_refused_before_anything(host, state, name):
    with pytest.raises(InvalidInput) as caught:
        host.acquire(Ask(ONE, name=name))
    assert str(caught.value).isprintable()
    assert not state.exists() or files(state) == []


@pytest.mark.parametrize(
    "name", ["my env", 'it\'s "quoted" $(x)', "日本語", "; rm -rf /", "ä" * 128]
)
def test_a_name_with_anything_printable_works(host, name):
    with host.acquire(Ask(ONE, name=name)):
        assert [e.name for e in host.snapshot().environments] == [name]


def test_a_killed_holder_is_free_and_its_file_is_reaped(host, state):
    holder = start_genvx("run", "-g", "2", "--", "sleep", "600")
    until(lambda: host.snapshot().environments)
    (child,) = [e.pids for e in host.snapshot().environments]
    # The holder and its command hold the lease; both die.
    command = child_of(child[0])
    os.kill(child[0], signal.SIGKILL)
    holder.wait()
    assert len(host.snapshot().environments) == 1
    os.kill(command, signal.SIGKILL)
    until(lambda: not host.snapshot().environments)
    assert files(state) == []
    end(holder)


def test_a_stopped_holder_keeps_its_lease(host):
    holder = start_genvx("run", "-g", "1", "--", "sleep", "600")
    child_of(holder.pid)
    os.kill(holder.pid, signal.SIGSTOP)
    assert len(host.snapshot().environments) == 1
    os.kill(holder.pid, signal.SIGCONT)
    holder.terminate()
    assert holder.wait() == 128 + signal.SIGTERM
    until(lambda: not host.snapshot().environments)
    end(holder)


def test_a_background_job_keeps_the_devices_after_its_command_ended(host, state, tmp_path):
    line, told = job(tmp_path)
    code = run_genvx("run", "-g", "1", "-n", "job", "--", "sh", "-c", line)
    assert code.returncode == 0
    (environment,) = host.snapshot().environments
    assert environment.name == "job"
    os.kill(told(), signal.SIGKILL)
    until(lambda: not host.snapshot().environments)


def test_release_by_id_ends_an_environment_that_somebody_still_holds(host):
    holder = start_genvx("run", "-g", "2", "--", "sleep", "600")
    (environment,) = until(lambda: host.snapshot().environments)
    assert host.release(environment.id).devices == environment.devices
    assert len(host.snapshot().available) == 2
    assert alive(holder.pid)
    end(holder)


def test_release_by_name_needs_the_name_to_be_unique(host):
    with host.acquire(Ask(ONE, name="x")) as first, host.acquire(Ask(ONE, name="x")):
        with pytest.raises(UnknownEnvironment, match="several"):
            host.release("x")
        host.release(first.grant.environment_id)
        host.release("x")
        with pytest.raises(UnknownEnvironment):
            host.release("x")


@pytest.mark.parametrize("name", ["", "nope", "\x1b[2J"])
def test_releasing_what_is_not_there_is_an_error(host, name):
    with host.acquire(Ask(ONE)), pytest.raises(UnknownEnvironment) as caught:
        host.release(name)
    assert str(caught.value).isprintable()


def test_a_member_keeps_the_environment_alive_after_the_first_holder(host):
    first = host.acquire(Ask(ONE, name="both"))
    second = host.join(first.grant.environment_id)
    first.release()
    (environment,) = host.snapshot().environments
    assert environment.name == "both"
    assert second.grant.devices == first.grant.devices
    second.release()
    assert host.snapshot().environments == ()


def test_joining_what_has_ended_is_an_error(host):
    hold = host.acquire(Ask(ONE))
    hold.release()
    with pytest.raises(UnknownEnvironment):
        host.join(hold.grant.environment_id)


def test_a_library_hold_is_free_after_sigkill(host):
    code = (
        "import genvx, time\n"
        "with genvx.activate(gpus=2, name='lib') as env:\n"
        "    print(len(env.devices), flush=True); time.sleep(600)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=genvx_env()
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "2\n"
    assert host.snapshot().available == ()
    process.kill()
    process.communicate()
    until(lambda: len(host.snapshot().available) == 2)


def test_activate_sets_the_variables_for_the_block_and_restores_them(state, monkeypatch):
    import genvx

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    with genvx.activate(gpus=1) as env:
        assert os.environ["CUDA_VISIBLE_DEVICES"] == env.devices[0].uuid
        assert os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
        assert env.run('test -n "$GENVX_ENVIRONMENT_ID"').returncode == 0
        with pytest.raises(InvalidInput, match="nosuch"):
            env.run(["nosuch"])
        with pytest.raises(subprocess.CalledProcessError):
            env.run("exit 3", check=True)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "7"
    assert "CUDA_DEVICE_ORDER" not in os.environ


@pytest.mark.parametrize("command", ["\n" * 300, "é\x1b" * 200, "a" * 300, "\ud800" * 90])
def test_a_lease_is_seen_whatever_runs_under_it(host, command):
    with host.acquire(Ask(ONE, command=command)):
        assert len(host.snapshot().leases) == 1


def test_a_lease_that_nobody_could_read_is_not_published(host):
    lease = replace(host.blank("abcd1234", "", "", None), host="a\nb")
    with pytest.raises(StateError, match="nobody could read"):
        host.store.publish(lease)
    assert host.snapshot().leases == ()


# What makes it safe


def test_publishing_is_seen_by_rivals_that_skip_the_lock(host, monkeypatch):
    """Two rivals without any lock, interleaved as badly as can be: not both are granted."""
    rival = LocalHost()
    granted = []
    real = LeaseStore.publish
    entered = []

    def publish(self, lease, through=None):
        # Between the first's look and its publishing, the second does all of its acquire.
        if not entered:
            entered.append(True)
            granted.append(rival.acquire(Ask(TWO)))
        return real(self, lease, through=through)

    monkeypatch.setattr(LeaseStore, "publish", publish)
    monkeypatch.setattr(LeaseStore, "transaction", lambda self, notes: contextlib.nullcontext())
    with pytest.raises(NoCapacity):
        host.acquire(Ask(TWO))
    assert len(granted) == 1
    assert len(host.snapshot().leases) == 1


def test_a_published_file_is_complete_locked_and_readable(host, state):
    with host.acquire(Ask(ONE, name="x")) as hold:
        (name,) = files(state)
        path = state / "leases" / str(os.getuid()) / name
        assert path.stat().st_mode & 0o777 == 0o644
        record = json.loads(path.read_bytes())
        assert record["id"] + ".lease" == name
        assert record["devices"] == [hold.grant.devices[0].uuid]
        descriptor = os.open(path, os.O_RDONLY)
        assert locks.is_held(descriptor)
        os.close(descriptor)
        assert hold.descriptor >= 100


def test_a_reservation_lives_by_boot_and_boottime(host, state):
    with host.acquire(Ask(ONE)) as hold:
        directory = state / "leases" / str(os.getuid())
        record = json.loads((directory / files(state)[0]).read_bytes())
    record |= {"part": "reserved", "expires_boottime_ns": 2**62}
    record["devices"] = [hold.grant.devices[1].uuid if len(hold.grant.devices) > 1 else "SIM-1"]
    path = directory / f"{record['id']}.lease"
    path.write_text(json.dumps(record))
    assert len(host.snapshot().environments) == 1
    path.write_text(json.dumps(record | {"boot_id": "another boot"}))
    assert host.snapshot().environments == ()
    assert not path.exists()


def test_an_expired_reservation_is_dead(host, state):
    with host.acquire(Ask(ONE)):
        directory = state / "leases" / str(os.getuid())
        record = json.loads((directory / files(state)[0]).read_bytes())
    record |= {"part": "reserved", "expires_boottime_ns": 1}
    (directory / f"{record['id']}.lease").write_text(json.dumps(record))
    assert host.snapshot().environments == ()


def test_a_half_made_file_is_reaped_by_the_next_acquire(host, state):
    host.acquire(Ask(ONE)).release()
    stray = state / "leases" / str(os.getuid()) / ".0011223344556677.tmp"
    stray.write_text("half")
    host.acquire(Ask(ONE)).release()
    assert not stray.exists()


def test_a_file_that_a_reaper_took_before_it_was_locked_is_made_again(host, state, monkeypatch):
    real = fcntl.fcntl
    taken = []

    def lock(descriptor, operation, *request):
        if operation == fcntl.F_OFD_SETLK and not taken:
            taken.append(os.readlink(f"/proc/self/fd/{descriptor}"))
            os.unlink(taken[0])
        return real(descriptor, operation, *request)

    monkeypatch.setattr(fcntl, "fcntl", lock)
    with host.acquire(Ask(ONE)):
        assert taken
        assert len(host.snapshot().leases) == 1


def test_too_many_files_of_ones_own_are_refused_not_hidden(host, state):
    host.acquire(Ask(ONE)).release()
    directory = state / "leases" / str(os.getuid())
    for number in range(2049):
        (directory / f"junk{number}").touch()
    answer = run_genvx("run", "-g", "1", "--", "true")
    assert (answer.returncode, answer.stderr.count("\n")) == (6, 1)
    assert "delete junk" in answer.stderr


def test_more_leases_than_all_would_see_are_refused_but_seen(host):
    """Those that are made at the same moment do not see each other before."""
    blank = host.blank("abcd1234", "", "", None)
    store = LeaseStore(host.state, most=1000)
    held = [store.publish(replace(blank, id=f"{number:016x}")) for number in range(300)]
    with pytest.raises(StateError, match=r"you have 256 .* release what you do not need"):
        host.acquire(Ask(Requirements()))
    assert len(host.snapshot().leases) == 300
    for each in held:
        each.withdraw()


def tenth_of_ten_directories(directory, monkeypatch):
    for number in range(9):
        (directory.parent / f"{directory.name}.{number:08x}").mkdir()
    directory.rename(directory.parent / f"{directory.name}.ffffffff")


def last_of_a_thousand(directory, monkeypatch):
    for number in range(1024):
        (directory / f"{number:016x}.ticket").touch()
    real = os.scandir

    @contextlib.contextmanager
    def listed(place):
        with real(place) as entries:
            yield iter(sorted(entries, key=lambda entry: entry.name.endswith(".lease")))

    monkeypatch.setattr(os, "scandir", listed)


HIDDEN = {
    "are not looked at": tenth_of_ten_directories,
    "more files than are looked at": last_of_a_thousand,
    "others cannot look into it": lambda directory, monkeypatch: directory.chmod(0o700),
    "others may write it": lambda directory, monkeypatch: directory.chmod(0o775),
    "others cannot read it": lambda directory, monkeypatch: [
        lease.chmod(0o600) for lease in directory.glob("*.lease")
    ],
    "deleted or changed": lambda directory, monkeypatch: directory.rename(directory.parent / "x"),
}


@pytest.mark.parametrize("reason", HIDDEN)
@pytest.mark.parametrize("act", ["acquire", "join", "attach"])
def test_a_lease_that_others_do_not_see_is_not_granted(host, state, monkeypatch, reason, act):
    """Whatever has hidden it between its publication and the second look."""
    directory = state / "leases" / str(os.getuid())
    acts = {
        "acquire": lambda: host.acquire(Ask(ONE)),
        "join": lambda: host.join(env),
        "attach": lambda: host.attach(env, ONE),
    }
    env = host.acquire(Ask(ONE)).grant.environment_id if act != "acquire" else ""
    publish = LeaseStore.publish

    def published(store, lease, **named):
        held = publish(store, lease, **named)
        HIDDEN[reason](directory, monkeypatch)
        return held

    monkeypatch.setattr(LeaseStore, "publish", published)
    before = len(files(state)) if directory.exists() else 0
    with pytest.raises(StateError, match=rf"nothing was taken: .* not seen by others \(.*{reason}"):
        acts[act]()
    left = list((state / "leases").rglob("*.lease"))
    assert len(left) == before


def test_a_look_lists_the_directory_once_and_opens_nothing_that_cannot_be_a_users(
    host, state, monkeypatch
):
    """It may be everybody's, full of other things, and of names that others squat."""
    state.mkdir()
    state.chmod(0o1777)
    for number in range(600):
        (state / f"junk-{number}").mkdir()
        (state / f".genvx-{70000 + number}").touch()
        (state / f".genvx-{80000 + number}").symlink_to("/")
    with host.acquire(Ask(ONE)):
        listed, opened = [], []
        scan, opens = os.scandir, os.open
        monkeypatch.setattr(os, "scandir", lambda d: listed.append(os.fstat(d).st_ino) or scan(d))
        monkeypatch.setattr(os, "open", lambda n, *a, **k: opened.append(n) or opens(n, *a, **k))
        assert len(host.store.scan().leases) == 1
    assert listed.count(state.stat().st_ino) == 1
    names = [os.fspath(name) for name in opened]
    assert [name for name in names if name.startswith(("junk", ".genvx-7", ".genvx-8"))] == []
    assert f".genvx-{os.getuid()}" in names


def test_a_lease_that_does_not_fit_is_refused(state, monkeypatch):
    monkeypatch.setenv("GENVX_SIMULATE", "200xA100-80GB")
    answer = run_genvx("run", "-g", "200", "--", "true")
    assert (answer.returncode, answer.stderr.count("\n")) == (6, 1)


def test_many_processes_racing_never_share_a_device(state, monkeypatch, short_tmp):
    """16 at once for 4 devices, each with its device's oracle lock in hand: none is ever taken."""
    monkeypatch.setenv("GENVX_SIMULATE", "4xA100-80GB")
    oracle = short_tmp / "oracle"
    oracle.mkdir()
    code = (
        "import fcntl, os, sys\n"
        "from genvx.core.requests.ask import Ask\n"
        "from genvx.core.requests.requirements import Requirements\n"
        "from genvx.errors import NoCapacity\n"
        "from genvx.local.host import LocalHost\n"
        "host = LocalHost(); granted = 0\n"
        "for turn in range(25):\n"
        "    try: hold = host.acquire(Ask(Requirements(1 + turn % 2)))\n"
        "    except NoCapacity: continue\n"
        "    granted += 1\n"
        "    taken = []\n"
        "    for device in hold.grant.devices:\n"
        f"        f = open({str(oracle)!r} + '/' + device.uuid, 'w')\n"
        "        fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB); taken.append(f)\n"
        "    for f in taken: f.close()\n"
        "    hold.release()\n"
        "print(granted)\n"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=genvx_env(),
        )
        for _ in range(16)
    ]
    answers = [racer.communicate(timeout=100) for racer in racers]
    assert [error for _, error in answers if error] == []
    assert sum(int(out) for out, _ in answers) > 16
    assert LocalHost().snapshot().leases == ()


def test_an_environment_that_is_handed_on_while_a_rival_looks_is_not_granted_again(
    host, monkeypatch
):
    """A second terminal joins and the first leaves, just after a rival has listed the files and
    before it opens them: the rival finds the first one's gone, and never saw the second one's.
    """
    first = host.acquire(Ask(TWO))
    rival, members = LocalHost(), []
    real = os.scandir
    leases = os.stat(os.path.dirname(os.readlink(f"/proc/self/fd/{first.descriptor}")))

    @contextlib.contextmanager
    def hand_on(place):
        with real(place) as listed:
            entries = list(listed)
        if os.path.samestat(os.fstat(place), leases):
            monkeypatch.setattr(os, "scandir", real)
            with pytest.raises(NoCapacity):
                # The rival's lease is there already, and stays while it looks.
                members.append(host.join(first.grant.environment_id))
            if members:
                first.release()
        yield iter(entries)

    lease = rival.blank("abcd1234", "rival", "", None)
    lease = replace(lease, devices=tuple(d.uuid for d in first.grant.devices))
    published = rival.store.publish(lease)
    monkeypatch.setattr(os, "scandir", hand_on)
    seen = rival.store.scan().leases
    assert [other.environment_id for other in seen if other.key != lease.key] == [
        first.grant.environment_id
    ]
    published.withdraw()
    host.join(first.grant.environment_id).release()


def test_threads_that_look_at_once_miss_nothing(host):
    missed = []

    def look():
        for _ in range(200):
            if len(host.snapshot().leases) != 1:
                missed.append(1)

    with host.acquire(Ask(ONE)):
        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert missed == []


def test_a_child_that_shares_our_directory_misses_nothing(host):
    """After fork, parent and child have one position in whatever was open before."""
    with host.acquire(Ask(ONE)):
        host.snapshot()
        pid = os.fork()
        missed = any(len(host.snapshot().leases) != 1 for _ in range(300))
        if pid == 0:
            os._exit(missed)
        assert not missed
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.parametrize("failing", ["dup", "scan"])
def test_what_cannot_be_verified_is_not_held(host, monkeypatch, failing):
    real = fcntl.fcntl

    def fail(*_arguments, **_named):
        raise OSError(errno.EMFILE, "too many")

    def fail_to_ask(descriptor, operation, *request):
        return (fail if operation == fcntl.F_OFD_GETLK else real)(descriptor, operation, *request)

    host.snapshot()
    if failing == "dup":
        monkeypatch.setattr(os, "dup", fail)
    else:
        monkeypatch.setattr(fcntl, "fcntl", fail_to_ask)
    with pytest.raises(StateError, match="too many files open"):
        host.acquire(Ask(ONE))
    monkeypatch.undo()
    fresh = LocalHost(environ=host.environ)
    assert fresh.snapshot().leases == ()


def test_a_lease_that_cannot_be_read_is_an_error_not_a_free_device(host, monkeypatch):
    """Out of descriptors, or a disk that fails: not having looked is not having seen nothing."""
    real = os.open

    def fail(path, *arguments, **named):
        if str(path).endswith(".lease"):
            raise OSError(errno.EMFILE, "too many")
        return real(path, *arguments, **named)

    with host.acquire(Ask(TWO)):
        monkeypatch.setattr(os, "open", fail)
        with pytest.raises(StateError, match="raise ulimit -n"):
            host.snapshot()
        monkeypatch.undo()


def test_a_release_that_cannot_delete_the_file_still_lets_go(host, state, monkeypatch):
    hold = host.acquire(Ask(TWO))

    def fail(*_arguments, **_named):
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(os, "unlink", fail)
    hold.release()
    assert len(host.snapshot().available) == 2
    monkeypatch.undo()


def test_a_release_that_others_outlive_says_so(host, monkeypatch):
    hold = host.acquire(Ask(TWO))
    copy = os.dup(hold.descriptor)

    def fail(*_arguments, **_named):
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(os, "unlink", fail)
    with pytest.raises(StateError, match="cannot release what other processes hold"):
        hold.release()
    monkeypatch.undo()
    assert len(host.snapshot().leases) == 1
    os.close(copy)
