"""Inside of an allocation of Slurm, only the GPUs of its job are there, and only until it ends."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from genvx.core.quantities.ages import LONGEST, format_duration
from genvx.core.text import printable
from genvx.core.value import replace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Optional

    from genvx.core.device import Device
    from genvx.local.devices.inventory import Inventory

# What Slurm said is kept under the second name: in an environment the first has what was leased.
_VISIBLE = "CUDA_VISIBLE_DEVICES"
KEPT = "GENVX_JOB_DEVICES"
# When the job ends, in seconds since 1970. genvx sets the first on the nodes of its allocations;
# Slurm sets the second, but not yet in 22.05.
ENDS = "GENVX_JOB_ENDS"
_SLURM_ENDS = "SLURM_JOB_END_TIME"
# Seconds before the end of the job at which an environment ends, so that what runs there can end by
# itself, and a run has its last state.
_BEFORE = 20.0


def job_in(environ: Mapping[str, str]) -> str:
    """Return the job of Slurm in which a process runs; empty outside of any."""
    return environ.get("SLURM_JOB_ID", "")


def names_in(environ: Mapping[str, str]) -> Optional[str]:
    """Return how Slurm names the GPUs of the job; None if it gave none."""
    if KEPT in environ:
        return environ[KEPT]
    if "GENVX_ENVIRONMENT_ID" in environ:
        # A shell that was activated in place, without KEPT.
        return environ.get("SLURM_STEP_GPUS", environ.get("SLURM_JOB_GPUS"))
    return environ.get(_VISIBLE)


def within_job(inventory: Inventory, environ: Mapping[str, str]) -> Inventory:
    """Return the devices of the job of Slurm in which we run; all of them outside of any.

    Slurm decides who has a GPU of a node, so the others are not ours to lease. It names them by
    their NVML index here, whether or not a cgroup hides the others; some clusters by UUID.
    """
    if not job_in(environ) or inventory.driver.error is not None:
        return inventory
    words = [word.strip() for word in (names_in(environ) or "").split(",") if word.strip()]
    devices = tuple(device for device in inventory.devices if _is_named(device, words))
    driver, job = inventory.driver, printable(job_in(environ), 20)
    if not words:
        driver = replace(
            driver,
            notes=(*driver.notes, f"job {job} of Slurm asked for no GPU here (--gres=gpu:N)"),
        )
    elif not devices:
        named = printable(",".join(words), 100)
        why = f"job {job} of Slurm has GPUs ({named}) that NVML does not list"
        driver = replace(driver, notes=(*driver.notes, why))
    return replace(inventory, driver=driver, devices=devices)


def _is_named(device: Device, words: list[str]) -> bool:
    if device.instance is None and str(device.index) in words:
        return True
    # CUDA takes the beginning of a UUID, too.
    uuids = [word for word in words if word.startswith(("GPU-", "MIG-", "SIM-"))]
    return any(device.uuid.startswith(word) for word in uuids)


def kept_names(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variable by which what we start in an environment knows the GPUs of the job."""
    names = names_in(environ) if job_in(environ) else None
    return {} if names is None else {KEPT: names}


def seconds_left(environ: Mapping[str, str]) -> Optional[float]:
    """Return the seconds until the job of Slurm in which we run ends; None outside of any, and if
    that is not known.
    """
    text = environ.get(ENDS) or environ.get(_SLURM_ENDS, "")
    if not job_in(environ) or not re.fullmatch(r"[0-9]{1,12}", text, re.ASCII):
        return None
    left = int(text) - time.time()  # noqa: TID251  # Slurm tells a wall clock's
    # Since we run, a job that has ended by that clock has got more time, or the clock is wrong.
    return left if 0 < left <= LONGEST else None


def bounded(environ: Mapping[str, str], wanted: Optional[float]) -> Optional[float]:
    """Return how many seconds an environment lasts if `wanted` seconds were asked for: no longer
    than the job of Slurm in which we run.
    """
    left = seconds_left(environ)
    if left is None:
        return wanted
    most = left - min(_BEFORE, left / 10)
    return most if wanted is None else min(wanted, most)


def shortened(environ: Mapping[str, str], wanted: Optional[float]) -> str:
    """Return a line for people if the job of Slurm in which we run ends before so many seconds;
    otherwise nothing.
    """
    left = seconds_left(environ)
    if left is None or wanted is None or wanted <= left:
        return ""
    job = printable(job_in(environ), 20)
    return (
        f"job {job} of Slurm ends in {format_duration(left)}, and this with it, "
        f"not after {format_duration(wanted)}"
    )
