"""F5, F6: malformed input, in great number, to everything that reads what somebody else wrote.

Right is: a value, or an error of genvx that is one printable line; within a second; and nothing on
the screen that a terminal would obey.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import strategies as st

from genvx.core import codec, protocol
from genvx.core.fields import Malformed, dumps
from genvx.core.lease import Owner
from genvx.core.request import Requirements
from genvx.core.text import require_name
from genvx.core.units import parse_duration
from genvx.errors import GenvxError
from genvx.fleet import hostfile, hostkeys, sshconfig
from genvx.fleet.hostfile import HostSpec
from genvx.local import locks
from genvx.local.host import LocalHost
from genvx.local.simulated import simulate
from genvx.testing import FakeHost
from torture import ground
from torture.cases import (
    OPERATIONS,
    TOKENS,
    VALUES,
    Edit,
    edited,
    places,
    random_edits,
    with_value,
)
from torture.trial import Outcome, Trial

_PATIENCE = 1.0


class Hang(BaseException):
    """Input that keeps its reader busy."""


@contextlib.contextmanager
def _in_time() -> Iterator[None]:
    def ring(number: int, frame: object) -> None:
        raise Hang(f"busy for more than {_PATIENCE:g} s")

    # Of our own time, for the machine may be busy with others; and again and again, for it may ring
    # where Python drops exceptions, as in what the garbage collector calls.
    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, _PATIENCE, _PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _readable(text: str) -> None:
    """What is shown to a person has lines, and nothing that a terminal obeys."""
    bad = [c for c in text if not (c.isprintable() or c == "\n")]
    assert not bad, f"would print {bad[:3]!r}"


def _one_line(text: str) -> None:
    assert text.isprintable(), f"not one printable line: {text[:200]!r}"


def _read(reader: Callable[..., Any], *given: Any) -> Any:
    """The value, or None for an error that readers may raise."""
    try:
        return reader(*given)
    except (GenvxError, Malformed) as error:
        _one_line(str(error))
        return None


# F5


def leases(trial: Trial) -> Outcome:
    """F5: lease files with anything in them and any name, held live by their owner, in scans."""
    outcome = Outcome()
    variables = ground.provisioned(trial.place / "state")
    here = LocalHost(environ=variables)
    victim = here.acquire(Requirements(2), name="victim")
    (path,) = (trial.place / "state").rglob("*.lease")
    well_formed = path.read_bytes().replace(b'"uid":%d' % os.geteuid(), b'"uid":%d' % _stranger())
    directory = trial.place / "state" / "leases" / str(_stranger())
    directory.mkdir(mode=0o755)
    if ground.root():
        os.chown(directory, _stranger(), _stranger())
    chance, wanted, done = trial.chance(), trial.size(4_000, 100_000), 0
    while done < wanted and not outcome.enough:
        held = [_hostile(directory, well_formed, chance) for _ in range(200)]
        done += len(held)
        try:
            with _in_time():
                snapshot = here.snapshot()
        except (Exception, Hang) as error:
            outcome.violated(f"a scan ended in {type(error).__name__}: {error}")
        else:
            key = (os.geteuid(), victim.grant.environment)
            seen = [lease for lease in snapshot.leases if lease.key == key]
            outcome.check(len(seen) == 1, "the victim's lease is not seen")
            outcome.check(all(line.isprintable() for line in snapshot.odd), "odd is not printable")
        for descriptor in held:
            os.close(descriptor)
        for name in os.listdir(directory):
            (os.rmdir if (directory / name).is_dir() else os.unlink)(directory / name)
    victim.release()
    outcome.seen.append(f"{done:,} files, {len(outcome.violations)} crashes")
    return outcome


def _stranger() -> int:
    return ground.STRANGER if ground.root() else os.geteuid()


def _hostile(directory: Path, well_formed: bytes, chance: Any) -> int:
    """A lease file of a hostile user whose lock is held; the descriptor that holds it."""
    name = os.urandom(8).hex()
    data = well_formed.replace(json.loads(well_formed)["id"].encode(), name.encode())
    if chance.random() < 0.4:
        record = json.loads(data)
        data = json.dumps(
            with_value(record, (chance.choice(list(record)),), chance.choice(VALUES))
        ).encode()
    if chance.random() < 0.8:
        data = edited(data, random_edits(chance))
    spelled = os.fsencode(f"{name}.lease")
    if chance.random() < 0.1:
        spelled = edited(spelled, random_edits(chance)).replace(b"/", b"").replace(b"\0", b"")
        spelled = spelled[:200] or b"x.lease"
    path = os.path.join(os.fsencode(directory), spelled)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        return os.open(os.devnull, os.O_RDONLY)  # "." and the like are no names
    if ground.root():
        os.fchown(descriptor, ground.STRANGER, ground.STRANGER)
    os.write(descriptor, data)
    if chance.random() < 0.05:
        os.ftruncate(descriptor, 1 << 40)
    locks.hold(descriptor)
    return descriptor


# F6


def _edits() -> st.SearchStrategy[list[Edit]]:
    payloads = st.sampled_from(TOKENS) | st.binary(max_size=6)
    edit = st.builds(
        Edit,
        st.sampled_from(OPERATIONS),
        st.floats(0, 1, exclude_max=True),
        st.sampled_from((0, 1, 2, 8, 40)),
        payloads,
    )
    return st.lists(edit, min_size=1, max_size=5)


def _from(*well_formed: bytes) -> st.SearchStrategy[bytes]:
    return st.builds(edited, st.sampled_from(well_formed), _edits())


def _text(strategy: st.SearchStrategy[bytes]) -> st.SearchStrategy[str]:
    return strategy.map(lambda data: data.decode("utf-8", "replace"))


_HOSTFILES = (
    b"gpu-server-1\nraz@gpu-server-2:2222\n",
    b"gpu[03-16].lab.example  tags=a100,nvlink # some\n[2001:db8::7]:22\n",
    b"10.0.0.7  user=ubuntu  key=~/.ssh/gpu.pem  python=/opt/py/bin/python3  gpus=0,2,3\n",
    b'worker-1 slots=4 max_slots=8\na password_env=GENVX_PASSWORD password_command="pass x"\n',
)


def _feed_hostfile(text: str) -> None:
    for specs in (
        _read(lambda: hostfile.parse(text, source="h\x1b.txt")),
        _read(hostfile.parse_names, text),
    ):
        for spec in specs or ():
            assert spec.name.isprintable()
            assert spec.address.isprintable()
            assert not spec.address.startswith("-")
            assert spec.user is None or not spec.user.startswith("-")


_TYPED = (
    b"2",
    b"40GiB",
    b"512 MiB",
    b"2h30m",
    b"90s",
    b"my env",
    b"2xA100-80GB,1xT4-16GB",
    b"0.5t",
)


def _feed_typed(text: str) -> None:
    for gpus, memory in ((text, None), (None, text), (text, text)):
        _read(Requirements.parse, gpus, memory)
    _read(parse_duration, text)
    _read(require_name, text)
    _read(simulate, text, "seed")


_LEASE = dumps(
    {
        "v": 1, "id": "00ff00ff00ff00ff", "uid": 1000, "env": "abcd1234", "name": "é x",
        "devices": ["GPU-1", "GPU-2"], "memory": None, "boot_id": "b", "since_boottime_ns": 1,
        "expires_boottime_ns": None, "pid": 7, "starttime": 9, "host": "h", "command": "python",
        "note": "",
    }
)  # fmt: skip


def _feed_lease(data: bytes) -> None:
    owner = Owner(1000, "me")
    lease = _read(lambda: codec.lease_from_file(data, owner=owner, identifier="00ff00ff00ff00ff"))
    if lease is not None:
        assert lease.owner == owner
        for text in (lease.name, lease.host, lease.command, lease.note, *lease.devices):
            assert text.isprintable()


_TOKEN = "00ff00ff00ff00ff"
_CALL = protocol.Call("run", _TOKEN, {"argv": ["x"], "name": "é"})


def _feed_call(data: bytes) -> None:
    for call in (
        _read(lambda: protocol.read_call(io.BytesIO(data).read)),
        _read(lambda: protocol.call_from_word(data.decode("latin-1"))),
    ):
        if call is not None and "requirements" in call.arguments:
            _read(codec.requirements_from_plain, call.arguments["requirements"])


def _answers() -> list[Any]:
    """What a host may answer, well-formed: snapshots, environments, grants, findings."""
    host = FakeHost("h", devices=3)
    held = host.acquire(Requirements(2), name="né", command="python x")
    snapshot = codec.snapshot_to_plain(host.snapshot())
    snapshot["usage"][snapshot["devices"][2]["uuid"]]["processes"] = [
        {"pid": 1, "uid": 7, "user": "u", "command": "c", "memory": None, "compute": True}
    ]
    snapshot["driver"]["notes"] = ["a note"]
    snapshot["odd"] = ["7/x.lease: odd"]
    (environment,) = host.snapshot().environments
    return [
        snapshot,
        snapshot,
        codec.environment_to_plain(environment),
        codec.grant_to_plain(held.grant),
        [codec.finding_to_plain(finding) for finding in host.doctor()],
    ]


_ANSWERS = _answers()


@st.composite
def _frames(draw: Any) -> tuple[bytes, list[int]]:
    """What comes from a host, and where it is cut into pieces."""
    value = draw(st.sampled_from(_ANSWERS))
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(places(value) or [()]))
        value = with_value(value, path, draw(st.sampled_from(VALUES)))
    error = draw(
        st.sampled_from((None, None, None, "NoCapacity", "StateError", "SystemExit", "x\x1b"))
    )
    reply = protocol.Reply(
        value=value, error=error, message=draw(st.sampled_from(("", "m\x1b[2J")))
    )
    data = draw(st.sampled_from((b"", b"motd\r\n", b"GENVX-REPLY ", b"\x1b[2J"))) + reply.to_bytes(
        _TOKEN
    )
    if draw(st.booleans()):
        data = edited(data, draw(_edits()))
    return data, draw(st.lists(st.integers(1, 4000), max_size=4))


def _feed_frame(case: tuple[bytes, list[int]]) -> None:
    data, cuts = case
    reader, reply, start = protocol.ReplyReader(_TOKEN), None, 0
    for size in [*cuts, len(data)]:
        reply = reply or _read(reader.feed, data[start : start + size])
        start += size
    if reply is None:
        return
    value = _read(reply.result)
    for decode in (codec.environment_from_plain, codec.grant_from_plain, codec.finding_from_plain):
        _read(decode, value)
    snapshot = _read(codec.snapshot_from_plain, value)
    if snapshot is not None:
        _show(snapshot)


def _show(snapshot: Any) -> None:
    """Everything that the commands would print of a snapshot."""
    from genvx.cli.tables import Output
    from genvx.cli.views import devices, envs, status
    from genvx.cli.where import Where
    from genvx.core.placement import place
    from genvx.fleet.fleet import Fleet

    class Liar(FakeHost):
        def snapshot(self) -> Any:
            return snapshot

    fleet = Fleet([Liar("liar")], fanout=0)
    where, printed = Where(remote=True), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        devices.show(where, fleet, Output(), by_device=True)
        devices.show(where, fleet, Output(csv=True))
        devices.show(where, fleet, Output(json=True))
        envs.show(where, fleet, Output())
        envs.show(Where(), fleet, Output())
        status.show(where, fleet, Output())
        print(place(Requirements(4), snapshot))
    _readable(printed.getvalue())


_SSH_CONFIGS = (
    b"Host gpu*\n  HostName %h.lab.example\n  User raz\n  Port 2222\n  ProxyJump bastion\n",
    b'Host *\n  IdentityFile "~/.ssh/id_%r"\n  UserKnownHostsFile /dev/null ~/x\n',
    b"Match host door user raz\n  Port=22\n  ConnectTimeout none\n  ForwardAgent $SSH_AUTH_SOCK\n",
    b"CanonicalizeHostname yes\nHost door !gpu\n  IdentityAgent none\n  AddressFamily inet6\n",
)


def _settled(place: Path, with_ssh: bool) -> Callable[[bytes], None]:
    path = place / "ssh_config"

    def feed(data: bytes) -> None:
        path.write_bytes(data)
        path.chmod(0o600)
        settler = sshconfig.Settler(str(path))
        if not with_ssh:
            settler._ssh = None  # as where there is no ssh
        settings = _read(settler.settings, HostSpec("door", "door"))
        if settings is not None:
            assert 0 < settings.port < 65536
            assert not settings.hostname.startswith("-")

    return feed


_KNOWN = (
    b"door ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBn2Vv8cKZ4hZ0k3pX0fJmCxZ8kqB2rV8w2x9yQm8LrA\n",
    b"@revoked * ssh-rsa AAAA\n@cert-authority *.lab ssh-rsa AAAA c\n",
    b"|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= ssh-ed25519 AAAA\n",
    b"[127.0.0.1]:2222,!gpu?,*.lab ecdsa-sha2-nistp256 AAAA\n",
)


def _known(place: Path) -> Callable[[bytes], None]:
    path = place / "known_hosts"

    def feed(data: bytes) -> None:
        path.write_bytes(data)
        known = hostkeys.KnownHosts([str(path)])
        for name in ("door", "gpu1.lab", "[127.0.0.1]:2222"):
            verdict = known.judge(name, b"a key that nobody knows")
            assert verdict is not hostkeys.Verdict.KNOWN
            kinds = known.kinds(name)
            assert isinstance(kinds, tuple)

    return feed


def inputs(trial: Trial) -> Outcome:
    """F6: hostfiles, what people type, leases, calls, frames, ssh_config, known_hosts."""
    outcome = Outcome()
    readers: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], None], int]] = {
        "hostfiles": (_text(_from(*_HOSTFILES)), _feed_hostfile, 100_000),
        "options": (_text(_from(*_TYPED)), _feed_typed, 100_000),
        "leases": (_from(_LEASE), _feed_lease, 100_000),
        "calls": (_from(_CALL.to_bytes(), _CALL.to_word().encode()), _feed_call, 100_000),
        "frames": (_frames(), _feed_frame, 100_000),
        "ssh_config": (_from(*_SSH_CONFIGS), _settled(trial.place, False), 100_000),
        "ssh -G": (_from(*_SSH_CONFIGS), _settled(trial.place, True), 2_000),
        "known_hosts": (_from(*_KNOWN), _known(trial.place), 100_000),
    }
    for name, (strategy, feed, full) in readers.items():
        count = full if trial.full else full // 500
        try:
            _try(trial, count, strategy, feed)
        except (Exception, Hang) as error:
            outcome.violated(f"{name}: {type(error).__name__}: {error}")
    cases = sum(full if trial.full else full // 500 for _, _, full in readers.values())
    outcome.seen.append(
        f"{cases:,} cases of {len(readers)} kinds, {len(outcome.violations)} crashes or hangs"
    )
    return outcome


def _try(
    trial: Trial, count: int, strategy: st.SearchStrategy[Any], feed: Callable[[Any], None]
) -> None:
    phases = [hypothesis.Phase.generate]
    if Outcome.most > 1:
        phases.append(hypothesis.Phase.shrink)  # for people; it takes minutes

    @hypothesis.seed(trial.seed)
    @hypothesis.settings(
        max_examples=count,
        deadline=None,
        database=None,
        print_blob=False,
        phases=phases,
        suppress_health_check=list(hypothesis.HealthCheck),
        verbosity=hypothesis.Verbosity.quiet,
    )
    @hypothesis.given(strategy)
    def attempt(case: Any) -> None:
        try:
            with _in_time():
                feed(case)
        except (Exception, Hang) as error:
            raise AssertionError(f"{type(error).__name__}: {error}; of {case!r:.300}") from error

    attempt()
