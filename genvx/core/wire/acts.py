"""Operations that change the environments of a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.leases.environment import Environment
from genvx.core.leases.grant import Grant
from genvx.core.value import value
from genvx.core.wire.operation import Operation

if TYPE_CHECKING:
    from genvx.core.requests.ask import Ask
    from genvx.core.requests.requirements import Requirements


@value
class Release(Operation[Environment]):
    """End an environment, named by id or name. kill: end its processes first."""

    environment: str
    kill: bool = False


@value
class Attach(Operation[Grant]):
    """Give one of our environments more devices."""

    environment_id: str
    requirements: Requirements


@value
class Detach(Operation[Grant]):
    """Take devices, by label or UUID, from one of our environments; all if none is named."""

    environment_id: str
    devices: tuple[str, ...] = ()


@value
class Reserve(Operation[Grant]):
    """Take devices for as long as the request says, without a process that holds them."""

    ask: Ask


@value
class Signal(Operation[None]):
    """Send a signal, named without SIG, to the processes that hold one of our environments.

    lease: if given, only to the process that took this lease.
    """

    environment_id: str
    signal: str
    lease: str = ""


@value
class StopWhenIdle(Operation[str]):
    """Have the machine shut itself down when no lease has lived for so many seconds.

    first: seconds that are added the first time. The reply is why it cannot, or empty.
    """

    seconds: float
    first: float = 0.0
