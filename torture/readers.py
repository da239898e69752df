"""What reads what somebody else wrote: how each is fed, and what must be true of its answer."""

from __future__ import annotations

import contextlib
import io
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from genvx.core.leases.claim import Owner
from genvx.core.line.ticket import Ticket
from genvx.core.policies import limit, policy, policytext
from genvx.core.quantities.durations import parse_duration
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.core.text import require_name
from genvx.core.wire import (
    asking,
    callreader,
    findingcodec,
    grantcodec,
    job,
    leasecodec,
    ongoing,
    policycodec,
    reply,
    replyreader,
    snapshotcodec,
)
from genvx.core.wire.files import leasefiles, ticketfiles
from genvx.core.wire.plain import Malformed, dumps
from genvx.errors import GenvxError
from genvx.fleet.hosts import hostfile, hostnames
from genvx.fleet.hosts.hostspec import HostSpec
from genvx.local.devices.simulated import simulate
from genvx.ssh.config import sshconfig
from genvx.ssh.hostkey import hostkeys
from genvx.ssh.hostkey.verdict import Verdict
from genvx.testing import FakeHost
from torture.cases import OPERATIONS, TOKENS, VALUES, Edit, edited, places, with_value


@dataclass(frozen=True)
class Reader:
    """seeds: well-formed input, as bytes. feed: gives a case to what reads it, and checks.

    case: a case from bytes. cases: those that are tried by chance, made of the seeds by default.
    many: how many in the full form.
    """

    seeds: tuple[bytes, ...]
    feed: Callable[[Any], None]
    case: Callable[[bytes], Any] = lambda data: data
    cases: st.SearchStrategy[Any] | None = None
    many: int = 100_000

    @property
    def strategy(self) -> st.SearchStrategy[Any]:
        return _from(*self.seeds).map(self.case) if self.cases is None else self.cases


def readers(place: Path) -> dict[str, Reader]:
    """All of them, by name; their files are in an empty directory."""
    calls = (_CALL.to_bytes(), _CALL.to_word().encode())
    frames = tuple(reply.Reply(value=value).to_bytes(_TOKEN) for value in _ANSWERS)
    return {
        "hostfiles": Reader(_HOSTFILES, _feed_hostfile, _text),
        "options": Reader(_TYPED, _feed_typed, _text),
        "leases": Reader((_LEASE,), _feed_lease),
        "tickets": Reader((_TICKET,), _feed_ticket),
        "policies": Reader(_POLICIES, _feed_policy, _text),
        "calls": Reader(calls, _feed_call),
        "frames": Reader(frames, _feed_frame, lambda data: (data, []), _frames()),
        "ssh_config": Reader(_SSH_CONFIGS, _settled(place, with_ssh=False)),
        "ssh -G": Reader(_SSH_CONFIGS, _settled(place, with_ssh=True), many=2_000),
        "known_hosts": Reader(_KNOWN, _known(place)),
    }


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


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


_HOSTFILES = (
    b"gpu-server-1\nraz@gpu-server-2:2222\n",
    b"gpu[03-16].lab.example  tags=a100,nvlink # some\n[2001:db8::7]:22\n",
    b"10.0.0.7  user=ubuntu  key=~/.ssh/gpu.pem  python=/opt/py/bin/python3  gpus=0,2,3\n",
    b'worker-1 slots=4 max_slots=8\na password_env=GENVX_PASSWORD password_command="pass x"\n',
)


def _feed_hostfile(text: str) -> None:
    for specs in (
        _read(lambda: hostfile.parse(text, source="h\x1b.txt")),
        _read(hostnames.parse_names, text),
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
    b"A100,H100:80G..:2",
    b"1g.10gb:2",
    b"GPU-00ff,3:1",
)


def _feed_typed(text: str) -> None:
    for gpus, memory in ((text, None), (None, text), (text, text)):
        _one_line(str(_read(Requirements.parse, gpus, memory)))
    _read(lambda: Requirements.parse(devices=[text]))
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
    lease = _read(
        lambda: leasefiles.lease_from_file(data, owner=owner, identifier="00ff00ff00ff00ff")
    )
    if lease is not None:
        assert lease.owner == owner
        for text in (lease.name, lease.host, lease.command, lease.note, *lease.devices):
            assert text.isprintable()


_WAITING = Ticket(
    Requirements.parse("A100,H100:80G..:2", "1G"), 1 << 62, 4, id="00ff00ff00ff00ff",
    owner=Owner(1000, "me"), environment_id="abcd1234", name="é x", boot_id="b", since_ns=1, pid=7,
    starttime=9, host="h", command="python",
)  # fmt: skip
_TICKET = ticketfiles.ticket_to_file(_WAITING)


def _feed_ticket(data: bytes) -> None:
    owner = Owner(1000, "me")
    ticket = _read(
        lambda: ticketfiles.ticket_from_file(data, owner=owner, identifier="00ff00ff00ff00ff")
    )
    if ticket is not None:
        assert ticket.owner == owner
        for text in (ticket.name, ticket.host, ticket.command, str(ticket.requirements)):
            assert text.isprintable()


_POLICIES = (
    b'administrators = ["ann"]\n[limits]\ngpus = 4\nmemory = "320G"\ntime = "24h"\n',
    b"[limits.groups.students]\ngpus = 1\n[limits.users.raz]\ngpus = 8\n",
    b'[devices]\nhidden = [7, "GPU-1"]\nshared = [0, 1]\n',
)


def _feed_policy(text: str) -> None:
    found = _read(policytext.parse, text, tomllib.loads)
    if found is not None:
        _one_line(str(found.limit("raz", ["students"])))


_TOKEN = "00ff00ff00ff00ff"
_CALL = asking.call_of(
    ongoing.Run(Ask(Requirements(1), name="é"), job.Job(("x",), {"A": "b"})), _TOKEN
)


def _feed_call(data: bytes) -> None:
    for call in (
        _read(lambda: callreader.read_call(io.BytesIO(data).read)),
        _read(lambda: callreader.call_from_word(data.decode("latin-1"))),
    ):
        if call is not None:
            _read(asking.operation_of, call)


def _answers() -> list[Any]:
    """What a host may answer, well-formed: snapshots, environments, grants, findings."""
    host = FakeHost("h", devices=3)
    held = host.acquire(Ask(Requirements(2), name="né", command="python x"))
    snapshot = snapshotcodec.SNAPSHOT.write(host.snapshot())
    snapshot["usage"][snapshot["devices"][2]["uuid"]]["processes"] = [
        {
            "pid": 1,
            "uid": 7,
            "user": "u",
            "command": "c",
            "memory": None,
            "compute": True,
            "utilization": 9,
        }
    ]
    snapshot["driver"]["notes"] = ["a note"]
    snapshot["tickets"] = [leasecodec.TICKET.write(_WAITING)]
    snapshot["odd"] = ["7/x.lease: odd"]
    (environment,) = host.snapshot().environments
    return [
        snapshot,
        snapshot,
        grantcodec.ENVIRONMENT.write(environment),
        grantcodec.GRANT.write(held.grant),
        policycodec.ENTITLEMENT.write(
            policy.Entitlement("raz", policy.Policy(users={"raz": limit.Limit(1)}), limit.Limit())
        ),
        [findingcodec.FINDING.write(finding) for finding in host.doctor()],
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
    answer = reply.Reply(value=value, error=error, message=draw(st.sampled_from(("", "m\x1b[2J"))))
    data = draw(st.sampled_from((b"", b"motd\r\n", b"GENVX-REPLY ", b"\x1b[2J"))) + answer.to_bytes(
        _TOKEN
    )
    if draw(st.booleans()):
        data = edited(data, draw(_edits()))
    return data, draw(st.lists(st.integers(1, 4000), max_size=4))


def _feed_frame(case: tuple[bytes, list[int]]) -> None:
    data, cuts = case
    reader, reply, start = replyreader.ReplyReader(_TOKEN), None, 0
    for size in [*cuts, len(data)]:
        reply = reply or _read(reader.feed, data[start : start + size])
        start += size
    if reply is None:
        return
    value = _read(reply.result)
    for decode in (
        grantcodec.ENVIRONMENT.read,
        grantcodec.GRANT.read,
        findingcodec.FINDING.read,
        policycodec.ENTITLEMENT.read,
    ):
        _read(decode, value)
    snapshot = _read(snapshotcodec.SNAPSHOT.read, value)
    if snapshot is not None:
        _show(snapshot)


def _show(snapshot: Any) -> None:
    """Everything that the commands would print of a snapshot."""
    from genvx.cli.ask.where import Where
    from genvx.cli.show.output import Output
    from genvx.cli.views import devices, envs, explain, queue, status
    from genvx.core.placing.placement import place
    from genvx.fleet.fleet import Fleet

    class Liar(FakeHost):
        def snapshot(self, *, holders: bool = False, sensors: bool = False) -> Any:
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
        queue.show(where, fleet, Output())
        queue.show(where, fleet, Output(json=True))
        explain.show(where, fleet, Output(), Requirements.parse("A100:2"))
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
        settler = sshconfig.Settler(str(path), ssh="ssh" if with_ssh else None)
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
            assert verdict is not Verdict.KNOWN
            kinds = known.kinds(name)
            assert isinstance(kinds, tuple)

    return feed
