"""Sending a tree to a host: what the host has is not sent, and what was cut off goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.core.projects.stream import frame
from genvx.core.text import printable
from genvx.core.wire.plain import Malformed
from genvx.core.wire.treeoperations import Coming, Lacking, Received, SendTree, indices_of
from genvx.errors import HostUnreachable, ProtocolError
from genvx.ssh.ending import close_channel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from genvx.fleet.caller import Caller
    from genvx.fleet.remote import RemoteCommand
    from genvx.fleet.shipping.shipment import Sent, Shipment

# The host reports while it copies, at least this often; a disk may be slow.
SILENCE = 90.0
# paramiko copies what is left of a buffer for each packet of 32 KiB.
_CHUNK = 128 * 1024


def send_tree(caller: Caller, shipment: Shipment, sent: Sent = lambda done, total: None) -> None:
    """Send a tree to a host, unless it is there.

    sent: called with how many bytes of content were sent, and how many are to be sent.

    Raises:
        HostError: the connection has ended; the host keeps what has come, and takes it from there
        the next time. StateError: the host cannot write it. ProjectChanged, InvalidInput: as
        `Shipment.contents`.
    """
    sending = caller.call(SendTree(shipment.recorded.tree))
    try:
        if isinstance(sending.last, Received):
            return
        manifest = shipment.manifest
        send_all(sending, frame(manifest.to_bytes(), packed=True))
        bodies = manifest.bodies()
        while isinstance(sending.last, Coming):
            sending.next_reply(SILENCE, lambda: False)
        if isinstance(sending.last, Lacking):
            try:
                wanted = indices_of(sending.last, len(bodies))
            except Malformed as error:
                raise ProtocolError(printable(str(error), 200)) from None
            total = sum(bodies[index].size for index in wanted)
            send_all(sending, frames(shipment, wanted, total, sent))
            while not isinstance(sending.last, Received):
                sending.next_reply(SILENCE, lambda: False)
    finally:
        close_channel(sending.channel)


def frames(shipment: Shipment, wanted: list[int], total: int, sent: Sent) -> Iterable[bytes]:
    """The bodies of a shipment that are wanted, as frames; `sent` is called with the progress."""
    done = 0
    sent(done, total)
    for content, packed in shipment.contents(wanted):
        yield from frame(content, packed=packed)
        done += len(content)
        sent(done, total)


def send_all(sending: RemoteCommand[Any], parts: Iterable[bytes]) -> None:
    """Send what the host reads; where it reads no more, raise the error that it replied."""
    # No timeout: a host may be slow. The pulse of the connection ends this if it is lost.
    sending.channel.settimeout(None)
    try:
        waiting = bytearray()
        for part in parts:
            # Small parts go together; of a large one nothing is copied but what is sent next.
            if len(waiting) + len(part) < _CHUNK:
                waiting += part
                continue
            if waiting:
                sending.channel.sendall(bytes(waiting))
                waiting.clear()
            for at in range(0, len(part), _CHUNK):
                sending.channel.sendall(part[at : at + _CHUNK])
        if waiting:
            sending.channel.sendall(bytes(waiting))
    except (EOFError, OSError):
        while sending.next_reply(SILENCE, lambda: False):
            pass
        raise HostUnreachable("the connection ended while files were sent") from None
