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

from genvx.core.snapshot import Snapshot
from genvx.errors import InvalidInput, NoCapacity, UnknownEnvironment, Unsatisfiable
from genvx.local.host import LocalHost
from torture import ground
from torture.holders import DEVICES, FOREIGN, Holder, Holding, Moment, World
from torture.trial import Outcome, Trial

_TENTH = 8 << 30

# Seconds. What passes never adds up to an end, so what the trial itself takes makes no difference.
_TIMES = (None, None, 125, 1025)
_POLICYS = 425
_PASSING = (50, 200, 1200)
_OVERTIME = 60
_SECOND = 10**9
# Where the first violation is enough it is not shrunk, which may take minutes.
_PHASES = (hypothesis.Phase.generate,)


@dataclass
class _Environment:
    """What the model knows of a granted environment. devices: tenths of each that it holds.
    holders: whose processes keep it alive. end_ns: of its time. reserved: whether it needs nobody
    until then.
    """

    uid: int
    devices: dict[str, int]
    holders: list[Holder] = field(default_factory=list)
    end_ns: int | None = None
    reserved: bool = False

    def is_over(self, now_ns: int) -> bool:
        return self.end_ns is not None and now_ns >= self.end_ns

    def lives(self, now_ns: int) -> bool:
        """By its time alone, or by those who hold it, whom its end leaves a minute."""
        if self.reserved and not self.is_over(now_ns):
            return True
        return bool(self.holders) and not self.is_over(now_ns - _OVERTIME * _SECOND)


def machine(trial: Trial, counts: collections.Counter[str]) -> type[RuleBasedStateMachine]:
    """The machine, for a place. counts: gets how much has happened."""

    class Life(RuleBasedStateMachine):
        environments = Bundle("environments")

        def __init__(self) -> None:
            super().__init__()
            self.place = trial.place / os.urandom(4).hex()
            self.place.mkdir(mode=0o755)
            self.variables = ground.provisioned(self.place / "state")
            self.world = World()
            self.holders: list[Holder] = []
            self.known: dict[str, _Environment] = {}
            self.moment = Moment("b0070000-0000-4000-8000-000000000000")
            self.boots = 0
            self.limit: int | None = None
            self.tell_world()
            self.host = LocalHost(
                environ=self.variables, survey=lambda: self.world.inventory("lives")
            )

        def tell_world(self) -> None:
            words = {"lost": list(self.world.lost), "foreign": list(self.world.foreign)}
            (self.place / "world").write_text(json.dumps(words))
            (self.place / "world").chmod(0o644)

        def look(self) -> Snapshot:
            with self.moment.believed():
                return self.host.snapshot()

        def holder(self, number: int) -> Holder:
            """One of the holders that go on; the first call starts it."""
            users = ground.USERS[:2] if ground.root() else (os.geteuid(),)
            while len(self.holders) < 4:
                self.start(users[len(self.holders) % len(users)])
            going = [each for each in self.holders if not each.stopped]
            return going[number % len(going)] if going else self.start(users[number % len(users)])

        def start(self, uid: int) -> Holder:
            ours, theirs = socket.socketpair()

            def serve() -> None:
                ours.close()
                for other in self.holders:
                    other.line.close()
                Holding(theirs, self.variables, self.place).serve()

            pid = ground.fork(serve, uid)
            theirs.close()
            self.holders.append(Holder(pid, ours, uid))
            return self.holders[-1]

        @initialize()
        def empty(self) -> None:
            assert self.look().leases == ()

        @rule(
            target=environments,
            number=st.integers(0, 3),
            gpus=st.integers(1, DEVICES),
            tenths=st.sampled_from((10, 10, 2, 5)),
            time=st.sampled_from(_TIMES),
        )
        def acquire(self, number: int, gpus: int, tenths: int, time: int | None) -> Any:
            return self.take(number, gpus, tenths, time)

        @rule(
            target=environments,
            number=st.integers(0, 3),
            gpus=st.integers(1, 2),
            time=st.sampled_from([time for time in _TIMES if time]),
        )
        def reserve(self, number: int, gpus: int, time: int) -> Any:
            return self.take(number, gpus, 10, time, reserved=True)

        def take(
            self,
            number: int,
            gpus: int,
            tenths: int,
            time: int | None = None,
            *,
            reserved: bool = False,
        ) -> Any:
            holder = self.holder(number)
            memory = None if tenths == 10 else tenths * _TENTH
            answer = holder.tell(
                self.moment,
                do="reserve" if reserved else "acquire",
                gpus=gpus,
                memory=memory,
                time=time,
            )
            limited = self.limit is not None and self.policy_holds_for(holder)
            if limited and time is not None and time > _POLICYS and gpus <= (self.limit or 0):
                assert answer["ending"] == InvalidInput.__name__, answer
                return hypothesis.stateful.multiple()
            possible = self.room(tenths)
            if answer["ending"] in (NoCapacity.__name__, Unsatisfiable.__name__):
                self.refused(holder, gpus, possible, answer)
                return hypothesis.stateful.multiple()
            assert answer["ending"] == "done", answer
            counts["grants"] += 1
            devices = tuple(answer["devices"])
            assert len(devices) == gpus
            assert set(devices) <= possible, f"granted {devices} where {possible} had room"
            seconds = _POLICYS if limited and time is None else time
            counts["timed"] += seconds is not None
            self.known[answer["environment"]] = _Environment(
                holder.uid,
                dict.fromkeys(devices, tenths),
                [] if reserved else [holder],
                None if seconds is None else self.moment.now_ns() + seconds * _SECOND,
                reserved,
            )
            self.within_limit(holder)
            return answer["environment"]

        def policy_holds_for(self, holder: Holder) -> bool:
            return holder.uid != 0

        def of_user(self, holder: Holder) -> set[str]:
            return {uuid for e in self.known.values() if e.uid == holder.uid for uuid in e.devices}

        def refused(
            self, holder: Holder, gpus: int, possible: set[str], answer: dict[str, Any]
        ) -> None:
            """There was no room, or it was more than the policy allows."""
            held = len(self.of_user(holder))
            beyond = self.limit is not None and held + gpus > self.limit
            if answer["ending"] == Unsatisfiable.__name__ or "by policy" in answer["line"]:
                assert self.policy_holds_for(holder), answer
                assert beyond, f"{held} held: {answer}"
            else:
                assert len(possible) < gpus, f"refused, with room on {possible}: {answer}"

        def within_limit(self, holder: Holder) -> None:
            if self.limit is not None and self.policy_holds_for(holder):
                held = self.of_user(holder)
                assert len(held) <= self.limit, f"{held} held, {self.limit} allowed"

        @rule(target=environments, number=st.integers(0, 3), tenths=st.sampled_from((6, 6, 3, 10)))
        def acquire_one(self, number: int, tenths: int) -> Any:
            return self.take(number, 1, tenths)

        @rule(limit=st.sampled_from((None, None, 1, 3)))
        def change_the_policy(self, limit: int | None) -> None:
            """It limits how many devices, and how long, from now on."""
            self.limit = limit
            path = self.place / "state" / "policy.toml"
            path.unlink(missing_ok=True)
            if limit is not None:
                path.write_text(f'[limits]\ngpus = {limit}\ntime = "{_POLICYS}s"\n')
                path.chmod(0o644)

        @rule(seconds=st.sampled_from(_PASSING))
        def time_passes(self, seconds: int) -> None:
            self.moment.ahead_ns += seconds * _SECOND
            before = len(self.known)
            self.bury()
            counts["over"] += before - len(self.known)

        def room(self, units: int) -> set[str]:
            """The devices that have room for one more, by the model."""
            found = set()
            for device in self.host._survey().devices:
                held = sum(e.devices.get(device.uuid, 0) for e in self.known.values())
                tenants = {e.uid for e in self.known.values() if device.uuid in e.devices}
                sick = device.index in self.world.lost
                busy = device.index in self.world.foreign and FOREIGN not in tenants
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
                self.moment, do="attach", environment=environment, gpus=gpus, memory=memory
            )
            known = self.known.get(environment)
            if known is None or known.uid != holder.uid or known.is_over(self.moment.now_ns()):
                assert answer["ending"] == UnknownEnvironment.__name__, answer
                return
            possible = self.room(tenths) - known.devices.keys()
            if answer["ending"] in (NoCapacity.__name__, Unsatisfiable.__name__):
                if "by policy" in answer["line"]:
                    self.refused(holder, gpus, possible, answer)
                else:
                    assert len(possible) < gpus, f"refused, with room on {possible}: {answer}"
                return
            assert answer["ending"] == "done", answer
            counts["attached"] += 1
            assert len(answer["devices"]) == gpus
            assert set(answer["devices"]) <= possible, f"attached where only {possible} had room"
            known.devices.update(dict.fromkeys(answer["devices"], tenths))
            self.within_limit(holder)

        @rule(environment=environments, number=st.integers(0, 3), of=st.integers(0, DEVICES))
        def detach(self, environment: str, number: int, of: int) -> None:
            """One device, or all of them."""
            holder = self.holder(number)
            known = self.known.get(environment)
            mine = known is not None and known.uid == holder.uid
            held = sorted(known.devices) if known is not None else []
            chosen = [held[of % len(held)]] if held and of < DEVICES else []
            answer = holder.tell(self.moment, do="detach", environment=environment, devices=chosen)
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
            answer = holder.tell(self.moment, do="join", environment=environment)
            known = self.known.get(environment)
            if known is None or known.uid != holder.uid or known.is_over(self.moment.now_ns()):
                assert answer["ending"] == UnknownEnvironment.__name__, answer
            else:
                assert answer["ending"] == "done", answer
                known.holders.append(holder)

        @rule(environment=environments)
        def leave(self, environment: str) -> None:
            known = self.known.get(environment)
            if known is None or not known.holders or known.holders[-1].stopped:
                return
            answer = known.holders[-1].tell(self.moment, do="leave", environment=environment)
            assert answer["ending"] == "done", answer
            known.holders.pop()
            self.bury()

        @rule(environment=consumes(environments))
        def release(self, environment: str) -> None:
            """By root, or by its owner; the processes that hold it live on."""
            known = self.known.pop(environment, None)
            try:
                with self.moment.believed():
                    self.host.release(environment)
            except UnknownEnvironment:
                assert known is None
            else:
                assert known is not None

        def bury(self) -> None:
            now = self.moment.now_ns()
            self.known = {name: e for name, e in self.known.items() if e.lives(now)}

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
            answer = self.holder(number).tell(self.moment, do="reap")
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
            self.moment.boot_id = f"b0070000-0000-4000-8000-{self.boots:012x}"
            for directory in (self.place / "state" / "leases").iterdir():
                self.reservation_of_before(directory)
            self.known = {name: e for name, e in self.known.items() if not e.reserved}
            assert self.known == {}

        def reservation_of_before(self, directory: Path) -> None:
            """One that ran by the clock of the last boot, which has ended."""
            identifier, uid = os.urandom(8).hex(), int(directory.name)
            record = {
                "v": 1, "id": identifier, "uid": uid, "env": "0123abcd", "name": "before",
                "devices": [self.host._survey().devices[0].uuid], "memory": None,
                "boot_id": "b0070000-0000-4000-8000-ffffffffffff", "since_boottime_ns": 1,
                "expires_boottime_ns": 1 << 62, "pid": 1, "starttime": 0, "host": "",
                "command": "", "note": "", "part": "reserved",
            }  # fmt: skip
            path = directory / f"{identifier}.lease"
            path.write_text(json.dumps(record, separators=(",", ":")))
            os.chown(path, uid, -1)

        @rule(index=st.integers(0, DEVICES - 1))
        def lose_or_repair_a_device(self, index: int) -> None:
            self.world.lost ^= {index}
            self.tell_world()

        @rule(index=st.integers(0, DEVICES - 1))
        def foreign_process_comes_or_goes(self, index: int) -> None:
            self.world.foreign ^= {index}
            self.tell_world()

        @invariant()
        def all_that_is_held_is_seen_and_nothing_else(self) -> None:
            counts["steps"] += 1
            self.bury()
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
                    phases=_PHASES if Outcome.most == 1 else hypothesis.Phase,
                    suppress_health_check=list(hypothesis.HealthCheck),
                ),
            )
        except Exception as error:
            notes = " / ".join(getattr(error, "__notes__", []))
            inner = getattr(error, "exceptions", [error])[0]
            outcome.violated(f"{type(inner).__name__}: {inner} {notes}")
    outcome.seen.append(
        f"{count:,} lives, {counts['steps']:,} steps, {counts['grants']:,} grants, "
        f"{counts['timed']:,} with a time, {counts['over']:,} over, "
        f"{counts['attached']:,} attached, {counts['detached']:,} detached, "
        f"{len(outcome.violations)} failed"
    )
    return outcome
