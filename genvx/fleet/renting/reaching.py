"""Waiting until a machine that was started lets us in, and is the one that we started."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING

from genvx.clouds.ec2.hostkeys import host_keys
from genvx.errors import CloudDenied, CloudError, HostError
from genvx.fleet.connect import connect
from genvx.fleet.plainly import start_line
from genvx.ssh.ending import close_channel
from genvx.ssh.hostkey.hostkeymemory import remember

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from genvx.fleet.fleet import Fleet
    from genvx.fleet.hosts.hostspec import HostSpec
    from genvx.fleet.renting.rental import Rental
    from genvx.fleet.sshhost import SSHHost

_PAUSE = 2.0
_TRY_SECONDS = 15.0
# sshd of a new machine may be there before cloud-init has let our key in.
_AUTH_SECONDS = 90.0
# And before the host keys are on the console, which is the last thing that cloud-init does.
CONSOLE_SECONDS = 90.0
# What a machine that is starting is like.
_NOT_YET = ("refused", "timeout", "network", "dns", "lost", "protocol", "host")
_SHOWN = re.compile(r"\((\S+ key SHA256:[^)\s]+)\)")


def reach(
    rental: Rental,
    spec: HostSpec,
    *,
    patience: float,
    console_patience: float = CONSOLE_SECONDS,
    prompt: Callable[[str], str | None] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Fleet[SSHHost]:
    """Wait until SSH lets us into a machine; return a fleet of it alone, which the caller closes.

    A host key that is not known is taken from the console of the machine. console_patience: seconds
    until one is accepted that is not there, for this machine alone. prompt: as connect has it.

    Raises:
        HostError: it does not let us in, or has another key than before.
    """
    environ = os.environ if environ is None else environ

    def fleet(*, accept: bool) -> Fleet[SSHHost]:
        return connect(
            specs=(spec,),
            timeout=_TRY_SECONDS,
            accept_new_host_keys=accept,
            prompt=prompt,
            environ=environ,
        )

    begun = time.monotonic()
    refused: float | None = None
    shown: float | None = None
    said, accepted = "", False
    found = fleet(accept=False)
    while True:
        error = _try(found)
        if error is None:
            return found
        now = time.monotonic()
        if error.kind == "host-key":
            shown = now if shown is None else shown
            if accepted or _known(found.hosts[0]):
                found.close()
                raise error
            try:
                if _remembered(rental, found.hosts[0]):
                    continue
            except CloudDenied as denied:
                rental.tell(f"{rental.name}: {denied}")
                console_patience = 0.0
            if now - shown >= console_patience:
                _say_accepted(rental, spec, error)
                found.close()
                found, accepted = fleet(accept=True), True
                continue
            word = "waits for its host key on the console"
        elif error.kind == "auth":
            refused = now if refused is None else refused
            if now - refused >= min(_AUTH_SECONDS, patience):
                found.close()
                raise type(error)(
                    f"{error}; user: must be the one of the image (ubuntu, ec2-user, admin), and "
                    "private-key: the key of the machine",
                    kind=error.kind,
                )
            word = "does not let us in yet"
        elif error.kind in _NOT_YET:
            word = f"does not answer yet ({error.kind})"
        else:
            found.close()
            raise error
        if now - begun >= patience:
            found.close()
            raise type(error)(
                f"not within {round(patience)} s ({error}); may TCP port {spec.port or 22} be "
                "reached from here, and has the image an sshd?",
                kind=error.kind,
            )
        if word != said:
            rental.tell(f"{rental.name}: {spec.address} {word}")
            said = word
        time.sleep(_PAUSE)


def _try(fleet: Fleet[SSHHost]) -> HostError | None:
    """Log in; return what is in the way."""

    def login(host: SSHHost) -> None:
        close_channel(start_line(host, "exit 0"))

    for error in fleet.ask(login).failed.values():
        if not isinstance(error, HostError):
            raise error
        return error
    return None


def _known(host: SSHHost) -> bool:
    """Return whether a key is known for a machine, so that it has shown another one."""
    settings = host.session.settings(host.spec)
    return bool(host.session.known_hosts(settings.known_hosts).kinds(settings.key_name))


def _remembered(rental: Rental, host: SSHHost) -> bool:
    """Remember the host keys that are on the console of a machine; return whether there are any.

    Raises:
        CloudDenied: we may not read it.
    """
    assert rental.machine is not None
    settings = host.session.settings(host.spec)
    file = settings.remembers
    if file is None or file == os.devnull:
        return False
    try:
        keys = host_keys(rental.cloud.console(rental.machine))
    except CloudDenied:
        raise
    except CloudError:
        return False  # it is asked again
    for kind, blob in keys:
        remember(file, settings.key_name, kind, blob)
    if keys:
        rental.tell(f"{rental.name}: its host keys are those on the console of {rental.machine.id}")
        host.session.forget_known_hosts()
    return bool(keys)


def _say_accepted(rental: Rental, spec: HostSpec, error: HostError) -> None:
    match = _SHOWN.search(str(error))
    rental.tell(
        f"{rental.name}: the console shows no host key; {match[1] if match else 'its key'} is "
        f"accepted at first sight, for {spec.host_key_alias} alone"
    )
