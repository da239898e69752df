"""Starting the machine of a remote, step by step; each step may be done already."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genvx.clouds.ec2 import access
from genvx.clouds.ec2.wanted import CONFIG
from genvx.core.quantities.ages import format_duration
from genvx.errors import CloudError, InvalidInput
from genvx.fleet.remotes.rented import cloud_of, init_seconds, place_of, wanted_of
from genvx.fleet.renting import reaching
from genvx.fleet.renting.initial import complaint, run_init
from genvx.fleet.renting.rental import Rental

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.clouds.ec2.wanted import Machine, Wanted
    from genvx.fleet.fleet import Fleet
    from genvx.fleet.remotes.remote import Remote
    from genvx.fleet.sshhost import SSHHost

# EC2 takes minutes to stop a machine with much memory.
_STOPPING_SECONDS = 900.0


@dataclass(frozen=True)
class Start:
    """How a machine is started. patience: seconds until it runs, and again until it lets us in.

    reinit: run its init also if it has run there. confirm: asked with a line before anything is
    started that costs money; it raises InvalidInput where the answer is no. prompt: asks for a
    password or a passphrase. out: the descriptor to which the stdout of init goes.
    """

    patience: float
    reinit: bool = False
    confirm: Callable[[str], None] = lambda line: None
    prompt: Callable[[str], str | None] | None = None
    out: int = 1
    console_patience: float = reaching.CONSOLE_SECONDS


def begin(remote: Remote, tell: Callable[[str], object]) -> tuple[Rental, Wanted]:
    """Return what a start begins with; nothing is asked of the cloud yet.

    Raises:
        InvalidInput: something is missing or makes no sense.
    """
    remote.require_ssh()
    wanted = wanted_of(remote)
    if wanted.cidrs or wanted.groups or wanted.public:
        return Rental(remote, cloud_of(remote), tell), wanted
    raise InvalidInput(
        f"remote {remote.name} has a private address: write from where it may be reached, as "
        "ssh-cidr: 10.0.0.0/16, or a security-group"
    )


def start(rental: Rental, wanted: Wanted, how: Start) -> int:
    """Start the machine of a remote, wait until it lets us in, and run its init once.

    Returns the exit code: 0, or that of init.

    Raises:
        GenvxError: a step failed; the message has the step, what is there now, and what it costs.
    """
    rent(rental, wanted, how)
    with rental.doing("get into its machine"):
        fleet = _reach(rental, how)
    with fleet:
        return _set_up(rental, wanted, fleet.hosts[0], how)


def rent(rental: Rental, wanted: Wanted, how: Start) -> None:
    """Have the cloud start the one machine of a remote, and let us in there.

    Raises:
        GenvxError: as `start`.
    """
    name = rental.name
    with rental.doing("look for its machine"):
        rental.machine = machine = rental.cloud.machine()
        rental.unsure = False
    if machine is None:
        price = rental.price(wanted.type, spot=wanted.spot)
        how.confirm(f"start a new {wanted.type} in {rental.remote.text('region')}{price}")
    elif machine.state in ("stopping", "stopped"):
        price = rental.price(machine.type, spot=machine.spot, zone=machine.zone)
        how.confirm(f"start {machine.id}, a {machine.type}{price}")
    else:
        rental.tell(f"{name}: {machine.id} runs already")
    if machine is not None and machine.tags.get(CONFIG, wanted.digest) != wanted.digest:
        rental.tell(
            f"{name}: {machine.id} was made from other values than remotes.yml has now; a new one "
            f"has them: genvx remotes stop {name} --terminate, then start it again"
        )
    groups = _let_in(rental, wanted)
    _run(rental, wanted, groups)


def _let_in(rental: Rental, wanted: Wanted) -> tuple[str, ...]:
    """Have the security group let us in; return the groups of the machine."""
    if wanted.groups:
        return wanted.groups
    with rental.doing("let this computer in"):
        # Before anything is made.
        cidrs = wanted.cidrs or (
            access.our_address(os.environ.get("GENVX_CHECKIP") or access.CHECKIP),
        )
        group = access.group(rental.cloud, wanted)
        access.let_in(rental.cloud, group, cidrs, wanted.port)
    rental.tell(f"{rental.name}: SSH is open to {', '.join(cidrs)} (security group {group})")
    return (group,)


def _run(rental: Rental, wanted: Wanted, groups: tuple[str, ...]) -> None:
    """Have the machine run, whatever its state is."""
    if rental.machine is None:
        with rental.doing("make a key pair"):
            key = access.key_pair(rental.cloud, wanted.public_key)
        with rental.doing("start a machine"):
            _launch(rental, wanted, key, groups)
    elif rental.machine.state in ("stopping", "stopped"):
        if rental.machine.state == "stopping":
            rental.tell(f"{rental.name}: {rental.machine.id} is stopping; it is started after that")
        with rental.doing("wait until its machine has stopped"):
            rental.wait("stopped", ("terminated", "shutting-down", "running"), _STOPPING_SECONDS)
        with rental.doing("start its machine"):
            _restart(rental)


def _launch(rental: Rental, wanted: Wanted, key: str, groups: tuple[str, ...]) -> None:
    rental.unsure = True
    try:
        rental.machine = rental.cloud.launch(wanted, key, groups)
    except (CloudError, InvalidInput) as error:
        # AWS has said no, so nothing was started.
        rental.unsure = isinstance(error, CloudError) and error.code in ("", "unreachable")
        raise
    rental.tell(f"{rental.name}: {rental.machine.id} is starting ({rental.machine.type})")


def _restart(rental: Rental) -> None:
    assert rental.machine is not None
    try:
        rental.cloud.start(rental.machine)
    except CloudError as error:
        # Another start was first.
        if error.code != "IncorrectInstanceState":
            raise
    rental.tell(f"{rental.name}: {rental.machine.id} is starting ({rental.machine.type})")


def _reach(rental: Rental, how: Start) -> Fleet[SSHHost]:
    rental.wait("running", ("stopping", "stopped", "shutting-down", "terminated"), how.patience)
    spec = rental.remote.at(place_of(rental.remote, rental.machine))
    return reaching.reach(
        rental,
        spec,
        patience=how.patience,
        console_patience=how.console_patience,
        prompt=how.prompt,
    )


def _set_up(rental: Rental, wanted: Wanted, host: SSHHost, how: Start) -> int:
    """Have the machine watch for idleness, then run init. Return the exit code of init."""
    machine, init = _there(rental), rental.remote.init
    if wanted.idle is not None:
        with rental.doing("have its machine watch for idleness (idle-stop)"):
            why = host.stop_when_idle(wanted.idle, wanted.first if init else 0.0)
        # The machine goes on as it is, and is said to.
        rental.tell(
            f"{rental.name}: idle-stop has no effect: {why}; {rental.there}"
            if why
            else f"{rental.name}: {machine.id} stops itself after "
            f"{format_duration(wanted.idle)} without a lease"
        )
    if how.reinit and not init:
        raise InvalidInput(f"remote {rental.name} has no init to run; {rental.there}")
    if not init:
        return 0
    rental.tell(f"{rental.name}: runs init on {machine.id}, unless it has run there")
    seconds = init_seconds(rental.remote)
    with rental.doing("run init"):
        code = run_init(host, machine.id, init, seconds=seconds, again=how.reinit, out=how.out)
    if code:
        rental.tell(
            f"{rental.name}: init {complaint(code, seconds)}; {rental.there}; to go on: "
            f"genvx remotes start {rental.name}"
        )
    return code


def _there(rental: Rental) -> Machine:
    assert rental.machine is not None
    return rental.machine
