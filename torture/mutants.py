"""Protections of genvx, taken away one at a time: each must be missed by a figure.

A check that cannot fail is worth nothing. Each mutant is a copy of this repository in which a few
lines differ; its figure, run there in the short form, must see it. `word` is in what it sees, so
that a copy which merely does not run is not taken for one that was caught.
"""

from __future__ import annotations

import py_compile
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from torture import ground
from torture.places import Change, Sources

_COPIED = ("genvx", "torture", "benchmarks")
_SEEDS = (1, 2, 3)


@dataclass(frozen=True)
class Mutant:
    """One or more changes of genvx that take a protection away.

    home: the part of the figure that sees it, where the figure has several.
    """

    figure: str
    protection: str
    word: str
    changes: tuple[Change, ...]
    home: str = ""

    @property
    def label(self) -> str:
        return f"{self.figure} without {self.protection}"

    def texts(self, sources: Sources) -> dict[Path, str]:
        """The modules that differ, as they are with the protection taken away.

        Raises:
            Stale: the sources are not those that the changes are for.
        """
        made: dict[Path, str] = {}
        for change in self.changes:
            path = sources.file_of(change.place)
            made[path] = sources.changed(change, made.get(path) or path.read_text("utf-8"))
        return made


@dataclass(frozen=True)
class Bitten:
    """What the figure said of a mutant."""

    caught: bool
    violation: str
    output: str


# Places in the sources: torture/places.py.
_NO_VERIFY = Change("claiming:claim", "conflicts(lease, living, memory)", "False")
_NO_LOCK = Change("LockFile.taken", "self._take(notes)", "None")
_ALWAYS_HELD = Change(
    "locks:is_held", "_ofd(descriptor, fcntl.F_OFD_GETLK, fcntl.F_RDLCK) == fcntl.F_WRLCK", "True"
)
_ANY_BOOT = Change("Lease.counts", "not boot_id or self.boot_id != boot_id", "not boot_id")
_RAW_ERRORS = Change("saying", "raise state_error(error, doing) from None", "raise")
_CLOSED_ONES_COUNT = Change("_flaw", "not private and", "False and")

_BY_TIME = (
    Change(
        "may_outlive_its_holder",
        "b'\"part\":' in data",
        "b'\"part\":' in data or b'\"expires_boottime_ns\":null' not in data",
    ),
    Change(
        "Lease.counts",
        "return held and (not over)",
        "return (held or self.expires_ns is not None) and not over",
    ),
)

MUTANTS = (
    Mutant("F1", "the lock and the verify step", "double", (_NO_VERIFY, _NO_LOCK)),
    Mutant("F2", "the verify step", "double", (_NO_VERIFY,), "hammer:without_lock"),
    Mutant(
        "F2", "the look at the former place", "double",
        (Change("StateDirectory.users", "yield from self.former.users(odd)", "yield from ()"),),
        "moving:moving",
    ),
    Mutant(
        "F3", "reaping of what the dead left", "left",
        (Change("LeaseStore._publish", "tidy(self.state, directory, self._most)", "pass"),),
    ),
    Mutant(
        "F3", "opening one's own directory to others before each use", "seen",
        (
            Change(
                "StateDirectory._own",
                "fallbacks = [] if found.descriptor is not None else self._names()",
                "fallbacks = self._names()\n"
                "    if found.descriptor is not None:\n        return found.descriptor",
            ),
            _CLOSED_ONES_COUNT,
        ),
    ),
    Mutant("F4", "the translation of errors", "Error", (_RAW_ERRORS,)),
    Mutant(
        "F4", "the refusal where a lease cannot be read", "granted twice",
        (Change("scanning:_scan", "error.errno not in OWNERS_DOING", "False"),),
    ),
    Mutant(
        "F4", "the withdrawal of what was not verified", "refused, but +1",
        (
            Change(
                "claiming:claim",
                "    except BaseException:\n        held.withdraw()\n        raise",
                "    except BaseException:\n        raise",
            ),
        ),
    ),
    Mutant(
        "F5", "the limit of JSON's depth", "RecursionError",
        (Change("plain:loads", "(ValueError, RecursionError)", "ValueError"),),
    ),
    Mutant(
        "F6", "the translation of a reader's errors", "Error",
        (
            Change(
                "_UNREADABLE",
                "(OSError, ValueError, LookupError, TypeError, AttributeError)",
                "(OSError,)",
            ),
        ),
    ),
    Mutant(
        "F6", "the escaping of control characters", "printable",
        (Change("printable", "c if c.isprintable() else _escape(c)", "c"),),
    ),
    Mutant(
        "F6", "the limit of a range of hosts", "Hang",
        (Change("MOST_HOSTS", "10000", "10 ** 12"),),
    ),
    Mutant("F7", "the question whether a lease is held", "outlived", (_ALWAYS_HELD,)),
    Mutant(
        "F7", "the end of a lease with its holder where it has a time", "outlived",
        _BY_TIME,
    ),
    Mutant(
        "F8", "the watch over the client", "outlived",
        (Change("commands:run", "watch_client=True", "watch_client=False"),),
        "network:killed_client",
    ),
    Mutant(
        "F8", "the end of a lease with its holder where it has a time", "outlived",
        _BY_TIME,
        "network:killed_client",
    ),
    Mutant(
        "F8", "the question for signs of life", "was not told",
        (Change("Pulse.look", "self._silent >= _QUARTERS * _LOOKS", "False"),),
        "cuts:cut",
    ),
    Mutant(
        "F8", "the end of what a silent client holds", "cut-off client",
        (
            Change(
                "holding:hold",
                "math.inf if asked.silence is None else asked.silence",
                "math.inf",
            ),
        ),
        "cuts:cut",
    ),
    Mutant(
        "F10", "the refusal of host keys", "accepted",
        (Change("HostKeyPolicy.missing_host_key", "verdict is Verdict.KNOWN", "True"),),
    ),
    Mutant(
        "F10", "the deadline", "took",
        (Change("Deadline._expire", "list(self._closers)", "[]"),),
    ),
    Mutant(
        "F11", "the report of failures", "lines for",
        (Change("Where.ask", "failed[name] = error", "pass"),),
    ),
    Mutant(
        "F12", "the decision on the host", "double",
        (_NO_VERIFY, Change("Machine.snapshot_with", "leases=scan.leases", "leases=()")),
    ),
    Mutant("F13", "the translation of errors", "exit code", (_RAW_ERRORS,)),
    Mutant(
        "F14", "the clock that counts from boot", "wrong",
        (Change("boottime_ns", "time.CLOCK_BOOTTIME", "time.CLOCK_REALTIME"),),
    ),
    Mutant(
        "F14", "the clock of the machine in a time namespace", "time namespace",
        (Change("boottime_ns", " - _clock_offset_ns()", ""),),
    ),
    Mutant("F14", "the comparison of boots", "another boot", (_ANY_BOOT,)),
    Mutant(
        "F14", "the comparison of start times", "stranger",
        (
            Change(
                "LocalHost.signal",
                "(holder.uid, holder.starttime) == (each.owner.uid, each.starttime)",
                "True",
            ),
        ),
    ),
    Mutant(
        "F14", "the keeper of the time apart", "outlived its time",
        (
            Change(
                "LocalHold.supervise",
                "self.keep_time(spare=os.getpid(), supervised=True, whole=whole, grace=grace)",
                "pass",
            ),
        ),
    ),
    Mutant(
        "F14", "the comparison of paths and the last look before a signal", "stranger",
        (
            Change("LeaseFile._is_open_in", "path == self.path", "True"),
            Change(
                "LeaseFile.signal",
                "self._is_open_in(pid) and self.is_held()",
                "self._is_open_in(pid)",
            ),
            Change(
                "timekeeper:_keep",
                "    if not file.is_held():\n        return\n    tell(OVER)",
                "    tell(OVER)",
            ),
        ),
    ),
    Mutant(
        "F14", "waiting for signals without a timeout", "exit code",
        (
            Change(
                "supervise:_wait",
                "signal.sigwaitinfo({*PASSED_ON, signal.SIGCHLD})",
                "signal.sigtimedwait({*PASSED_ON, signal.SIGCHLD}, 0.5)\n"
                "        if received is None:\n            continue",
            ),
        ),
    ),
    Mutant("F15", "the deadline for NVML", "took", (Change("survey:_STEP", "3.0", "6.0"),)),
    Mutant(
        "F15", "the question whose the memory in use is", "used=1",
        (Change("Snapshot.unexplained", "left if left >= least else 0", "0"),),
    ),
    Mutant(
        "F15", "another question without the device that killed the last", "free",
        (Change("survey:survey", "not findings.blame(cause) or monotonic() >= end", "True"),),
    ),
    Mutant(
        "F15", "one device's errors being its own", "free",
        (Change("_Reporter._look_at", "except self._failures", "except ZeroDivisionError"),),
    ),
    Mutant(
        "F16", "directories that everybody can read", "turn",
        (
            Change("open_to_all", "fchmod(descriptor, ", "fchmod(descriptor, 0o700 & "),
            _CLOSED_ONES_COUNT,
        ),
        "hammer:first_use",
    ),
    Mutant(
        "F16", "files for shells that nobody else can read", "refused",
        (Change("publishing:prepare", "open(name, flags, ", "open(name, flags, 0o044 | "),),
        "neighbours:locked_openings",
    ),
    Mutant("F17", "the comparison of boots", "live", (_ANY_BOOT,)),
    Mutant("F18", "the question whether a lease is held", "AssertionError", (_ALWAYS_HELD,)),
    Mutant(
        "F18", "the end of a held lease with its time", "AssertionError",
        (Change("Lease.counts", "return held and (not over)", "return held"),),
    ),
    Mutant(
        "F18", "the sum of shares", "AssertionError",
        (
            Change(
                "fits",
                "wanted + sum((size for size in others.values() if size is not None))",
                "wanted",
            ),
        ),
    ),
    Mutant("F19", "the lock and the verify step", "double", (_NO_VERIFY, _NO_LOCK)),
    Mutant(
        # What ends a ticket by its name stands before the look at what it says.
        "F19", "the end of a ticket with its holder", "stranded",
        (
            Change(
                "reading:read_claim",
                "named is None or not named[0].outlives(content.data)",
                "named is None"
                " or (named[0] is not CLAIMS[1] and not named[0].outlives(content.data))",
            ),
        ),
    ),
    Mutant(
        "F20", "the care for what was typed ahead", "typed ahead and lost",
        (Change("_through_fabric", "tty.setraw(0, termios.TCSADRAIN)", "tty.setraw(0)"),),
    ),
    Mutant(
        "F20", "the question whether the shell joined", "a shell without GPUs",
        (Change("Handover.conclude", "file is None and (not self.gave_up)", "not self.gave_up"),),
    ),
    Mutant(
        "F21", "the question for a sign of life", "silent",
        (
            Change(
                "Agent._receive",
                "self.pulse.ask(min(_SIGN, deadline.left())) is not None",
                "False",
            ),
        ),
    ),
    Mutant(
        "F21", "the look at what ssh reads", "withdrawn",
        (Change("Files.unchanged", "look(path) == before", "True"),),
    ),
    Mutant(
        "F21", "the sign of life before a command is carried", "silent: a command",
        (Change("_Carrier._usable", "time.monotonic() - self._greeted > _FRESH", "False"),),
    ),
    Mutant(
        "F21", "the end of a command with the client that it is carried for", "still held",
        (Change("_Streams.listen", "self.agent.close()", "pass"),),
    ),
    Mutant(
        "M4", "the age of processes", "innocent",
        (Change("Sight.certain", "facts is None or facts.young or facts.uid != process.uid",
                "facts is None or facts.uid != process.uid"),),
    ),
    Mutant(
        "M4", "the grace", "not told in time",
        (Change("decision:_proceed", "now_ns < charge.told_ns + grace_ns", "False"),),
    ),
    Mutant(
        "M4", "the memory of devices that do not answer", "not hit within two rounds",
        (Change("decision:decide", "key not in charges and lost & {*charge.devices}", "False"),),
    ),
    Mutant(
        "R1", "the lease that a command inherits", "given twice",
        (Change("start:start", "os.set_inheritable(hold.descriptor, True)", "pass"),),
    ),
    Mutant(
        "R1", "the question whether anything of a run lives", "shown as",
        (Change("shown", "signs.held and (not isinstance(state, Waiting))", "True"),),
    ),
    Mutant(
        "R1", "the end that is written again until the disk has room", "full disk",
        (Change("States.write", "self.unwritten = state", "pass"),),
    ),
    Mutant(
        "R1", "the refusal of a run that cannot be recorded", "free pages",
        (Change("States.write", "not self._recorded", "False"),),
    ),
    Mutant(
        "R2", "going on behind the last piece", "after line",
        (Change("runs:watch", "news.at + len(news.data)", "news.at"),),
    ),
    Mutant(
        "R2", "connecting again", "exit code of watch",
        (Change("runs:_TRIES", "30", "1"),),
    ),
    Mutant(
        "W4", "writing down that a trial is asked for", "begun twice",
        (
            Change(
                "Coordinator._ask", "self._record(",
                "(lambda event, sync: self.ledger.apply(event))(",
            ),
        ),
    ),
    Mutant(
        "R3", "having orphans come to the supervisor", "are left",
        (Change("become_subreaper", "ctypes.CDLL(None).prctl", "(lambda *_: None)"),),
    ),
    Mutant(
        "R3", "SIGKILL after the grace", "after 20 s",
        (Change("TreeEnd._kill_in_time", "self._below.signal(signal.SIGKILL)", "pass"),),
    ),
    Mutant(
        "R3", "ending guests", "are left after",
        (Change("Guests._pids", "if pid not in spared and", "if False and"),),
    ),
    Mutant(
        "S3", "the times of files in a copy", "pushed",
        (Change("_Copier.file", "os.utime(new, ns=(entry.mtime_ns, entry.mtime_ns))", "pass"),),
    ),
    Mutant(
        "S3", "the holes of files that are pulled", "on the disk",
        (Change("Landing._place", "write_sparse if entry.sparse else write_at", "write_at"),),
    ),
    Mutant(
        "S4", "going on with what came before a cut", "went on",
        (
            Change("_Taking._copy", "digest_of(content) == digest", "False"),
            Change(
                "Landing.await_bodies",
                "self._staged(place, self._bodies[index].digest) is None",
                "True",
            ),
        ),
        "shipping:shipping",
    ),
    Mutant(
        "S4", "the look whether a file has changed since its digest", "was not noticed",
        (
            Change("LocalProject.contents", "digest_of(content) != body.digest", "False"),
            Change("hashes:read_digests", "not grows and", "False and"),
        ),
        "shipping:shipping",
    ),
    Mutant(
        "S4", "the digest of what comes", "accepted",
        (Change("receiving:receive", "digest_of(content) != body.digest", "False"),),
        "hostile:hostile",
    ),
    Mutant(
        "S4", "the refusal of links that lead out", "accepted",
        (Change("manifest:_check", "leads_out(name, target, links)", "False"),),
        "hostile:hostile",
    ),
    Mutant(
        "S4", "going through no link", "outside",
        (Change("place:OPEN_DIRECTORY", "os.O_NOFOLLOW | ", ""),),
        "hostile:hostile",
    ),
    Mutant(
        "S4", "making anew what comes", "outside",
        (
            Change("landing:_new", "os.unlink(last, dir_fd=parent)", "pass"),
            Change("landing:_new", "os.O_CREAT | os.O_EXCL", "os.O_CREAT | os.O_TRUNC"),
        ),
        "hostile:hostile",
    ),
    Mutant(
        "C2", "the token of a start, and the look whether it is the only one", "machines of one",
        (
            Change("Cloud._run", "ClientToken=token, ", ""),
            Change("Cloud._only", "not others", "True"),
        ),
    ),
    Mutant(
        "C2", "the tags that a key pair is made with", "without a tag",
        (Change("access:key_pair", ", TagSpecifications=cloud.tagged('key-pair')", ""),),
    ),
    Mutant(
        "C2", "the sparing of blobs that manifests name", "is lost",
        (
            Change("sweeping:sweep", "set(there) - named() if there else set()", "set(there)"),
            Change("sweeping:sweep", "unnamed - spared", "unnamed"),
        ),
        "shelves:killed",
    ),
)  # fmt: skip


def one_of_each_part() -> tuple[Mutant, ...]:
    """The first mutant of each part of a figure: what CI has time for; --bite takes them all."""
    first: dict[str, Mutant] = {}
    for mutant in MUTANTS:
        first.setdefault(mutant.home or mutant.figure, mutant)
    return tuple(first.values())


def bite(mutant: Mutant, directory: Path) -> Bitten:
    """Run a mutant's figure on the mutant, made in an empty directory, until it is seen.

    What only a race shows is not there in each short form, so other seeds have their turn.
    """
    root = Path(__file__).parent.parent
    for name in _COPIED:
        shutil.copytree(root / name, directory / name)
    for path, text in mutant.texts(Sources(directory / "genvx")).items():
        path.write_text(text, encoding="utf-8")
        # The copy has what was compiled of the original, which must not run in its place.
        py_compile.compile(str(path), doraise=True)
    for seed in _SEEDS:
        bitten = _bite(mutant, directory, seed)
        if bitten.caught:
            break
    return bitten


def _bite(mutant: Mutant, directory: Path, seed: int) -> Bitten:
    figure = mutant.home or mutant.figure
    with open(directory / "output", "w+", encoding="utf-8") as output:
        # Not through a pipe: what a mutant leaves behind would keep it open.
        answer = subprocess.run(
            [sys.executable, "-m", "torture", figure, "--seed", str(seed), "--first"],
            cwd=directory,
            env=ground.command_environ({"PYTHONPATH": str(directory)}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
        output.seek(0)
        told = output.read()
    found = re.findall(r"^[CFMRSW]\d+ on \S+: violated: (.*)$", told, re.MULTILINE)
    seen = [line for line in found if mutant.word in line]
    caught = answer.returncode == 1 and bool(seen)
    return Bitten(caught, seen[0] if seen else "", told)
