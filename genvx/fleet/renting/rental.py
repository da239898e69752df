"""A machine that is being started or stopped: what is done now, what is there, what that costs."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from genvx.clouds.ec2 import prices
from genvx.core.text import printable
from genvx.errors import CloudError, GenvxError, HostError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from genvx.clouds.ec2.cloud import Cloud
    from genvx.clouds.ec2.wanted import Machine
    from genvx.fleet.remotes.remote import Remote

# A machine that was just made may not be known everywhere in EC2 yet.
_UNKNOWN_SECONDS = 60.0
_FIRST_LOOK, _LONGEST_LOOK = 0.5, 5.0


class Rental:
    """Rental is a remote whose machine is being started or stopped.

    tell: called with a line for people. step: what is done now. machine: what is there, as far as
    is known. unsure: whether there may be a machine of which we do not know.
    """

    def __init__(self, remote: Remote, cloud: Cloud, tell: Callable[[str], object]) -> None:
        self.remote = remote
        self.cloud = cloud
        self.tell = tell
        self.step = ""
        self.machine: Machine | None = None
        # Until EC2 has said which machines there are.
        self.unsure = True
        self.dollars: float | None = None

    @property
    def name(self) -> str:
        """The name of the remote."""
        return self.remote.name

    @contextlib.contextmanager
    def doing(self, step: str) -> Iterator[None]:
        """Within it, this is done; an error says that, and what is there now.

        step: as after "could not", such as "start its machine".
        """
        self.step = step
        try:
            yield
        except GenvxError as error:
            raise self._worded(error) from None

    def _worded(self, error: GenvxError) -> GenvxError:
        message = f"could not {self.step}: {error}; {self.there}"
        if isinstance(error, CloudError):
            return type(error)(message, code=error.code)
        if isinstance(error, HostError):
            return type(error)(message, kind=error.kind)
        return InvalidInput(message) if isinstance(error, InvalidInput) else CloudError(message)

    @property
    def there(self) -> str:
        """What is there now, and what it costs."""
        if self.machine is None:
            if self.unsure:
                return (
                    "whether a machine is there and billed is not known: genvx remotes status "
                    f"{self.name} says it"
                )
            return "no machine was started, and nothing is billed"
        return bill(self.name, self.machine, self.dollars)

    def price(self, kind: str, *, spot: bool, zone: str = "") -> str:
        """Return what an hour of a type costs, as in " (about $3.06 an hour)"; empty if unknown."""
        self.dollars = prices.price(self.cloud, kind, spot=spot, zone=zone)
        return "" if self.dollars is None else f" (about ${self.dollars:.4g} an hour)"

    def wait(self, wanted: str, unwanted: tuple[str, ...], patience: float) -> Machine:
        """Wait until the machine is in a state; return it.

        unwanted: states from which it does not get there.

        Raises:
            CloudError: it is in one of these, or is not in that state after `patience` seconds.
        """
        assert self.machine is not None
        begun, pause = time.monotonic(), _FIRST_LOOK
        while True:
            try:
                self.machine = self.cloud.look(self.machine.id)
            except CloudError as error:
                gone = error.code == "InvalidInstanceID.NotFound"
                if gone and wanted == "terminated":
                    return self.machine
                if not gone or time.monotonic() - begun > _UNKNOWN_SECONDS:
                    raise
            else:
                if self.machine.state == wanted:
                    return self.machine
                if self.machine.state in unwanted:
                    why = f": {self.machine.reason}" if self.machine.reason else ""
                    raise CloudError(f"{self.machine.id} is {self.machine.state}{why}")
            if time.monotonic() - begun > patience:
                raise CloudError(
                    f"{self.machine.id} is still {self.machine.state} after {round(patience)} s"
                )
            time.sleep(pause)
            pause = min(_LONGEST_LOOK, pause * 2)


def bill(name: str, machine: Machine, dollars: float | None = None) -> str:
    """Return what a machine costs in its state, and what ends that."""
    if machine.state in ("running", "pending"):
        price = "" if dollars is None else f", about ${dollars:.4g} an hour,"
        return (
            f"{machine.id} ({printable(machine.type, 40)}) is {_WORDS[machine.state]} and is "
            f"billed{price} until: genvx remotes stop {name}"
        )
    if machine.state in ("stopped", "stopping"):
        return (
            f"{machine.id} is {machine.state}; its disk is billed until: genvx remotes stop {name} "
            "--terminate"
        )
    return f"{machine.id} has ended and is not billed"


_WORDS = {"running": "running", "pending": "starting"}
