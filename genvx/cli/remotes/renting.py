"""genvx remotes start, stop and status for machines that are rented: what is asked and said."""

from __future__ import annotations

import datetime
import sys
from typing import TYPE_CHECKING

from genvx.core.quantities.ages import format_duration
from genvx.core.text import printable
from genvx.core.value import value
from genvx.errors import InvalidInput, NotRunning
from genvx.shown.console import tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.cli.schema.document import Plain
    from genvx.clouds.ec2.wanted import Machine
    from genvx.fleet.hosts.hostspec import HostSpec
    from genvx.fleet.remotes.remote import Remote


def start(remote: Remote, *, reinit: bool, yes: bool, patience: float, json: bool) -> int:
    """Start the machine of a remote; return the exit code of its init.

    Raises:
        GenvxError: a step failed; the message has the step, what is there now, and what it costs.
    """
    from genvx.cli.ask.prompt import prompt
    from genvx.fleet.renting import starting

    how = starting.Start(
        patience,
        reinit=reinit,
        confirm=confirmed(remote.name, yes=yes),
        prompt=prompt(),
        # Then stdout is the document's.
        out=2 if json else 1,
    )
    rental, wanted = starting.begin(remote, tell)
    try:
        code = starting.start(rental, wanted, how)
    except KeyboardInterrupt:
        tell(f"interrupted while trying to {rental.step}; {rental.there}")
        tell(f"to go on: genvx remotes start {remote.name}")
        raise
    if json:
        from genvx.cli.schema.document import print_document

        host = {"host": remote.name, "ok": True, "exit_code": code}
        print_document("remotes start", hosts=[host], machine=_plain(rental.machine))
    elif code == 0:
        machine = "" if rental.machine is None else f" ({rental.machine.id})"
        print(f"{remote.name}{machine} is available")
    return code


def stop(remote: Remote, *, yes: bool, terminate: bool, json: bool) -> None:
    """Stop the machine of a remote, or end it. Raises as `start`."""
    from genvx.fleet.remotes.rented import cloud_of
    from genvx.fleet.renting import ending
    from genvx.fleet.renting.rental import Rental

    remote.require_ssh()
    rental = Rental(remote, cloud_of(remote), tell)
    act = ending.terminate if terminate else ending.stop
    try:
        act(rental, confirmed(remote.name, yes=yes))
    except KeyboardInterrupt:
        more = " --terminate" if terminate else ""
        tell(f"interrupted while trying to {rental.step}; {rental.there}")
        tell(f"to go on: genvx remotes stop {remote.name}{more}")
        raise
    if json:
        from genvx.cli.schema.document import print_document

        print_document("remotes stop", remote=remote.name, machine=_plain(rental.machine))


def confirmed(name: str, *, yes: bool) -> Callable[[str], None]:
    """Return what asks a person before something is done, as in "stop i-1"."""

    def confirm(what: str) -> None:
        if yes:
            return
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise InvalidInput(
                f"{name}: this would {printable(what)}; -y does it without a question"
            )
        sys.stderr.write(f"genvx: {name}: {printable(what)}? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise InvalidInput("nothing was done")

    return confirm


@value
class State:
    """How a rented machine is. spec: where it is, if it runs. resting: what is said if it does not.

    about: what is said of one that runs. plain: for --json; None if there is no machine.
    """

    spec: HostSpec | None
    resting: str
    about: str
    plain: Plain | None


def look(remote: Remote) -> State:
    """Ask the cloud how the machine of a remote is.

    Raises:
        CloudError: the cloud does not say it.
    """
    from genvx.clouds.ec2 import prices
    from genvx.fleet.remotes.rented import cloud_of, place_of
    from genvx.fleet.renting.rental import bill

    cloud = cloud_of(remote)
    machine = cloud.machine()
    try:
        spec = remote.at(place_of(remote, machine))
    except NotRunning as error:
        costs = "" if machine is None else f" ({bill(remote.name, machine)})"
        return State(None, f"{error}{costs}", "", None if machine is None else _plain(machine))
    assert machine is not None
    dollars = prices.price(cloud, machine.type, spot=machine.spot, zone=machine.zone)
    up = _up(machine)
    parts = [
        f"{machine.id}, {machine.type} in {remote.text('region')}",
        prices.gpus(cloud, machine.type),
        "" if up is None else f"up {format_duration(up)}",
        "" if dollars is None else f"about ${dollars:.4g} an hour",
    ]
    about = ", ".join(part for part in parts if part)
    return State(spec, "", about, _plain(machine, dollars=dollars))


def _plain(machine: Machine | None, *, dollars: float | None = None) -> Plain | None:
    if machine is None:
        return None
    up = _up(machine) if machine.state == "running" else None
    return {
        "id": machine.id,
        "state": machine.state,
        "type": machine.type,
        "image": machine.image,
        "spot": machine.spot,
        "up_seconds": up,
        "dollars_an_hour": dollars,
    }


def _up(machine: Machine) -> float | None:
    """Return the seconds since a machine was started, by the clock here."""
    if machine.launched is None:
        return None
    now = datetime.datetime.now(datetime.UTC)  # noqa: TID251  # EC2 tells a wall clock's
    return max(0.0, float(int((now - machine.launched).total_seconds())))
