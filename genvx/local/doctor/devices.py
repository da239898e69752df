"""What `genvx doctor` checks of the driver and the devices."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from genvx._version import __version__
from genvx.core.finding import ERROR, OK, WARNING, Finding
from genvx.core.snapshot import Snapshot, State
from genvx.core.usage import Health
from genvx.local import facts, processes
from genvx.local.doctor.leases import of_leases
from genvx.local.holders import with_holders
from genvx.local.state.store import LeaseStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genvx.core.device import Device
    from genvx.local.devices.inventory import Inventory
    from genvx.local.state.directory import StateDirectory


def of_devices(inventory: Inventory, state: StateDirectory) -> Iterator[Finding]:
    """Check the driver, the devices, and the leases on them."""
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
        if shutil.which("nvidia-smi") is None:
            yield Finding(
                "nvidia-smi", WARNING, "not on the PATH", "genvx does not need it; people may"
            )
    for note in driver.notes:
        yield Finding("driver", ERROR, note)
    store = LeaseStore(state)
    scan = store.scan()
    snapshot = Snapshot(
        hostname=facts.hostname(),
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
    yield from of_leases(snapshot, scan.odd)


def _in_use(device: Device, snapshot: Snapshot) -> Finding:
    """The finding of a device that is used without a lease."""
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
