"""What is wrong on this machine: one line for each fault, and what to do about it."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Callable, Optional, TypeVar

from genvx._version import __version__
from genvx.core.device import Health
from genvx.core.grant import Finding, Severity
from genvx.core.logind import Outliving, needed
from genvx.core.snapshot import Snapshot, State
from genvx.core.text import printable
from genvx.errors import GenvxError, StateError
from genvx.local import processes
from genvx.local.holders import with_holders
from genvx.local.state import mounts
from genvx.local.state.directory import StateDirectory
from genvx.local.state.lockfile import filelock_version
from genvx.local.state.store import LeaseStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from genvx.core.device import Device
    from genvx.core.lease import Environment
    from genvx.local.devices.inventory import Inventory
    from genvx.local.state.paths import Places

OK, WARNING, ERROR = Severity.OK, Severity.WARNING, Severity.ERROR

# Lines of one kind: a user who fills the state directory must not fill the screen.
_MOST_LINES = 10

_T = TypeVar("_T")


def examine(
    environ: Mapping[str, str], survey: Callable[[], Inventory], places: Places
) -> tuple[Finding, ...]:
    """Check everything that genvx depends on. Never raises because something is wrong."""
    findings = [
        Finding("genvx", OK, f"{__version__} on Python {platform.python_version()}"),
        *_filelock(),
        *_logout(),
    ]
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
        return tuple(findings)
    try:
        findings += _policy(state)
        findings += _state(state, places)
        if inventory is not None:
            findings += _devices(inventory, state)
    except GenvxError as error:
        findings.append(Finding("state", ERROR, str(error)))
    finally:
        state.close()
    return tuple(findings)


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


def _logout() -> Iterator[Finding]:
    """Whether runs outlive the logout of their user."""
    from genvx.local.running import logind

    if needed(logind.ask()) is Outliving.LINGERING:
        yield Finding("logind", WARNING, logind.KILLS, logind.ADVICE)


def _state(state: StateDirectory, places: Places) -> Iterator[Finding]:
    kind = "provisioned" if state.root == places.provisioned else "not provisioned"
    if state.shared:
        yield Finding(
            "state",
            OK,
            f"{state.root}, {kind}",
            "root can run 'genvx admin provision' for a lock file that nobody can replace",
        )
    else:
        yield Finding("state", OK, f"{state.root}, {kind}")
    yield from _reach(state, places)
    # One line for each culprit, with the worst first: 400,000 squatted names are one finding.
    for owner, names in _first(sorted(state.squatters().items(), key=_most_first)):
        what = f"{state.root}: {printable(min(names), 60)}"
        if owner is None:
            yield Finding(
                "state",
                WARNING,
                f"{what} has a file system mounted on it{_more(names)}",
                "leases in it are ignored, and it is not touched; root can unmount it",
            )
            continue
        yield Finding(
            "state",
            WARNING,
            f"{what} belongs to {processes.owner_of(owner)}, whom it does not name{_more(names)}",
            "harmless for leases; root can delete it, and talk to that user",
        )
    try:
        with state.own() as directory:
            # Only whether one's own directory can be made and opened: every acquire needs it.
            os.fstat(directory)
    except GenvxError as error:
        yield Finding("state", ERROR, str(error))
    if not state.has_usable_lock():
        yield Finding(
            "lock",
            WARNING,
            f"{state.lock_path} is not a file that everybody may write",
            "acquires are slower but correct; its owner or root should delete it",
        )


def _reach(state: StateDirectory, places: Places) -> Iterator[Finding]:
    """Whether all users of these GPUs see the same leases."""
    if state.former is not None:
        yield Finding(
            "state",
            OK,
            f"{state.former.root}: leases from before the machine was provisioned count, too",
            "when none is left, root can run 'genvx admin provision' again",
        )
    if state.root != places.unprovisioned:
        return
    advice = (
        "root can run 'genvx admin provision' on the machine; or set GENVX_STATE_DIR to a "
        "directory that all share"
    )
    # Leases are files: users that see another directory under this name see no lease of ours.
    if mounts.is_private(state.root):
        yield Finding(
            "state",
            ERROR,
            f"{state.root} is not that of the whole machine here (PrivateTmp, or a job's own): the "
            "same GPUs can be taken inside and outside",
            advice,
        )
    # A directory from outside that is mounted into the container is shared; only one of its own is
    # not.
    elif processes.in_container() and not mounts.is_mounted(state.root):
        yield Finding(
            "state",
            WARNING,
            f"{state.root} is this container's own: GPUs that others see, too, can be taken twice",
            f"mount the machine's {state.root} or {places.provisioned} into the container",
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


def _devices(inventory: Inventory, state: StateDirectory) -> Iterator[Finding]:
    driver = inventory.driver
    if driver.error is not None:
        yield Finding(
            "driver", ERROR, driver.error, "GENVX_SIMULATE=2xA100-80GB simulates some, to try genvx"
        )
    elif driver.simulated:
        yield Finding(
            "driver", WARNING, "devices are simulated", "unset GENVX_SIMULATE to see real ones"
        )
    else:
        yield Finding("driver", OK, f"NVIDIA driver {driver.version or 'of unknown version'}")
    for note in driver.notes:
        yield Finding("driver", ERROR, note)
    store = LeaseStore(state)
    scan = store.scan()
    snapshot = Snapshot(
        hostname=processes.hostname(),
        version=__version__,
        boot_id=processes.boot_id(),
        boottime_ns=processes.boottime_ns(),
        driver=driver,
        devices=inventory.devices,
        usage=inventory.usage,
        leases=with_holders(scan.leases, store, state.uid),
    )
    for device in snapshot.devices:
        usage = snapshot.usage_of(device)
        if usage.health is not Health.OK:
            yield Finding(
                f"GPU {device.label}",
                ERROR,
                f"{usage.health.value}: {usage.reason}" if usage.reason else usage.health.value,
                "it is not handed out; look at dmesg for Xid lines, reset the GPU or reboot",
            )
        elif snapshot.state(device) is State.BUSY:
            yield _in_use(device, snapshot)
    known = {device.uuid for device in inventory.devices}
    for environment in snapshot.environments:
        # Only if the driver answers: without an answer every device would look lost.
        missing = [uuid for uuid in environment.devices if uuid not in known]
        if missing and driver.error is None:
            yield Finding(
                "leases",
                WARNING,
                f"{environment.label} of {environment.owner} holds {len(missing)} devices "
                "that are not here",
                "a GPU was lost, or the simulation changed",
            )
        yield from _outlived(environment, snapshot)
    for odd in _first(scan.odd):
        yield Finding("leases", WARNING, f"ignored {odd}", "its owner can delete it")
    if len(scan.odd) > _MOST_LINES:
        rest = len(scan.odd) - _MOST_LINES
        yield Finding("leases", WARNING, f"ignored {rest} more", "'genvx status --json' has them")


def _in_use(device: Device, snapshot: Snapshot) -> Finding:
    """A device that is used without a lease."""
    foreign = snapshot.foreign(device)
    if not foreign:
        return Finding(
            f"GPU {device.label}",
            WARNING,
            snapshot.unseen(device),
            "it is not handed out; look for processes in containers, and at "
            "'fuser -v /dev/nvidia*' as root; if there are none, reset the GPU or reboot",
        )
    first = foreign[0]
    return Finding(
        f"GPU {device.label}",
        WARNING,
        f"in use outside any lease by pid {first.pid} of {first.user} ({first.command})",
        "it is not handed out; ask that user to start jobs with 'genvx run'",
    )


def _outlived(environment: Environment, snapshot: Snapshot) -> Iterator[Finding]:
    """The processes that hold devices after the shell or command that took them: jobs, daemons."""
    if not (environment.outlived and environment.devices and environment.holders):
        return
    count = len(environment.devices)
    first = environment.holders[0].described(snapshot.boottime_ns)
    more = len(environment.holders) - 1
    yield Finding(
        "leases",
        WARNING,
        f"the process that took {environment.label} of {environment.owner} has ended, "
        f"and {count} device{'' if count == 1 else 's'} stay held by {first}"
        + (f" and {more} more" if more else ""),
        f"genvx release {environment.id} gives them back; with --kill it ends the processes, too",
    )


def _first(items: Sequence[_T]) -> Sequence[_T]:
    return items[:_MOST_LINES]


def _more(names: Sequence[str]) -> str:
    return f", and {len(names) - 1:,} more such names" if len(names) > 1 else ""


def _most_first(item: tuple[Optional[int], list[str]]) -> int:
    return -len(item[1])
