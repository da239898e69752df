"""How a tunnel to a run is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.core.runs.entry import require_entry
from genvx.errors import InvalidInput
from genvx.fleet.tunnels.forward import Forward, require_address, require_port
from genvx.fleet.tunnels.listening import Listening
from genvx.fleet.tunnels.tunnel import Tunnel

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.core.runs.runinfo import RunInfo


def forward_of(port: int, local: int | None, *, reverse: bool) -> Forward:
    """What a program asks for: a port of the host, and one here that is the same by default.

    Raises:
        InvalidInput: these are no ports.
    """
    return Forward(require_port(port if local is None else local), require_port(port), reverse)


def open_tunnel(
    host: Any,
    find: Callable[[], RunInfo],
    forward: Forward,
    *,
    strict: bool,
    bind: str | None,
    tell: Callable[[str], object] = lambda line: None,
) -> Tunnel:
    """Open a tunnel with one forward. find: asks the host for the run.

    Raises:
        InvalidInput: the run is not one to enter, it is on this machine, or a port is not free.
        HostError: the host cannot be reached, or forbids it.
    """
    if bind is not None:
        require_address(bind)
    if not hasattr(host, "connections"):
        raise InvalidInput(
            f"no connection leads to {host.name}: a run there has its port {forward.remote} at "
            f"localhost:{forward.remote}"
        )
    listening = Listening([forward], strict=strict, bind=bind)
    try:
        run = find()
        require_entry(run)
        return Tunnel(host, run, listening, tell)
    except BaseException:
        listening.close()
        raise
