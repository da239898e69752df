"""Protections of genvx, taken away one at a time: each must be missed by a figure.

A check that cannot fail is worth nothing. Each mutant is a copy of this repository in which a few
lines differ; its figure, run there in the short form, must see it. `word` is in what it sees, so
that a copy which merely does not run is not taken for one that was caught.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from torture import ground

_COPIED = ("genvx", "torture", "benchmarks")


@dataclass(frozen=True)
class Mutant:
    """edits: file, what stands there once, and what stands there instead."""

    figure: str
    protection: str
    word: str
    edits: tuple[tuple[str, str, str], ...]

    @property
    def label(self) -> str:
        return f"{self.figure} without {self.protection}"


@dataclass(frozen=True)
class Bitten:
    """What the figure said of a mutant."""

    caught: bool
    violation: str
    output: str


_NO_VERIFY = (
    "genvx/local/granting.py",
    "collided = moved or alone or conflicts(lease, living, memory)",
    "collided = moved or alone",
)
_NO_LOCK = ("genvx/local/state/lockfile.py", "lock = self._take(notes)", "lock = None")
_ALWAYS_HELD = (
    "genvx/local/state/locks.py",
    "return _ofd(descriptor, fcntl.F_OFD_GETLK, fcntl.F_RDLCK) == fcntl.F_WRLCK",
    "return True",
)
_ANY_BOOT = (
    "genvx/core/lease.py",
    "if not boot_id or self.boot_id != boot_id:",
    "if not boot_id:",
)
_RAW_ERRORS = (
    "genvx/local/state/directory.py",
    "raise state_error(error, doing) from None",
    "raise",
)

_BY_TIME = (
    (
        "genvx/core/wire/statefiles.py",
        "    return b'\"part\":' in data\n",
        "    return b'\"part\":' in data or b'\"expires_boottime_ns\":null' not in data\n",
    ),
    (
        "genvx/core/lease.py",
        "return held and not over",
        "return (held or self.expires_ns is not None) and not over",
    ),
)

MUTANTS = (
    Mutant("F1", "the lock and the verify step", "double", (_NO_VERIFY, _NO_LOCK)),
    Mutant("F2", "the verify step", "double", (_NO_VERIFY,)),
    Mutant(
        "F2", "the look at the former place", "double",
        (
            (
                "genvx/local/state/directory.py",
                "            yield from self.former.users(odd)\n",
                "            yield from ()\n",
            ),
        ),
    ),
    Mutant(
        "F3", "reaping of what the dead left", "left",
        (("genvx/local/state/store.py", "            self._tidy(directory)\n", ""),),
    ),
    Mutant(
        "F3", "opening one's own directory to others before each use", "seen",
        (
            (
                "genvx/local/state/directory.py",
                "        if found.descriptor is not None:\n"
                "            return open_to_all(found.descriptor)\n"
                "        for candidate in (name,",
                "        if found.descriptor is not None:\n"
                "            return found.descriptor\n"
                "        for candidate in (name,",
            ),
            (
                "genvx/local/state/userdirectory.py",
                "if not private and status.st_mode & _SEEN_BY_ALL",
                "if False and status.st_mode & _SEEN_BY_ALL",
            ),
        ),
    ),
    Mutant("F4", "the translation of errors", "Error", (_RAW_ERRORS,)),
    Mutant(
        "F4", "the withdrawal of what was not verified", "refused, but +1",
        (
            (
                "genvx/local/granting.py",
                "        held.withdraw()\n        raise\n",
                "        raise\n",
            ),
        ),
    ),
    Mutant(
        "F5", "the limit of JSON's depth", "RecursionError",
        (("genvx/core/wire/fields.py", "except (ValueError, RecursionError)", "except ValueError"),),
    ),
    Mutant(
        "F6", "the translation of a reader's errors", "Error",
        (
            (
                "genvx/ssh/sshconfig.py",
                "_UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError)",
                "_UNREADABLE = (OSError,)",
            ),
        ),
    ),
    Mutant(
        "F6", "the escaping of control characters", "printable",
        (
            (
                "genvx/core/text.py",
                'shown = "".join(c if c.isprintable() else _escape(c) for c in head)',
                "shown = head",
            ),
        ),
    ),
    Mutant(
        "F6", "the limit of a range of hosts", "Hang",
        (("genvx/fleet/hostnames.py", "MOST_HOSTS = 10_000", "MOST_HOSTS = 10**12"),),
    ),
    Mutant("F7", "the question whether a lease is held", "outlived", (_ALWAYS_HELD,)),
    Mutant(
        "F7", "the end of a lease with its holder where it has a time", "outlived",
        _BY_TIME,
    ),
    Mutant(
        "F8", "the watch over the client", "outlived",
        (
            (
                "genvx/agent/serve.py",
                "stdout=self._out, watch_client=True, variables",
                "stdout=self._out, watch_client=False, variables",
            ),
        ),
    ),
    Mutant(
        "F8", "the end of a lease with its holder where it has a time", "outlived",
        _BY_TIME,
    ),
    Mutant(
        "F8", "the question for signs of life", "was not told",
        (
            (
                "genvx/ssh/pulse.py",
                "if self._silent >= _QUARTERS * _LOOKS:",
                "if self._silent >= 10**9:",
            ),
        ),
    ),
    Mutant(
        "F8", "the end of what a silent client holds", "cut-off client",
        (
            (
                "genvx/agent/serve.py",
                "Client(self._out, math.inf if silence is None else silence / 1000)",
                "Client(self._out)",
            ),
        ),
    ),
    Mutant(
        "F10", "the refusal of host keys", "accepted",
        (("genvx/ssh/link.py", "if verdict is Verdict.KNOWN:", "if True:"),),
    ),
    Mutant(
        "F10", "the deadline", "took",
        (("genvx/ssh/deadline.py", "closers = list(self._closers)", "closers = []"),),
    ),
    Mutant(
        "F11", "the report of failures", "lines for",
        (
            (
                "genvx/cli/ask/where.py",
                "                        failed[name] = error\n                        if not",
                "                        if not",
            ),
        ),
    ),
    Mutant(
        "F12", "the decision on the host", "double",
        (_NO_VERIFY, ("genvx/local/machine.py", "leases=scan.leases", "leases=()")),
    ),
    Mutant("F13", "the translation of errors", "exit code", (_RAW_ERRORS,)),
    Mutant(
        "F14", "the clock that counts from boot", "wrong",
        (
            (
                "genvx/local/processes.py",
                "return time.clock_gettime_ns(time.CLOCK_BOOTTIME)",
                "return time.clock_gettime_ns(time.CLOCK_REALTIME)",
            ),
        ),
    ),
    Mutant(
        "F14", "the clock of the machine in a time namespace", "time namespace",
        (("genvx/local/processes.py", " - _clock_offset_ns()", ""),),
    ),
    Mutant("F14", "the comparison of boots", "another boot", (_ANY_BOOT,)),
    Mutant(
        "F14", "the comparison of start times", "stranger",
        (
            (
                "genvx/local/host.py",
                "if holder is not None and (holder.uid, holder.starttime) == (\n"
                "                    each.owner.uid,\n                    each.starttime,\n"
                "                ):",
                "if holder is not None:",
            ),
        ),
    ),
    Mutant(
        "F14", "the keeper of the time apart", "outlived its time",
        (
            (
                "genvx/local/running/hold.py",
                "            self.keep_time(spare=os.getpid(), supervised=True)\n"
                "            return supervise.run(\n                argv,",
                "            return supervise.run(\n                argv,",
            ),
        ),
    ),
    Mutant(
        "F14", "the comparison of paths and the last look before a signal", "stranger",
        (
            ("genvx/local/running/leasefile.py", "lambda path: path == self.path", "lambda path: True"),
            (
                "genvx/local/running/leasefile.py",
                "self._is_open_in(pid) and self.is_held()",
                "self._is_open_in(pid)",
            ),
            (
                "genvx/local/running/timekeeper.py",
                "    if not file.is_held():\n        return\n    tell(OVER)\n",
                "    tell(OVER)\n",
            ),
        ),
    ),
    Mutant(
        "F14", "waiting for signals without a timeout", "exit code",
        (
            (
                "genvx/local/running/supervise.py",
                "        received = signal.sigwaitinfo({*PASSED_ON, signal.SIGCHLD})\n",
                "        received = signal.sigtimedwait({*PASSED_ON, signal.SIGCHLD}, 0.5)\n"
                "        if received is None:\n            continue\n",
            ),
        ),
    ),
    Mutant(
        "F15", "the deadline for NVML", "took",
        (("genvx/local/devices/survey.py", "_STEP = 3.0", "_STEP = 6.0"),),
    ),
    Mutant(
        "F15", "the question whose the memory in use is", "used=1",
        (
            (
                "genvx/core/snapshot.py",
                "return left if left >= least else 0",
                "return 0",
            ),
        ),
    ),
    Mutant(
        "F15", "another question without the device that killed the last", "free",
        (
            (
                "genvx/local/devices/survey.py",
                "if not findings.blame(cause) or monotonic() >= end:",
                "if True:",
            ),
        ),
    ),
    Mutant(
        "F15", "one device's errors being its own", "free",
        (
            (
                "genvx/local/devices/nvml.py",
                "        except self._failures as error:\n            health =",
                "        except ZeroDivisionError as error:\n            health =",
            ),
        ),
    ),
    Mutant(
        "F16", "directories that everybody can read", "turn",
        (
            (
                "genvx/local/state/userdirectory.py",
                "os.fchmod(descriptor, 0o755)",
                "os.fchmod(descriptor, 0o700)",
            ),
            (
                "genvx/local/state/userdirectory.py",
                "if not private and status.st_mode & _SEEN_BY_ALL",
                "if False and status.st_mode & _SEEN_BY_ALL",
            ),
        ),
    ),
    Mutant(
        "F16", "files for shells that nobody else can read", "refused",
        (
            (
                "genvx/local/state/heldfile.py",
                "os.close(os.open(name, flags, 0o600, dir_fd=directory))",
                "os.close(os.open(name, flags, 0o644, dir_fd=directory))",
            ),
        ),
    ),
    Mutant("F17", "the comparison of boots", "live", (_ANY_BOOT,)),
    Mutant("F18", "the question whether a lease is held", "AssertionError", (_ALWAYS_HELD,)),
    Mutant(
        "F18", "the end of a held lease with its time", "AssertionError",
        (("genvx/core/lease.py", "return held and not over", "return held"),),
    ),
    Mutant("F19", "the lock and the verify step", "double", (_NO_VERIFY, _NO_LOCK)),
    Mutant(
        "F20", "the care for what was typed ahead", "typed ahead and lost",
        (("genvx/fleet/terminal.py", "tty.setraw(0, termios.TCSADRAIN)", "tty.setraw(0)"),),
    ),
    Mutant(
        "F20", "the question whether the shell joined", "a shell without GPUs",
        (
            (
                "genvx/fleet/handover.py",
                "if file is None and not self.gave_up:",
                "if not self.gave_up:",
            ),
        ),
    ),
    Mutant(
        "F18", "the sum of shares", "AssertionError",
        (
            (
                "genvx/core/lease.py",
                "return wanted + sum(size for size in others.values() if size is not None) "
                "<= capacity",
                "return wanted <= capacity",
            ),
        ),
    ),
)  # fmt: skip


def bite(mutant: Mutant, directory: Path, seed: int = 1) -> Bitten:
    """Run a mutant's figure on the mutant, made in an empty directory."""
    root = Path(__file__).parent.parent
    for name in _COPIED:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(root / name, directory / name, ignore=ignored)
    for file, old, new in mutant.edits:
        path = directory / file
        text = path.read_text(encoding="utf-8")
        if text.count(old) != 1:
            raise SystemExit(f"{mutant.label}: {file} has not exactly one {old!r}")
        path.write_text(text.replace(old, new), encoding="utf-8")
    with open(directory / "output", "w+", encoding="utf-8") as output:
        # Not through a pipe: what a mutant leaves behind would keep it open.
        answer = subprocess.run(
            [sys.executable, "-m", "torture", mutant.figure, "--seed", str(seed), "--first"],
            cwd=directory,
            env=ground.command_environ({"PYTHONPATH": str(directory)}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
        output.seek(0)
        told = output.read()
    found = re.findall(r"^F\d+ on \S+: violated: (.*)$", told, re.MULTILINE)
    seen = [line for line in found if mutant.word in line]
    caught = answer.returncode == 1 and bool(seen)
    return Bitten(caught, seen[0] if seen else "", told)
