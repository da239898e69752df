"""What is wrong on this machine: one line for each fault, and what to do about it."""

from __future__ import annotations

import os
import platform
import threading
from typing import TYPE_CHECKING, Callable, Optional, TypeVar

from genvx._version import __version__
from genvx.core.finding import ERROR, OK, WARNING, Finding
from genvx.errors import GenvxError, StateError
from genvx.local.doctor import containers
from genvx.local.doctor.devices import of_devices
from genvx.local.doctor.needs import of_python, of_room
from genvx.local.doctor.state import of_state
from genvx.local.state.directory import StateDirectory
from genvx.local.state.lockfile import filelock_version
from genvx.local.state.store import LeaseStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from genvx.local.devices.inventory import Inventory
    from genvx.local.running.runtimes import Listed
    from genvx.local.state.paths import Places

T = TypeVar("T")


def examine(
    environ: Mapping[str, str],
    survey: Callable[[], Inventory],
    places: Places,
    rooms: Optional[Mapping[str, str]] = None,
) -> tuple[Finding, ...]:
    """Check everything that genvx depends on. Never raises because something is wrong.

    rooms: directories that need room on their disks; what for, and where.
    """
    # The clients of runtimes take longest, so they work while we look at all else.
    running = _meanwhile(lambda: containers.ask(environ, os.getuid()))
    findings = [
        Finding("genvx", OK, __version__),
        *of_python(environ),
        *_filelock(),
        *_logout(),
        *of_room(rooms or {}),
    ]
    devices = _of_devices(environ, survey, places, running)
    return (*findings, *containers.of_runtimes(running(), environ, os.getuid()), *devices)


def _meanwhile(act: Callable[[], T]) -> Callable[[], T]:
    """Start an act, which raises nothing, in a thread; return what waits for its result."""
    found: list[T] = []
    thread = threading.Thread(target=lambda: found.append(act()))
    thread.start()

    def result() -> T:
        thread.join()
        return found[0]

    return result


def _of_devices(
    environ: Mapping[str, str],
    survey: Callable[[], Inventory],
    places: Places,
    running: Callable[[], Sequence[Listed]],
) -> list[Finding]:
    """Check the devices, the state, and what holds devices."""
    findings = []
    try:
        inventory = survey()
    except GenvxError as error:
        # The state can be checked without devices.
        inventory = None
        findings.append(Finding("devices", ERROR, str(error)))
    try:
        state = StateDirectory(places.state_root(environ), former=places.former_root(environ))
    except StateError as error:
        findings.append(Finding("state", ERROR, str(error)))
        return findings
    try:
        findings += _policy(state)
        findings += of_state(state, places)
        if inventory is not None:
            findings += of_devices(inventory, state)
        findings += containers.of_containers(running(), lambda: _environments(state))
    except GenvxError as error:
        findings.append(Finding("state", ERROR, str(error)))
    finally:
        state.close()
    return findings


def _environments(state: StateDirectory) -> set[str]:
    return {lease.environment_id for lease in LeaseStore(state).scan().leases}


def _logout() -> Iterator[Finding]:
    """Whether runs outlive the logout of their user."""
    from genvx.core.logind import Outliving, needed
    from genvx.local.running import logind

    if needed(logind.ask()) is Outliving.LINGERING:
        yield Finding("logind", WARNING, logind.KILLS, logind.ADVICE)


def _filelock() -> Iterator[Finding]:
    version = filelock_version()
    if version is None:
        yield Finding(
            "filelock",
            WARNING,
            f"not installed for this Python ({platform.python_version()})",
            "acquires are as safe without it; many at once are slower",
        )
        return
    found = tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
    if found < (4, 2, 1):
        yield Finding(
            "filelock",
            ERROR,
            f"{version} is older than 4.2.1, which closes CVE-2026-112909",
            "pip install 'filelock>=4.2.1,<5'",
        )


def _policy(state: StateDirectory) -> Iterator[Finding]:
    if not os.path.lexists(f"{state.root}/policy.toml"):
        return
    from genvx.local.rules import Rules

    try:
        limit = Rules(state.root, state.uid).limit
    except StateError as error:
        yield Finding("policy", ERROR, str(error), "nothing is granted until it is corrected")
    else:
        yield Finding("policy", OK, f"{state.root}/policy.toml; for you: {limit}")
