"""F18: random lives of a host, step by step, against a model of what must be true.

A Hypothesis state machine drives LocalHost and real processes that hold leases. After each step the
host must show every lease that was granted and whose holders live, and no other, and never more of
a device than there is. What fails is shrunk to the shortest life that does.
"""

from __future__ import annotations

import collections
import contextlib
import io
import json
import os
import shutil
import signal
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from genvx.core.device import DeviceProcess, DeviceUsage, Health
from genvx.core.request import Requirements
from genvx.core.snapshot import Snapshot
from genvx.errors import GenvxError, NoCapacity, UnknownEnvironment, Unsatisfiable
from genvx.local import hold, processes, simulated
from genvx.local.host import LocalHost
from genvx.local.inventory import Inventory
from torture import ground
from torture.trial import Outcome, Trial

_DEVICES = 4
_TENTH = 8 << 30
_FOREIGN = 424242


@dataclass
class _Holder:
    """A process that holds leases, and does what it is told over a socket."""

    pid: int
    line: socket.socket
    uid: int
    stopped: bool = False

    def tell(self, **words: Any) -> dict[str, Any]:
        self.line.sendall(json.dumps(words).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            part = self.line.recv(65536)
            if not part:
                return {"ending": "died"}
            answer += part
        result: dict[str, Any] = json.loads(answer)
        return result


@dataclass
class _Environment:
    """What the model knows of a granted environment. devices: tenths of each that it holds.
    holders: whose processes keep it alive.
    """

    uid: int
    devices: dict[str, int]
    holders: list[_Holder] = field(default_factory=list)


@dataclass
class _World:
    """The devices as they are now; holders see the same through a file."""

    lost: set[int] = field(default_factory=set)
    foreign: set[int] = field(default_factory=set)

    def inventory(self, seed: str) -> Inventory:
        made = simulated.simulate(f"{_DEVICES}xA100-80GB", seed)
        usage = dict(made.usage)
        for device in made.devices:
            if device.index in self.lost:
                usage[device.uuid] = DeviceUsage(Health.LOST, "lost", processes=None)
            elif device.index in self.foreign:
                stranger = DeviceProcess(_FOREIGN, _FOREIGN, "stranger", "x", 1 << 30, True)
                usage[device.uuid] = DeviceUsage(memory_used=1 << 30, processes=(stranger,))
        return Inventory(made.driver, made.devices, usage)


class _Holding:
    """The far side of a holder's socket."""

    def __init__(self, line: socket.socket, variables: dict[str, str], place: Path) -> None:
        self._line = line
        self._place = place
        self._host = LocalHost(environ=variables, survey=self._survey)
        self._held: dict[str, list[hold.LocalHold]] = {}

    def _survey(self) -> Inventory:
        words = json.loads((self._place / "world").read_text())
        return _World(set(words["lost"]), set(words["foreign"])).inventory("lives")

    def serve(self) -> None:
        with self._line.makefile("r") as lines:
            for text in lines:
                words = json.loads(text)
                if words.get("boot_id"):
                    boot = str(words["boot_id"])
                    processes.boot_id = lambda boot=boot: boot
                try:
                    answer = getattr(self, words.pop("do"))(**words)
                except GenvxError as error:
                    answer = {"ending": type(error).__name__, "line": str(error)}
                except Exception as error:
                    answer = {"ending": "raised", "line": f"{type(error).__name__}: {error}"}
                self._line.sendall(json.dumps(answer).encode() + b"\n")

    def acquire(self, gpus: int, memory: int | None, boot_id: str) -> dict[str, Any]:
        held = self._host.acquire(Requirements(gpus, memory))
        self._held.setdefault(held.grant.environment, []).append(held)
        devices = [device.uuid for device in held.grant.devices]
        return {"ending": "done", "environment": held.grant.environment, "devices": devices}

    def join(self, environment: str, boot_id: str) -> dict[str, Any]:
        self._held.setdefault(environment, []).append(self._host.join(environment))
        return {"ending": "done"}

    def attach(
        self, environment: str, gpus: int, memory: int | None, boot_id: str
    ) -> dict[str, Any]:
        before = {device.uuid for device in self._host.grant_of(environment).devices}
        grant = self._host.attach(environment, Requirements(gpus, memory))
        devices = [device.uuid for device in grant.devices if device.uuid not in before]
        return {"ending": "done", "devices": devices}

    def detach(self, environment: str, devices: list[str], boot_id: str) -> dict[str, Any]:
        self._host.detach(environment, devices)
        return {"ending": "done"}

    def leave(self, environment: str) -> dict[str, Any]:
        self._held[environment].pop().release()
        return {"ending": "done"}

    def reap(self, boot_id: str) -> dict[str, Any]:
        return {"ending": "done", "leases": len(self._host.snapshot().leases)}


def machine(trial: Trial, counts: collections.Counter[str]) -> type[RuleBasedStateMachine]:
    """The machine, for a place. counts: gets how much has happened."""

    class Life(RuleBasedStateMachine):
        environments = Bundle("environments")

        def __init__(self) -> None:
            super().__init__()
            self.place = trial.place / os.urandom(4).hex()
            self.place.mkdir(mode=0o755)
            self.variables = ground.provisioned(self.place / "state")
            self.world = _World()
            self.holders: list[_Holder] = []
            self.known: dict[str, _Environment] = {}
            self.boot = "b0070000-0000-4000-8000-000000000000"
            self.boots = 0
            self.tell_world()
            self.host = LocalHost(
                environ=self.variables, survey=lambda: self.world.inventory("lives")
            )

        def tell_world(self) -> None:
            words = {"lost": list(self.world.lost), "foreign": list(self.world.foreign)}
            (self.place / "world").write_text(json.dumps(words))
            (self.place / "world").chmod(0o644)

        def look(self) -> Snapshot:
            real, processes.boot_id = processes.boot_id, lambda: self.boot
            try:
                return self.host.snapshot()
            finally:
                processes.boot_id = real

        def holder(self, number: int) -> _Holder:
            """One of the holders that go on; the first call starts it."""
            users = ground.USERS[:2] if ground.root() else (os.geteuid(),)
            while len(self.holders) < 4:
                self.start(users[len(self.holders) % len(users)])
            going = [each for each in self.holders if not each.stopped]
            return going[number % len(going)] if going else self.start(users[number % len(users)])

        def start(self, uid: int) -> _Holder:
            ours, theirs = socket.socketpair()

            def serve() -> None:
                ours.close()
                for other in self.holders:
                    other.line.close()
                _Holding(theirs, self.variables, self.place).serve()

            pid = ground.fork(serve, uid)
            theirs.close()
            self.holders.append(_Holder(pid, ours, uid))
            return self.holders[-1]

        @initialize()
        def empty(self) -> None:
            assert self.look().leases == ()

        @rule(
            target=environments,
            number=st.integers(0, 3),
            gpus=st.integers(1, _DEVICES),
            tenths=st.sampled_from((10, 10, 2, 5)),
        )
        def acquire(self, number: int, gpus: int, tenths: int) -> Any:
            return self.take(number, gpus, tenths)

        def take(self, number: int, gpus: int, tenths: int) -> Any:
            holder = self.holder(number)
            memory = None if tenths == 10 else tenths * _TENTH
            answer = holder.tell(do="acquire", gpus=gpus, memory=memory, boot_id=self.boot)
            possible = self.room(tenths)
            if answer["ending"] == NoCapacity.__name__:
                assert len(possible) < gpus, f"refused, with room on {possible}: {answer}"
                return hypothesis.stateful.multiple()
            assert answer["ending"] == "done", answer
            counts["grants"] += 1
            devices = tuple(answer["devices"])
            assert len(devices) == gpus
            assert set(devices) <= possible, f"granted {devices} where {possible} had room"
            self.known[answer["environment"]] = _Environment(
                holder.uid, dict.fromkeys(devices, tenths), [holder]
            )
            return answer["environment"]

        @rule(target=environments, number=st.integers(0, 3), tenths=st.sampled_from((10, 3, 6)))
        def acquire_one(self, number: int, tenths: int) -> Any:
            return self.take(number, 1, tenths)

        def room(self, units: int) -> set[str]:
            """The devices that have room for one more, by the model."""
            found = set()
            for device in self.host._survey().devices:
                held = sum(e.devices.get(device.uuid, 0) for e in self.known.values())
                tenants = {e.uid for e in self.known.values() if device.uuid in e.devices}
                sick = device.index in self.world.lost
                busy = device.index in self.world.foreign and _FOREIGN not in tenants
                if not sick and not busy and held + units <= 10:
                    found.add(device.uuid)
            return found

        @rule(
            environment=environments,
            number=st.integers(0, 3),
            gpus=st.integers(1, 2),
            tenths=st.sampled_from((10, 2, 5)),
        )
        def attach(self, environment: str, number: int, gpus: int, tenths: int) -> None:
            """More devices, by any process of the environment's user."""
            holder = self.holder(number)
            memory = None if tenths == 10 else tenths * _TENTH
            answer = holder.tell(
                do="attach", environment=environment, gpus=gpus, memory=memory, boot_id=self.boot
            )
            known = self.known.get(environment)
            if known is None or known.uid != holder.uid:
                assert answer["ending"] == UnknownEnvironment.__name__, answer
                return
            possible = self.room(tenths) - known.devices.keys()
            if answer["ending"] in (NoCapacity.__name__, Unsatisfiable.__name__):
                assert len(possible) < gpus, f"refused, with room on {possible}: {answer}"
                return
            assert answer["ending"] == "done", answer
            counts["attached"] += 1
            assert len(answer["devices"]) == gpus
            assert set(answer["devices"]) <= possible, f"attached where only {possible} had room"
            known.devices.update(dict.fromkeys(answer["devices"], tenths))

        @rule(environment=environments, number=st.integers(0, 3), of=st.integers(0, _DEVICES))
        def detach(self, environment: str, number: int, of: int) -> None:
            """One device, or all of them."""
            holder = self.holder(number)
            known = self.known.get(environment)
            mine = known is not None and known.uid == holder.uid
            held = sorted(known.devices) if known is not None else []
            chosen = [held[of % len(held)]] if held and of < _DEVICES else []
            answer = holder.tell(
                do="detach", environment=environment, devices=chosen, boot_id=self.boot
            )
            if not mine:
                assert answer["ending"] == UnknownEnvironment.__name__, answer
                return
            lost = [d for d in self.host._survey().devices if d.index in self.world.lost]
            assert answer["ending"] == "done", (answer, lost)
            assert known is not None
            counts["detached"] += 1
            for uuid in chosen or held:
                del known.devices[uuid]

        @rule(environment=environments, number=st.integers(0, 3))
        def join(self, environment: str, number: int) -> None:
            holder = self.holder(number)
            answer = holder.tell(do="join", environment=environment, boot_id=self.boot)
            known = self.known.get(environment)
            if known is None or known.uid != holder.uid:
                assert answer["ending"] == UnknownEnvironment.__name__, answer
            else:
                assert answer["ending"] == "done", answer
                known.holders.append(holder)

        @rule(environment=environments)
        def leave(self, environment: str) -> None:
            known = self.known.get(environment)
            if known is None or known.holders[-1].stopped:
                return
            answer = known.holders[-1].tell(do="leave", environment=environment)
            assert answer["ending"] == "done", answer
            known.holders.pop()
            self.bury()

        @rule(environment=consumes(environments))
        def release(self, environment: str) -> None:
            """By root, or by its owner; the processes that hold it live on."""
            known = self.known.pop(environment, None)
            try:
                self.host.release(environment)
            except UnknownEnvironment:
                assert known is None
            else:
                assert known is not None

        def bury(self) -> None:
            self.known = {name: e for name, e in self.known.items() if e.holders}

        @rule(number=st.integers(0, 3))
        def kill_holder(self, number: int) -> None:
            if not self.holders:
                return
            holder = self.holders.pop(number % len(self.holders))
            holder.line.close()
            ground.kill(holder.pid)
            for environment in self.known.values():
                environment.holders = [each for each in environment.holders if each is not holder]
            self.bury()

        @rule(number=st.integers(0, 3))
        def stop_or_continue_holder(self, number: int) -> None:
            if not self.holders:
                return
            holder = self.holders[number % len(self.holders)]
            os.kill(holder.pid, signal.SIGCONT if holder.stopped else signal.SIGSTOP)
            if not holder.stopped:
                os.waitpid(holder.pid, os.WUNTRACED)
            holder.stopped = not holder.stopped

        @rule(number=st.integers(0, 3))
        def reap(self, number: int) -> None:
            answer = self.holder(number).tell(do="reap", boot_id=self.boot)
            assert answer["ending"] == "done", answer

        @rule(data=st.sampled_from((b"", b"{}", b"[" * 4000, b"\x1b[2J", b"\0" * 5000)))
        def corrupt_a_dead_file_of_ones_own(self, data: bytes) -> None:
            for uid in ground.USERS[:2] if ground.root() else (os.geteuid(),):
                directory = self.place / "state" / "leases" / str(uid)
                if directory.exists():
                    path = directory / f"{os.urandom(8).hex()}.lease"
                    path.write_bytes(data)
                    os.chown(path, uid, -1)

        @rule(shape=st.sampled_from(("gone", "fifo", "link", "directory", "file")))
        def replace_the_lock_file(self, shape: str) -> None:
            path = self.place / "state" / "acquire.lock"
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink(missing_ok=True)
            match shape:
                case "fifo":
                    os.mkfifo(path, 0o666)
                case "link":
                    path.symlink_to("/etc/passwd")
                case "directory":
                    path.mkdir()
                case "file":
                    path.touch()
                    path.chmod(0o666)

        @rule()
        def reboot(self) -> None:
            """Every process is gone, and the boot has another id."""
            while self.holders:
                self.kill_holder(0)
            self.boots += 1
            self.boot = f"b0070000-0000-4000-8000-{self.boots:012x}"
            for directory in (self.place / "state" / "leases").iterdir():
                self.timed_lease_of_before(directory)
            assert self.known == {}

        def timed_lease_of_before(self, directory: Path) -> None:
            """One that ran by the clock of the last boot, which has ended."""
            identifier, uid = os.urandom(8).hex(), int(directory.name)
            record = {
                "v": 1, "id": identifier, "uid": uid, "env": "0123abcd", "name": "before",
                "devices": [self.host._survey().devices[0].uuid], "memory": None,
                "boot_id": "b0070000-0000-4000-8000-ffffffffffff", "since_boottime_ns": 1,
                "expires_boottime_ns": 1 << 62, "pid": 1, "starttime": 0, "host": "",
                "command": "", "note": "",
            }  # fmt: skip
            path = directory / f"{identifier}.lease"
            path.write_text(json.dumps(record, separators=(",", ":")))
            os.chown(path, uid, -1)

        @rule(index=st.integers(0, _DEVICES - 1))
        def lose_or_repair_a_device(self, index: int) -> None:
            self.world.lost ^= {index}
            self.tell_world()

        @rule(index=st.integers(0, _DEVICES - 1))
        def foreign_process_comes_or_goes(self, index: int) -> None:
            self.world.foreign ^= {index}
            self.tell_world()

        @invariant()
        def all_that_is_held_is_seen_and_nothing_else(self) -> None:
            counts["steps"] += 1
            snapshot = self.look()
            seen = {env.id: set(env.devices) for env in snapshot.environments}
            wanted = {name: set(each.devices) for name, each in self.known.items()}
            assert seen == wanted, f"seen {seen}, held {wanted}"
            by_name = {env.id: env for env in snapshot.environments}
            for name, each in self.known.items():
                assert by_name[name].owner.uid == each.uid
                assert len(by_name[name].pids) == len(each.holders)
                for uuid, tenths in each.devices.items():
                    memory = snapshot.holdings[uuid][each.uid, name]
                    assert memory == (None if tenths == 10 else tenths * _TENTH)

        @invariant()
        def no_device_is_held_beyond_what_it_has(self) -> None:
            for device in self.host._survey().devices:
                units = sum(e.devices.get(device.uuid, 0) for e in self.known.values())
                assert units <= 10, f"{device.uuid} is held {units} tenths"

        def teardown(self) -> None:
            for holder in self.holders:
                holder.line.close()
                ground.kill(holder.pid)
            self.host.close()
            shutil.rmtree(self.place)

    return Life


def lives(trial: Trial) -> Outcome:
    """F18."""
    outcome = Outcome()
    counts = collections.Counter[str]()
    ground.warm(trial.place)
    count, steps = trial.size(25, 1500), trial.size(25, 60)
    lives = hypothesis.seed(trial.seed)(machine(trial, counts))
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            run_state_machine_as_test(
                lives,
                settings=hypothesis.settings(
                    max_examples=count,
                    stateful_step_count=steps,
                    deadline=None,
                    database=None,
                    print_blob=False,
                    suppress_health_check=list(hypothesis.HealthCheck),
                ),
            )
        except Exception as error:
            notes = " / ".join(getattr(error, "__notes__", []))
            inner = getattr(error, "exceptions", [error])[0]
            outcome.violated(f"{type(inner).__name__}: {inner} {notes}")
    outcome.seen.append(
        f"{count:,} lives, {counts['steps']:,} steps, {counts['grants']:,} grants, "
        f"{counts['attached']:,} attached, {counts['detached']:,} detached, "
        f"{len(outcome.violations)} failed"
    )
    return outcome
