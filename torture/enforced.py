"""M4: random machines over time, and an oracle that says whom `genvx enforce` may and must hit.

The oracle knows the truth of what it made up, and shares no code with the decision: not the
snapshot's rules, not the history.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from genvx.core.device import Device
from genvx.core.enforcing.action import Action, Kind, Rule
from genvx.core.enforcing.decision import decide
from genvx.core.enforcing.history import History
from genvx.core.enforcing.sight import Facts, Sight
from genvx.core.leases.claim import Owner
from genvx.core.leases.lease import Lease
from genvx.core.policies.enforcement import (
    Enforcement,
    IdleRule,
    Measure,
    MemoryRule,
    ProcessRule,
)
from genvx.core.snapshot import Snapshot
from genvx.core.usage import DeviceProcess, DeviceUsage, Driver, Health
from torture.trial import Outcome, Trial

GIB = 1 << 30
STEP = 7.0  # seconds from one round to the next
GRACE = 16.0
KILL_AFTER = 10.0
IDLE = 30.0
MARGIN = GIB
USERS = (0, 1001, 1002, 1003, 1004)
EXEMPT = 1004
RULES = Enforcement(
    squatters=ProcessRule(Measure.END, GRACE),
    intruders=ProcessRule(Measure.END, GRACE),
    memory=MemoryRule(Measure.END, GRACE, MARGIN),
    idle=IdleRule(Measure.RELEASE, IDLE, 5),
)
NAMES = ("python", "$(reboot)", "\x1b[2J'; kill -9 1", "nv-hostengine", "Xorg " * 60, "")


@dataclass
class Proc:
    """A process that really is on a device. unknown: the kernel does not say whose it is."""

    pid: int
    start: int
    uid: int
    device: int
    memory: int | None
    busy: int | None
    draws: bool = False
    stopped: bool = False
    exempt: bool = False
    unknown: bool = False
    young: bool = False


@dataclass
class Held:
    """An environment on one device; share None is the whole of it."""

    uid: int
    name: str
    device: int
    share: int | None
    began: int


@dataclass
class World:
    """One machine at one moment. reused: pids that the driver named, and whose process ended since:
    the kernel has given them to innocent ones.
    """

    procs: list[Proc] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    blind: set[int] = field(default_factory=set)
    reused: list[Proc] = field(default_factory=list)
    silent: bool = False


class Play:
    """A machine that changes at random, and the rounds that look at it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.devices = self.random.randint(1, 3)
        self.world = World()
        self.ticks = 100
        self.now = 1000.0
        self.history = History()
        self.faults: list[str] = []
        self.acts: list[tuple[float, Action]] = []
        self.guilty: dict[tuple, list[float]] = {}  # when each was seen to be guilty, without gap
        self.where: dict[tuple, int] = {}
        self.idle: dict[tuple[int, str], list[float]] = {}
        self.memory: dict[tuple[int, str, int], int] = {}

    def round(self) -> None:
        """Change the machine, look at it, and compare what is done with what is right."""
        self._change()
        sight = self._sight()
        verdict = decide(sight, self.history, RULES, round(self.now * 1e9))
        self.history = verdict.history
        self._judge(verdict.actions)
        self.acts += [(self.now, action) for action in verdict.actions]
        self._obey(verdict.actions)
        self.now += STEP
        self.ticks += 700

    # The machine

    def _change(self) -> None:
        world, roll = self.world, self.random.random
        world.reused = []
        for proc in world.procs:
            proc.young = False
            if roll() < 0.1 and proc.busy is not None:
                proc.busy = self.random.choice((0, 3, 60))
            if roll() < 0.05:
                proc.stopped = not proc.stopped
            if roll() < 0.05 and proc.memory is not None:
                proc.memory += self.random.choice((-GIB, GIB)) if proc.memory > GIB else GIB
        for proc in [each for each in world.procs if roll() < 0.06]:
            world.procs.remove(proc)
            if roll() < 0.7:
                world.reused.append(proc)
        while roll() < 0.5 and len(world.procs) < 8:
            self._start()
        if roll() < 0.3 and len(world.held) < 4:
            device = self.random.randrange(self.devices)
            there = [each for each in world.held if each.device == device]
            if all(each.share is not None for each in there):
                share = self.random.choice((4 * GIB, 10 * GIB, None)) if not there else 4 * GIB
                uid = self.random.choice(USERS)
                # The same id as somebody else's is allowed, and nobody may be mistaken for another.
                name = self.random.choice(("aaaa", "bbbb", f"{self.ticks:08x}"))
                if all((uid, name) != (each.uid, each.name) for each in world.held):
                    world.held.append(Held(uid, name, device, share, round(self.now * 1e9)))
        world.held = [each for each in world.held if roll() > 0.03]
        world.blind = {each for each in range(self.devices) if roll() < 0.04}
        world.silent = roll() < 0.02

    def _start(self) -> None:
        roll, choice = self.random.random, self.random.choice
        taken = {each.pid for each in self.world.procs} | {e.pid for e in self.world.reused}
        pid = next(each for each in range(50, 99) if each not in taken)
        self.world.procs.append(
            Proc(
                pid,
                self.ticks,
                choice(USERS),
                self.random.randrange(self.devices),
                choice((None, 200 << 20, 3 * GIB, 6 * GIB, 12 * GIB)),
                choice((None, 0, 3, 60)),
                draws=roll() < 0.15,
                stopped=roll() < 0.1,
                exempt=roll() < 0.1,
                unknown=roll() < 0.08,
                young=roll() < 0.3,
            )
        )

    def _sight(self) -> Sight:
        world, name = self.world, self.random.choice(NAMES)
        devices = tuple(
            Device(uuid=f"GPU-{n}", index=n, name="A100", memory=80 * GIB)
            for n in range(self.devices)
        )
        usage = {}
        for number, device in enumerate(devices):
            seen = [each for each in (*world.procs, *world.reused) if each.device == number]
            if number in world.blind:
                usage[device.uuid] = self.random.choice(
                    (
                        DeviceUsage(processes=None),
                        DeviceUsage(health=Health.UNKNOWN, processes=()),
                    )
                )
                continue
            usage[device.uuid] = DeviceUsage(
                processes=tuple(
                    DeviceProcess(
                        each.pid,
                        None if each.unknown else each.uid,
                        name,
                        name,
                        each.memory,
                        not each.draws,
                        each.busy,
                    )
                    for each in seen
                ),
            )
        facts = {
            each.pid: Facts(each.pid, each.uid, each.start, each.young, each.stopped, each.exempt)
            for each in world.procs
            if not each.unknown
        }
        for each in world.reused:
            # Half of them by the same user, whose other process must not be hit either.
            uid = self.random.choice((each.uid, self.random.choice(USERS)))
            facts[each.pid] = Facts(each.pid, uid, self.ticks, young=True)
        leases = tuple(
            Lease(
                id=f"{n:04x}",
                owner=Owner(each.uid, name),
                environment_id=each.name,
                name=name,
                devices=(f"GPU-{each.device}",),
                memory=each.share,
                boot_id="b",
                since_ns=each.began,
            )
            for n, each in enumerate(world.held)
        )
        snapshot = Snapshot(
            "host",
            "1",
            "b",
            round(self.now * 1e9),
            Driver(error="it hangs" if world.silent else None),
            devices,
            usage,
            leases,
        )
        return Sight(snapshot, facts, frozenset({EXEMPT}))

    # The oracle

    def _charged(self) -> dict[tuple, int]:
        """Whom something may be done to, and must be once the grace is over; and the device."""
        world = self.world
        found: dict[tuple, int] = {}
        for proc in world.procs:
            theirs = [each for each in world.held if each.device == proc.device]
            if any(each.uid == proc.uid for each in theirs) or proc.uid in (0, EXEMPT):
                continue
            if proc.exempt or proc.unknown or proc.young or proc.device in world.blind:
                continue
            if proc.draws and proc.memory is not None and proc.memory < 500 << 20:
                continue
            rule = Rule.INTRUDERS if theirs else Rule.SQUATTERS
            found[rule, proc.uid, proc.pid, proc.start] = proc.device
        for uid in {each.uid for each in world.held} - {0, EXEMPT}:
            for number in range(self.devices):
                shares = [e.share for e in world.held if (e.uid, e.device) == (uid, number)]
                used = [
                    each
                    for each in world.procs
                    if (each.uid, each.device) == (uid, number)
                    and not (each.exempt or each.unknown or each.young)
                ]
                if not shares or None in shares or number in world.blind:
                    continue
                if any(each.memory is None for each in used):
                    continue
                if sum(e.memory or 0 for e in used) > sum(s or 0 for s in shares) + MARGIN:
                    found[Rule.MEMORY, uid, number] = number
        return found

    def _idles(self, held: Held) -> bool | None:
        """Whether an environment idles; None if that is unknown."""
        if held.device in self.world.blind:
            return None
        growing = 0
        for proc in (*self.world.procs, *self.world.reused):
            if proc.device != held.device:
                continue
            own = proc.uid == held.uid and not proc.unknown
            if not own and (proc.draws or not (proc.unknown or proc.uid in (0, EXEMPT))):
                continue
            if proc in self.world.reused or proc.young:
                if own:
                    return None
            elif proc.stopped and not proc.unknown:
                continue
            if proc.busy is None or proc.busy >= 5 or proc.memory is None:
                return None if proc.busy is None or proc.memory is None else False
            growing += proc.memory
        # Nothing, where one of the same name is on another device by now.
        before = self.memory.get((held.uid, held.name, held.device), 0)
        self.memory[held.uid, held.name, held.device] = growing
        return growing < before + (1 << 20)

    def _judge(self, actions: tuple[Action, ...]) -> None:
        if self.world.silent:
            if actions:
                self.faults.append("acted while the driver did not answer")
            return
        charged = self._charged()
        for key in [each for each in self.guilty if each not in charged]:
            if not self._hidden(key):
                del self.guilty[key]
        self.where.update(charged)
        for key in charged:
            self.guilty.setdefault(key, []).append(self.now)
        idle = {}
        for held in self.world.held:
            if held.uid not in (0, EXEMPT):
                key = (held.uid, held.name)
                # From the first round on in which it is there: what was before is unknown.
                known = self._idles(held) and key in self.idle
                idle[key] = [*self.idle[key], self.now] if known else [self.now]
        self.idle = idle
        self.memory = {key: size for key, size in self.memory.items() if key[:2] in idle}
        for action in actions:
            self._may(action, charged)
        self._must(actions)

    def _hidden(self, key: tuple) -> bool:
        """Whether a charge is not seen, only because its device or its memory is not."""
        return self.where.get(key) in self.world.blind

    def _may(self, action: Action, charged: dict[tuple, int]) -> None:
        def fault(why: str) -> None:
            self.faults.append(f"{action.kind.value} {action.rule.value} {action.pid}: {why}")

        if action.rule is Rule.IDLE:
            seen = self.idle.get((action.uid, action.environment))
            wanted = IDLE / 2 if action.kind is Kind.TELL else IDLE
            if seen is None or self.now - seen[0] < wanted - 1e-6:
                fault("it was in use")
            return
        proc = next((p for p in self.world.procs if p.pid == action.pid), None)
        if proc is None or (proc.start, proc.uid) != (action.starttime, action.uid):
            fault("another process has this pid")
            return
        if action.rule is Rule.MEMORY:
            if (Rule.MEMORY, proc.uid, proc.device) not in charged:
                fault("innocent")
            told = [a for _, a in self.acts if (a.rule, a.uid) == (action.rule, action.uid)]
        else:
            if (action.rule, proc.uid, proc.pid, proc.start) not in charged:
                fault("innocent")
            told = self._about(action)
        if action.kind is not Kind.TELL:
            first = [t for t, a in self.acts if a in told and a.kind is Kind.TELL]
            if not first or self.now - first[0] < GRACE - 1e-6:
                fault("not told in time")
        if action.kind is Kind.KILL:
            asked = [t for t, a in self.acts if a.kind is Kind.TERM and a.pid == action.pid]
            if not asked or self.now - asked[-1] < KILL_AFTER - 1e-6:
                fault("not asked in time")

    def _about(self, action: Action) -> list[Action]:
        who = (action.rule, action.uid, action.pid, action.starttime)
        return [a for _, a in self.acts if (a.rule, a.uid, a.pid, a.starttime) == who]

    def _must(self, actions: tuple[Action, ...]) -> None:
        done = [*self.acts, *((self.now, action) for action in actions)]
        for key, times in self.guilty.items():
            first, last = times[0], times[-1]
            if last != self.now or last - first < GRACE + 2 * STEP:
                continue
            if key[0] is Rule.MEMORY:
                hits = [a for t, a in done if t >= first and (a.rule, a.uid) == key[:2]]
            else:
                who = (key[0], key[1], key[2], key[3])
                hits = [a for t, a in done if (a.rule, a.uid, a.pid, a.starttime) == who]
            if not any(a.kind in (Kind.TERM, Kind.KILL) for a in hits):
                self.faults.append(f"{key}: not hit within two rounds after its grace")
        for (uid, name), times in self.idle.items():
            if self.now - times[0] >= IDLE + 2 * STEP:
                hits = [
                    a for t, a in done if t >= times[0] and (a.uid, a.environment) == (uid, name)
                ]
                if not any(a.kind is Kind.RELEASE for a in hits):
                    self.faults.append(f"environment {uid} {name}: not released in time")

    def _obey(self, actions: tuple[Action, ...]) -> None:
        """Some processes end when asked, all when killed; releases work, mostly."""
        for action in actions:
            ends = action.kind is Kind.KILL or (
                action.kind is Kind.TERM and self.random.random() < 0.5
            )
            if ends:
                self.world.procs = [p for p in self.world.procs if p.pid != action.pid]
            if action.kind is Kind.RELEASE and self.random.random() < 0.8:
                key = (action.uid, action.environment)
                self.world.held = [h for h in self.world.held if (h.uid, h.name) != key]


_ROUNDS = 20


def enforced(trial: Trial) -> Outcome:
    """M4."""
    outcome, machines = Outcome(), trial.size(100, 5000)
    for number in range(machines):
        for fault in faults(trial.seed * 1_000_003 + number, _ROUNDS):
            outcome.violated(fault)
        if outcome.enough:
            break
    outcome.seen.append(
        f"{machines * _ROUNDS:,} worlds of {machines:,} machines, "
        f"{len(outcome.violations)} violations"
    )
    return outcome


def faults(seed: int, rounds: int) -> list[str]:
    """Play a machine; return what was done that is wrong, or not done that is right."""
    play = Play(seed)
    for _ in range(rounds):
        play.round()
    return [f"seed {seed}: {fault}" for fault in play.faults]
