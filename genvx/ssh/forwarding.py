"""TCP connections through an SSH connection, all of them served by one thread.

paramiko's own way takes a thread for each connection, and has faults there that lose data or end
the whole SSH connection:

- `Channel.fileno` gives a pipe that `Channel.close` closes while the thread of the transport may be
  writing to it. The byte then lands in whatever got the number of that descriptor since (paramiko
  issue 2271). A Stream rings a bell of ours instead, in the buffer where data arrives.
- Nothing says when a channel may be written to again. A Stream rings for that, too.
- When a peer closes a channel, the transport's thread answers at once. Data or the EOF that we send
  at that moment may come after the answer, for a channel that is no more, and OpenSSH ends the
  connection for it (issue 1115). Here, the thread that sends also answers.
- `Transport.open_channel` blocks, keeps one error for all channels that are being opened, and fails
  for a channel that its peer has closed at once.
- `Transport.request_port_forward` has one handler for all ports (issue 1710), and sets it after the
  first connection may have come.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import paramiko

from genvx.ssh.apart import apart
from genvx.ssh.ending import close_channel

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.ssh.deadline import Deadline
    from genvx.ssh.pulse import Pulse

# Why a peer opens no channel (RFC 4254, 5.1): it may not, or nobody listens there.
PROHIBITED, NOT_CONNECTED = 1, 2

_LOOPBACK = "127.0.0.1"
# Bytes that are taken from a channel at once. Its buffer is moved up each time, so not too few.
_PIECE = 262_144
_PACKET = 32_768
_FAILURES = (paramiko.SSHException, EOFError, OSError)


class Stream:
    """Stream is one TCP connection of the host. Only one thread may use it, and nothing blocks but
    for an SSH connection that is stuck as a whole.

    ring: called with the stream, in any thread, when it may have changed: it was opened or refused,
    data has come or may be sent, or it was closed. refusal: why it was not opened, as a code of
    SSH; 0 if the connection ended.
    """

    def __init__(self, channel: Any, ring: Callable[[Stream], object]) -> None:
        self.refusal: int | None = None
        self._channel = channel
        self._ring = ring
        self._closing = False
        self._unanswered = False
        # Before the first message for the channel is read: here, or in the transport's thread.
        self._channel._close_internal = self._closed_by_peer
        self._channel.in_buffer.set_event(_Bell(self.ring))
        self._channel.out_buffer_cv = _Ringing(channel.lock, self.ring)
        channel.settimeout(0.0)

    def ring(self) -> None:
        """Have the thread that serves this stream look at it."""
        self._ring(self)

    @property
    def opened(self) -> bool:
        """Whether the peer has opened it, also if it has closed it since."""
        return bool(self._channel.active)

    @property
    def closed(self) -> bool:
        """Whether the peer has closed it, or the connection has ended; data may be left to read."""
        return bool(self._channel.closed)

    @property
    def cut(self) -> bool:
        """Whether it is closed without the end of its data: some may be missing."""
        return bool(self._channel.closed) and not self._channel.eof_received

    @property
    def flooded(self) -> bool:
        """Whether the peer has sent more than we have allowed it to."""
        # What paramiko reads it keeps, however much that is.
        return bool(len(self._channel.in_buffer) > 2 * self._channel.in_window_size)

    def receive(self) -> bytes | None:
        """Return what has come; nothing at the end; None where nothing has come yet."""
        try:
            data: bytes = self._channel.recv(_PIECE)
        except TimeoutError:
            return None
        except _FAILURES:
            return b""  # the message that there is room for more did not get out
        return data

    def send(self, data: memoryview) -> int:
        """Send the beginning of `data`; return how much. 0: it takes none now, or is closed."""
        if not self._channel.send_ready() or self._channel.closed:
            return 0
        try:
            sent: int = self._channel.send(bytes(data[:_PACKET]))
        except _FAILURES:  # among them TimeoutError
            return 0  # it is closed, and has rung
        return sent

    def finish(self) -> None:
        """Say that no more data comes from us."""
        if self._channel.closed:
            return  # and answered, maybe
        try:
            self._channel.shutdown_write()
        except _FAILURES:
            pass  # the connection has ended, and so has the stream

    def answer(self) -> None:
        """Answer the peer that has closed it."""
        if not self._unanswered:
            return
        self._unanswered = False
        message = paramiko.Message()
        message.add_byte(paramiko.common.cMSG_CHANNEL_CLOSE)
        message.add_int(self._channel.remote_chanid)
        try:
            self._channel.transport._send_user_message(message)
        except _FAILURES:
            pass  # the connection has ended

    def close(self) -> None:
        """Close it. Idempotent."""
        # From here on it does not matter which thread sends the last message.
        self._closing = True
        try:
            close_channel(self._channel)
        except paramiko.SSHException:
            pass  # the connection is stuck in an exchange of keys
        self.answer()
        # In a circle of references the channel would be collected, and closed once more, in any
        # thread, also in one that holds a lock of paramiko (issue 247).
        self._channel.__dict__.pop("_close_internal", None)
        self._channel.in_buffer.set_event(threading.Event())
        self._channel.out_buffer_cv = threading.Condition(self._channel.lock)

    def set(self) -> None:
        """Note whether it was opened; paramiko calls this in the transport's thread."""
        if not self._channel.active:
            # Read while the transport is locked, so the error is that of this channel.
            transport = self._channel.transport
            error, transport.saved_exception = transport.saved_exception, None
            known = isinstance(error, paramiko.ChannelException)
            self.refusal = error.code if known else 0
        self.ring()

    def _closed_by_peer(self) -> tuple[Any, Any]:
        """Take the place of Channel._close_internal, which is called with the channel locked."""
        if self._closing:
            messages: tuple[Any, Any] = paramiko.Channel._close_internal(self._channel)  # type: ignore[attr-defined]
            return messages
        if self._channel.active and not self._channel.closed:
            self._unanswered = True
            self._channel._set_closed()
        return None, None


class Use:
    """Use is of a connection; it ends when `closed` is set."""

    closed = False


class Forwarder:
    """Forwarder opens streams on one SSH connection, and takes those that the host opens."""

    def __init__(self, transport: paramiko.Transport, pulse: Pulse) -> None:
        self._transport: Any = transport
        self._pulse = pulse
        self._takers: dict[int, tuple[Callable[[Stream], object], Callable[[Stream], object]]] = {}

    @property
    def active(self) -> bool:
        """Whether the connection is open, as far as is known."""
        return bool(self._transport.is_active())

    def use(self) -> Use:
        """Keep the connection open, and watch whether the host answers, until the use is closed."""
        use = Use()
        self._pulse.watch(use)
        return use

    @apart(undo=lambda stream, *asked: stream.close())
    def open(self, address: str, port: int, ring: Callable[[Stream], object]) -> Stream:
        """Begin to open a stream to a port of the host; it rings when it is open or refused."""
        transport = self._transport
        with transport.lock:
            number = transport._next_channel()
            channel = paramiko.Channel(number)
            stream = Stream(channel, ring)
            internal: Any = channel
            internal._set_transport(transport)
            window, packet = transport.default_window_size, transport.default_max_packet_size
            internal._set_window(window, packet)
            if not transport.active:
                stream.refusal = 0
                return stream
            transport._channels.put(number, channel)
            transport.channel_events[number] = stream
            transport.channels_seen[number] = True
        message = paramiko.Message()
        message.add_byte(paramiko.common.cMSG_CHANNEL_OPEN)
        message.add_string("direct-tcpip")
        for size in (number, window, packet):
            message.add_int(size)
        for host, its_port in ((address, port), (_LOOPBACK, 0)):
            message.add_string(host)
            message.add_int(its_port)
        try:
            transport._send_user_message(message)
        except _FAILURES:
            # Stuck in an exchange of keys, or cut; in both cases it is of no use any more.
            transport.packetizer.close()
        return stream

    @apart()
    def listen(
        self,
        port: int,
        take: Callable[[Stream], object],
        ring: Callable[[Stream], object],
        deadline: Deadline,
    ) -> bool:
        """Have the host listen on a port of its loopback; return False if it does not. A host that
        does not answer before the deadline loses the connection.

        take: called in the transport's thread with each stream that the host opens; it must not
        block.
        """
        taker = (take, ring)
        if self._takers.setdefault(port, taker) is not taker:
            return False
        # paramiko waits without end, and would take a late answer for that to the next request.
        deadline.closes(self._transport.packetizer.close)
        self._transport._tcp_handler = self._incoming
        listens = False
        # paramiko gives an answer to the one that was asked last.
        if self._pulse.asking.acquire(timeout=deadline.left()):
            try:
                asked = ("tcpip-forward", (_LOOPBACK, port))
                listens = self._transport.global_request(*asked, wait=True) is not None
            except _FAILURES:
                pass  # the connection has ended
            finally:
                self._pulse.asking.release()
        else:
            deadline()
        if not listens:
            self._takers.pop(port, None)
        return listens

    @apart()
    def unlisten(self, port: int) -> None:
        """Have the host no longer listen, and do not wait until it does not. Idempotent."""
        if self._takers.pop(port, None) is None:
            return
        try:
            # Not Transport.cancel_port_forward, which forgets the handler of all other ports.
            self._transport.global_request("cancel-tcpip-forward", (_LOOPBACK, port), wait=False)
        except _FAILURES:
            pass  # the connection has ended

    def _incoming(self, channel: paramiko.Channel, origin: Any, server: tuple[str, int]) -> None:
        taker = self._takers.get(server[1])
        if taker is None:
            close_channel(channel)
            return
        take, ring = taker
        take(Stream(channel, ring))


class _Bell:
    """What a buffer of paramiko takes for a threading.Event."""

    def __init__(self, ring: Callable[[], object]) -> None:
        self.set = ring

    def clear(self) -> None:
        """Do nothing: a reader that was woken reads until nothing is left."""


class _Ringing(threading.Condition):
    """A condition that rings when a window grows."""

    def __init__(self, lock: Any, ring: Callable[[], object]) -> None:
        super().__init__(lock)
        self._rings = ring

    def notify_all(self) -> None:
        """Wake those that wait, and ring."""
        super().notify_all()
        self._rings()
