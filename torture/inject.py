"""F3, F4, F17: a fault at every system call of everything that changes the state.

A victim stops before its operation; strace attaches, and counts system calls from there. A first
run records them; every other run has one fault at one of them: SIGKILL (F3), an error (F4), or
SIGKILL and then a copy of the state as a power cut would leave it (F17).
"""

from __future__ import annotations

import collections
import contextlib
import json
import mmap
import os
import random
import re
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from genvx.core.placing.holdings import holders
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.errors import GenvxError
from genvx.local import processes
from genvx.local.host import LocalHost
from torture import ground
from torture.trial import Outcome, Trial, until

ERRORS = ("ENOSPC", "EIO", "EMFILE", "EROFS", "EINTR", "EDQUOT")
# Once, and from then on; EINTR only once, for a call is tried again as long as signals come.
_FAULTS = tuple(
    (error, lasts) for error in ERRORS for lasts in ("", "+") if (error, lasts) != ("EINTR", "+")
)

# What touches files and descriptors. Not mmap: without memory Python itself cannot go on. A close
# that strace makes fail did not happen, which no kernel does; it is only killed at.
_TRACED = (
    "openat,close,read,write,pread64,pwrite64,fcntl,flock,fchmod,rename,renameat,renameat2,link,"
    "linkat,unlink,unlinkat,mkdir,mkdirat,getdents64,newfstatat,fstat,statx,readlink,readlinkat,"
    "dup,dup2,dup3,access,lseek,ioctl,chdir,pipe2,execve,exit_group"
)
_NOT_FAILED = ("close", "exit_group")
_CHANGING = (
    "mkdir",
    "mkdirat",
    "fchmod",
    "rename",
    "renameat",
    "unlink",
    "unlinkat",
    "link",
    "write",
)
_LOCKING = ("openat", "fcntl", "flock", "execve")
# The operations that grant nothing before they have read all leases.
_LOOKING = ("first acquire", "acquire", "join", "attach", "wait")
_END = "/the-operation-is-over"

_LINE = re.compile(r"(?:\d+ +)?(\w+)\(")


@dataclass(frozen=True)
class Operation:
    """What a victim does.

    prepare: before the faults; its result goes to `act`. execs: it becomes another program. fresh:
    it is the first thing that its user ever does here.
    """

    name: str
    prepare: Callable[[LocalHost], object]
    act: Callable[[LocalHost, object], object]
    execs: bool = False
    fresh: bool = False


def _reap(host: LocalHost, prepared: object) -> object:
    return host.snapshot()


def _no_terminal(host: LocalHost) -> object:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    return null


def _shell(host: LocalHost, prepared: object) -> object:
    return host.acquire(Ask(Requirements(1), name="victim")).enter_shell()


class _AfterOneLook:
    """Ends a waiting: by a clock it would make more system calls in one run than in another."""

    def wait(self, timeout: float) -> bool:
        return True


OPERATIONS = (
    Operation(
        "first acquire",
        lambda host: None,
        lambda host, _: host.acquire(Ask(Requirements(2), name="victim")),
        fresh=True,
    ),
    Operation(
        "acquire",
        lambda host: None,
        lambda host, _: host.acquire(Ask(Requirements(2), name="victim")),
    ),
    Operation(
        "release",
        lambda host: host.acquire(Ask(Requirements(2), name="victim")),
        lambda host, held: held.release(),  # type: ignore[attr-defined]
    ),
    Operation(
        "release by id",
        lambda host: host.acquire(Ask(Requirements(2), name="victim")),
        lambda host, held: host.release(held.grant.environment_id),  # type: ignore[attr-defined]
    ),
    Operation(
        "join",
        lambda host: host.acquire(Ask(Requirements(2), name="victim")),
        lambda host, held: host.join(held.grant.environment_id),  # type: ignore[attr-defined]
    ),
    Operation(
        "attach",
        lambda host: host.acquire(Ask(Requirements(1), name="victim")),
        lambda host, held: host.attach(held.grant.environment_id, Requirements(1)),  # type: ignore[attr-defined]
    ),
    Operation(
        "detach",
        lambda host: host.acquire(Ask(Requirements(2), name="victim")),
        lambda host, held: host.detach(held.grant.environment_id),  # type: ignore[attr-defined]
    ),
    Operation("reap", lambda host: None, _reap),
    # For more than there is left: it always ends without. What it imports is there before.
    Operation(
        "wait",
        lambda host: host.wait(Ask(Requirements(1))).release(),
        lambda host, _: host.wait(Ask(Requirements(4), name="victim"), stop=_AfterOneLook()),
    ),
    Operation(
        "run",
        lambda host: host.acquire(Ask(Requirements(1), name="victim")),
        lambda host, held: held.supervise(["true"]),  # type: ignore[attr-defined]
    ),
    Operation("activate", _no_terminal, _shell, execs=True),
)


@dataclass(frozen=True)
class Point:
    """One system call of an operation: the `when`-th of its name since strace was there."""

    name: str
    when: int
    shown: str


@dataclass(frozen=True)
class Ending:
    """What became of a victim.

    told: what it said of itself, if it lived. change: how many more leases lived then. shared:
    whether two environments held one device then.
    """

    trace: tuple[str, ...]
    told: dict[str, str] | None
    change: int
    shared: bool


class Scene:
    """A fresh state with a bystander, who holds a device, and a victim, who is another user.

    fresh: the victim has never been here; else it has left a dead lease and a half-made file.
    """

    def __init__(self, place: Path, *, fresh: bool) -> None:
        self.root = place / "state"
        self.variables = {
            **ground.provisioned(self.root),
            "GENVX_SIMULATE": "4xA100-80GB",
            "SHELL": "/bin/sh",
            "HOME": "/",
        }
        self.victim, self.other = ground.USERS[:2] if ground.root() else (os.geteuid(),) * 2
        self.host = LocalHost(environ=self.variables)
        self.bystander = self.host.acquire(Ask(Requirements(1), name="bystander"))
        self.directory = self.root / "leases" / str(self.victim)
        if not fresh:
            with self.host_of(self.victim) as host, host.acquire(Ask(Requirements(1), name="dead")):
                (alive,) = (
                    p for p in self.directory.glob("*.lease") if b'"dead"' in p.read_bytes()
                )
                (self.directory / f"{os.urandom(8).hex()}.lease").write_bytes(alive.read_bytes())
                (self.directory / f".{os.urandom(8).hex()}.tmp").write_bytes(b'{"half":')

    @contextlib.contextmanager
    def host_of(self, uid: int) -> Iterator[LocalHost]:
        """The host as a user sees it, who we are in the block."""
        before = os.geteuid()
        with contextlib.ExitStack() as stack:
            if uid != before:
                os.seteuid(uid)
                stack.callback(os.seteuid, before)
            host = LocalHost(environ=self.variables)
            stack.callback(host.close)
            yield host

    def names(self) -> list[str]:
        """Who holds anything, as a user sees it who is neither bystander nor victim."""
        with self.host_of(self.other) as host:
            return sorted(lease.name for lease in host.snapshot().leases)

    def close(self) -> None:
        self.bystander.release()
        self.host.close()
        shutil.rmtree(self.root)

    def files(self) -> list[str]:
        """What the victim has left."""
        names = os.listdir(self.directory) if self.directory.exists() else []
        alive = "" if self.victim != os.geteuid() else self.bystander._held.lease.id
        left = [name for name in names if name.endswith((".lease", ".ticket", ".tmp", ".refused"))]
        return [name for name in left if not (alive and name.startswith(alive))]


def _victim(scene: Scene, operation: Operation, told: mmap.mmap) -> None:
    prepared = operation.prepare(LocalHost("victim", environ=scene.variables))
    host = LocalHost("victim", environ=scene.variables)
    os.kill(os.getpid(), signal.SIGSTOP)
    answer = {"ending": "done", "line": ""}
    result: object = None
    try:
        result = operation.act(host, prepared)
    except GenvxError as error:
        answer = {"ending": "refused", "line": str(error)}
    except BaseException as error:
        answer = {"ending": "raised", "line": f"{type(error).__name__}: {error}"}
    with contextlib.suppress(OSError):
        os.access(_END, os.F_OK)
    # By memory and not by a pipe: with some faults nothing can be written any more.
    data = json.dumps(answer).encode()[: len(told) - 1]
    told[1 : 1 + len(data)] = data
    told[0] = 1
    while True:
        signal.pause()  # with what it holds, and until it is killed
        del result


def _strace(
    scene: Scene, operation: Operation, injection: str | None, only: Path | None = None
) -> Ending:
    """Run an operation under strace, with a fault or to see what it does.

    only: the file whose system calls are traced and fail; the others are left alone.
    """
    told = mmap.mmap(-1, 4096)
    pid = ground.fork(lambda: _victim(scene, operation, told), scene.victim)
    os.waitpid(pid, os.WUNTRACED)
    before = len(scene.host.snapshot().leases)
    trace = scene.root.with_name("trace")
    inject = [] if injection is None else ["-e", f"inject={injection}"]
    if only is not None:
        inject += ["-P", str(only)]
    tracer = subprocess.Popen(
        ["strace", "-o", trace, "-e", f"trace={_TRACED}", *inject, "-p", str(pid)],
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert tracer.stderr is not None
    while "attached" not in (line := tracer.stderr.readline()):
        if not line:
            ground.kill(pid)
            raise SystemExit("strace cannot attach; is ptrace allowed here?")
    os.kill(pid, signal.SIGCONT)
    if not until(lambda: told[0] or os.waitpid(pid, os.WNOHANG)[0]):
        ground.kill(pid)
        raise SystemExit(f"{operation.name} does not end, with {injection}")
    answer, change, shared = None, 0, False
    if told[0]:
        answer = json.loads(bytes(told[1:]).rstrip(b"\0"))
        living = scene.host.snapshot().leases
        change = len(living) - before
        shared = any(len(holders(living, uuid)) > 1 for each in living for uuid in each.devices)
        ground.kill(pid)
    tracer.communicate()
    lines = trace.read_text("utf-8", "replace").splitlines()
    return Ending(tuple(lines), answer, change, shared)


def _points(ending: Ending, operation: Operation) -> list[Point]:
    """The system calls between the moment in which strace came and the end of the operation."""
    seen = collections.Counter[str]()
    points = []
    for line in ending.trace:
        match = _LINE.match(line)
        if match is None:
            continue
        if _END in line:
            return points
        seen[match[1]] += 1
        points.append(Point(match[1], seen[match[1]], line[:90]))
        if operation.execs and match[1] == "execve":
            return points
    raise SystemExit(f"{operation.name} did not end: {ending.trace[-3:]} {ending.told}")


def _everything(
    trial: Trial, few: Callable[[list[Point], random.Random], list[Point]]
) -> Iterator[tuple[Operation, Point, Path]]:
    """Every operation at every point; of each operation a few, in the short form."""
    ground.warm(trial.place)
    for operation in OPERATIONS:
        place = trial.place / operation.name.replace(" ", "-")
        place.mkdir()
        for _ in range(2):  # the first one may have files to make
            scene = Scene(place, fresh=operation.fresh)
            points = _points(_strace(scene, operation, None), operation)
            scene.close()
        if not trial.full:
            points = few(points, trial.chance(operation.name))
        for point in points:
            yield operation, point, place


def _changes(most: int) -> Callable[[list[Point], random.Random], list[Point]]:
    """What changes the state, and a few of the others."""

    def few(points: list[Point], chance: random.Random) -> list[Point]:
        changes = [point for point in points if point.name in _CHANGING][:most]
        others = [point for point in points if point not in changes]
        return changes + chance.sample(others, min(2, len(others)))

    return few


def _ends(points: list[Point], chance: random.Random) -> list[Point]:
    """The first and the last of each kind: before anything was published, and when all is."""
    first = {point.name: point for point in reversed(points)}
    last = {point.name: point for point in points}
    return [point for point in points if point in (first[point.name], last[point.name])]


def killed(trial: Trial) -> Outcome:
    """F3: SIGKILL at every system call."""
    outcome, count = Outcome(), 0
    for operation, point, place in _everything(trial, _changes(8)):
        if outcome.enough:
            break
        scene = Scene(place, fresh=operation.fresh)
        where = f"{operation.name} killed at {point.shown}"
        ending = _strace(scene, operation, f"{point.name}:signal=KILL:when={point.when}")
        count += 1
        outcome.check(
            any("killed by SIGKILL" in line for line in ending.trace[-2:]), f"{where}: not killed"
        )
        _examine(outcome, scene, where)
        scene.close()
    outcome.seen.append(f"{count} kills, {len(outcome.violations)} violations")
    return outcome


def failed(trial: Trial) -> Outcome:
    """F4: each of six errors at every system call, once and from then on; and another user's lease
    that cannot be read.
    """
    outcome, count, endings = Outcome(), 0, collections.Counter[str]()
    for operation, point, place in _everything(trial, _ends):
        if point.name in _NOT_FAILED:
            continue
        faults = _FAULTS
        if not trial.full:
            chance = trial.chance(operation.name, point)
            faults = (("EIO", "+"), chance.choice(_FAULTS))
        for error, lasts in faults:
            if outcome.enough:
                break
            scene = Scene(place, fresh=operation.fresh)
            where = f"{operation.name}, {error}{' from now on' if lasts else ''} at {point.shown}"
            ending = _strace(
                scene, operation, f"{point.name}:error={error}:when={point.when}{lasts}"
            )
            count += 1
            outcome.check(any("(INJECTED)" in line for line in ending.trace), f"{where}: not hit")
            endings[_judge(outcome, operation, ending, where)] += 1
            _examine(outcome, scene, where)
            scene.close()
    for operation in OPERATIONS:
        if outcome.enough or operation.name not in _LOOKING:
            continue
        count += 1
        endings[_unreadable(outcome, trial, operation)] += 1
    outcome.seen.append(
        f"{count} errors ({endings['refused']} refusals of one line, {endings['done']} without "
        f"effect), {len(outcome.violations)} violations"
    )
    return outcome


def _unreadable(outcome: Outcome, trial: Trial, operation: Operation) -> str:
    """The disk fails below one lease, the bystander's, and nowhere else: its device is not granted.

    Where no lease can be read at all, the victim misses its own, too, and withdraws it.
    """
    scene = Scene(trial.place / "unreadable", fresh=operation.fresh)
    (lease,) = (p for p in scene.root.rglob("*.lease") if b'"bystander"' in p.read_bytes())
    where = f"{operation.name}, another user's lease unreadable"
    ending = _strace(scene, operation, "pread64:error=EIO:when=1+", only=lease)
    outcome.check(any("(INJECTED)" in line for line in ending.trace), f"{where}: not hit")
    kind = _judge(outcome, operation, ending, where)
    outcome.check(kind == "refused", f"{where}: {kind}")
    _examine(outcome, scene, where)
    scene.close()
    return kind


def _judge(outcome: Outcome, operation: Operation, ending: Ending, where: str) -> str:
    """A victim that lives has done its work, or has said in one line why not and done nothing."""
    told = ending.told
    if told is None:
        # It became the shell, which is not ours to judge, or the line that says why not.
        outcome.check(operation.execs, f"{where}: died")
        return "done"
    line, kind = told["line"], told["ending"]
    outcome.check(not ending.shared, f"{where}: a device was granted twice")
    outcome.check(kind in ("done", "refused"), f"{where}: {line}")
    outcome.check(line.isprintable(), f"{where}: not one printable line: {line!r}")
    grows = {
        "acquire": 1,
        "first acquire": 1,
        "join": 1,
        "attach": 1,
        "run": -1,
        "release by id": -1,
        "release": -1,
    }
    change = ending.change
    if kind == "done":
        outcome.check(
            change == grows.get(operation.name, 0) or operation.execs,
            f"{where}: done, but {change:+} leases",
        )
    elif operation.name in ("acquire", "first acquire", "join", "attach", "detach", "reap", "wait"):
        outcome.check(change == 0, f"{where}: refused, but {change:+} leases")
    return kind


def _examine(outcome: Outcome, scene: Scene, where: str) -> None:
    """The victim is gone: nothing of it counts, the bystander's lease does, all else can be had."""

    # A command whose parent was killed lives on for the moment that it takes.
    outcome.check(
        until(lambda: scene.names() == ["bystander"], 5), f"{where}: {scene.names()} live"
    )
    outcome.check(not scene.host.snapshot().tickets, f"{where}: a ticket is left")
    outcome.check(not scene.host.snapshot().odd, f"{where}: odd {scene.host.snapshot().odd}")
    try:
        with (
            scene.host_of(scene.victim) as host,
            host.acquire(Ask(Requirements(3), name="rest")) as rest,
        ):
            outcome.check(not rest.grant.notes, f"{where}: {rest.grant.notes}")
            os.seteuid(os.getuid())
            outcome.check(scene.names() == ["bystander", "rest"], f"{where}: {scene.names()} seen")
    except GenvxError as error:
        outcome.violated(f"{where}: the rest cannot be had: {error}")
    outcome.check(not scene.files(), f"{where}: left {scene.files()}")


def booted(trial: Trial) -> Outcome:
    """F17: the state as a power cut leaves it at every write point, used after the next boot."""
    outcome, count = Outcome(), 0
    for operation, point, place in _everything(trial, _changes(6)):
        if outcome.enough:
            break
        if point.name not in (*_CHANGING, *_LOCKING):
            continue
        scene = Scene(place, fresh=operation.fresh)
        _add_reserved(scene)
        _strace(scene, operation, f"{point.name}:signal=KILL:when={point.when}")
        for loss, lose in _LOSSES.items():
            copy = place / "copy"
            _copy(scene.root, copy)
            lose(copy)
            where = f"{operation.name} cut at {point.shown}, {loss}"
            line = _boot(copy, scene)
            outcome.check(not line, f"{where}: {line}")
            shutil.rmtree(copy)
            count += 1
        scene.close()
    outcome.seen.append(f"{count} boots, {len(outcome.violations)} violations")
    return outcome


def _copy(source: Path, target: Path) -> None:
    """With owners and modes: without them nothing in it would count."""
    shutil.copytree(source, target)
    for path in [source, *source.rglob("*")]:
        status = path.lstat()
        copied = target / path.relative_to(source)
        os.chown(copied, status.st_uid, status.st_gid, follow_symlinks=False)
        copied.chmod(stat.S_IMODE(status.st_mode))


def _add_reserved(scene: Scene) -> None:
    """A reservation, which lives by the clock until its boot ends."""
    with scene.host.acquire(Ask(Requirements(1), name="reserved")):
        (path,) = (p for p in scene.root.rglob("*.lease") if b'"reserved"' in p.read_bytes())
        record = json.loads(path.read_bytes())
        record |= {"part": "reserved", "expires_boottime_ns": 1 << 62}
    path.write_text(json.dumps(record))


def _each(change: Callable[[Path], object]) -> Callable[[Path], None]:
    def lose(root: Path) -> None:
        for path in root.rglob("*"):
            if path.is_file() and path.name.endswith((".lease", ".ticket", ".tmp")):
                change(path)

    return lose


# What a file system may make of what was written and not synced.
_LOSSES: dict[str, Callable[[Path], object]] = {
    "all written": lambda root: None,
    "files empty": _each(lambda path: path.write_bytes(b"")),
    "files half": _each(
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    ),
    "files zeros": _each(lambda path: path.write_bytes(bytes(path.stat().st_size))),
    "files gone": _each(lambda path: path.unlink()),
}


def _boot(copy: Path, scene: Scene) -> str:
    """Use a copy in another boot, as the victim and then as root; a line if anything is wrong."""
    reads, writes = os.pipe()

    def use() -> None:
        processes.boot_id = lambda: "0b00715e-0000-4000-8000-000000000000"
        host = LocalHost(environ={**scene.variables, "GENVX_STATE_DIR": str(copy)})
        try:
            found = host.snapshot()
            if found.leases or found.tickets:
                alive = [each.name for each in (*found.leases, *found.tickets)]
                os.write(writes, f"{alive} live".encode())
            host.acquire(Ask(Requirements(4))).release()
        except Exception as error:
            os.write(writes, f"{type(error).__name__}: {error}".encode())

    for uid in (scene.victim, os.geteuid()):
        os.waitpid(ground.fork(use, uid), 0)
    os.close(writes)
    line = os.read(reads, 4096).decode()
    os.close(reads)
    ends = (".lease", ".ticket", ".tmp")
    left = [path.name for path in copy.rglob("*") if path.name.endswith(ends)]
    return line or (f"left {left}" if left else "")
