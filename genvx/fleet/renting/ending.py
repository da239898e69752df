"""Stopping the machine of a remote, which keeps its disk, and ending it, which does not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from genvx.clouds.ec2 import access
from genvx.errors import CloudError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from genvx.clouds.ec2.wanted import Machine
    from genvx.fleet.renting.rental import Rental

_SECONDS = 900.0
_PAUSE = 2.0


def stop(rental: Rental, confirm: Callable[[str], None]) -> None:
    """Stop the machine of a remote; its disk is kept.

    confirm: asked with a line before it is stopped; raises InvalidInput where the answer is no.

    Raises:
        GenvxError: a step failed; the message has the step, what is there now, and what it costs.
    """
    name = rental.name
    with rental.doing("look for its machine"):
        rental.machine = machine = rental.cloud.machine()
        rental.unsure = False
    if machine is None:
        rental.tell(f"{name} is not started; there is nothing to stop")
        return
    if machine.state == "stopped":
        rental.tell(f"{name}: {rental.there}")
        return
    if machine.state != "stopping":
        confirm(f"stop {machine.id} ({machine.type}); what runs there ends, its disk is kept")
        with rental.doing("stop its machine"):
            if machine.state == "pending":
                # EC2 stops only what runs.
                rental.wait("running", ("stopped", "shutting-down", "terminated"), _SECONDS)
            rental.cloud.stop(machine)
    rental.tell(f"{name}: {machine.id} is stopping")
    with rental.doing("wait until its machine has stopped"):
        rental.wait("stopped", ("shutting-down", "terminated"), _SECONDS)
    rental.tell(f"{name}: {rental.there}")


def terminate(rental: Rental, confirm: Callable[[str], None]) -> None:
    """End the machine of a remote, and delete its disk, key pair and security group.

    Everything is found by its tags, so what an interrupted one has left is deleted by the next.
    Arguments and errors as `stop`.
    """
    name = rental.name
    with rental.doing("look for its machine"):
        machines: Sequence[Machine] = rental.cloud.machines()
        rental.machine = machines[0] if machines else None
        rental.unsure = False
    if machines:
        ids = " and ".join(each.id for each in machines)
        confirm(f"end {ids} ({machines[0].type}), and delete the disk with all that is on it")
        with rental.doing("end its machine"):
            rental.cloud.end(machines)
        rental.tell(f"{name}: {ids} is ending")
        for each in machines:
            rental.machine = each
            with rental.doing("wait until its machine has ended"):
                rental.wait("terminated", (), _SECONDS)
    with rental.doing("delete its key pair and security group"):
        gone = _remove(rental)
    if not machines and not gone:
        rental.tell(f"{name} is not started; there is nothing to end")
        return
    removed = f"; removed: {', '.join(gone)}" if gone else ""
    rental.tell(f"{name}: nothing of it is left, and nothing is billed{removed}")


def _remove(rental: Rental) -> list[str]:
    end = time.monotonic() + _SECONDS
    while True:
        try:
            return access.remove(rental.cloud)
        except CloudError as error:
            # The network interface of a machine that has just ended is in the group for a while.
            if error.code != "DependencyViolation" or time.monotonic() > end:
                raise
        time.sleep(_PAUSE)
