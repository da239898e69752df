"""Putting files into a directory of a host: only what it lacks is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from genvx.core.projects.manifest import DIRECTORY, MOST_MANIFEST
from genvx.core.projects.plan import Landed, Plan, names_to_bytes
from genvx.core.projects.stream import frame, read_frame
from genvx.core.text import printable
from genvx.core.wire.plain import Malformed
from genvx.core.wire.treeoperations import Coming, Placed, Planned
from genvx.errors import ProtocolError
from genvx.fleet.shipping.sending import SILENCE, frames, send_all
from genvx.ssh.ending import close_channel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from genvx.core.wire.treeoperations import PutFiles
    from genvx.fleet.caller import Caller
    from genvx.fleet.shipping.shipment import Sent, Shipment

T = TypeVar("T")


def put(
    caller: Caller,
    asked: PutFiles,
    shipment: Shipment,
    decide: Callable[[Plan], Sequence[bytes]] = lambda plan: (),
    sent: Sent = lambda done, total: None,
) -> Landed:
    """Put files into a directory of a host; return what became of it, or would.

    decide: called once with what the host will do; returns those of the extra names that it is to
    delete. sent: called with how many bytes of content were sent, and how many are to be sent.

    Raises:
        HostError: the connection has ended; the host keeps what has come, and takes it from there
        the next time. StateError: the host cannot write it. ProjectChanged, InvalidInput: as
        `Shipment.contents`; also what `decide` raises.
    """
    putting = caller.call(asked)
    try:
        manifest = shipment.manifest
        send_all(putting, frame(manifest.to_bytes(), packed=True))
        while isinstance(putting.last, Coming):
            putting.next_reply(SILENCE, lambda: False)
        if not isinstance(putting.last, Planned):
            raise ProtocolError("the host does not say what it lacks")
        try:
            plan = Plan.read(read_frame(putting.read, MOST_MANIFEST), manifest)
        except Malformed as error:
            raise ProtocolError(printable(str(error), 300)) from None
        unwanted = decide(plan)
        size = sum(body.size for body in _at(manifest.bodies(), plan.lacking))
        if asked.only_say:
            files = sum(entry.kind != DIRECTORY for entry in _at(manifest.entries, plan.changed))
            return Landed(files, sum(not name.endswith(b"/") for name in unwanted), size)
        send_all(putting, frame(names_to_bytes(unwanted), packed=True))
        send_all(putting, frames(shipment, list(plan.lacking), size, sent))
        while not isinstance(putting.last, Placed):
            putting.next_reply(SILENCE, lambda: False)
        return Landed(putting.last.changed, putting.last.gone, size)
    finally:
        close_channel(putting.channel)


def _at(items: Sequence[T], indices: Sequence[int]) -> list[T]:
    return [items[index] for index in indices]
