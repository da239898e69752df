"""Connections: the only module that imports fabric, made as strict as OpenSSH by public hooks.

Stock Fabric accepts any host key, shares and changes its arguments, leaks a thread after a failed
handshake, and sets no limit on how long anything may take. Here each connection checks known_hosts
itself, gets its own arguments and its own socket, and is opened under one deadline.
"""

from __future__ import annotations

import functools
import logging
import random
import threading
import time
from typing import TYPE_CHECKING, Any

import fabric
import paramiko

from genvx.ssh import sockets
from genvx.ssh.apart import apart
from genvx.ssh.config import commandline
from genvx.ssh.credentials.login import Login
from genvx.ssh.deadline import Within
from genvx.ssh.ending import close_channel
from genvx.ssh.hardening import harden
from genvx.ssh.hostkey.hostkeypolicy import HostKeyPolicy
from genvx.ssh.packetizer import Packetizer
from genvx.ssh.proxy import Proxy
from genvx.ssh.pulse import Pulse
from genvx.ssh.through import Through
from genvx.ssh.translating import translate
from genvx.ssh.transport import Channel, Transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.ssh.config.settings import Settings
    from genvx.ssh.config.target import Target
    from genvx.ssh.deadline import Deadline
    from genvx.ssh.forwarding import Forwarder
    from genvx.ssh.session import Session

# paramiko's transport threads log the error that ends them, and Python prints it to stderr where no
# handler is set. The same error reaches us as an exception, so people would read it twice.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

# sshd hangs up on new connections at random when too many log in at once (MaxStartups 10:30:100).
# Nothing has been tried then, so trying again is safe; after these tries it is an error.
_HANG_UP_TRIES = 3
_HANG_UP_SECONDS = 0.3

# Constructing a fabric Config merges its levels anew, which is not safe among threads: one thread
# constructs at a time.
_constructing = threading.Lock()


@functools.cache
def _config() -> fabric.Config:
    """Return the Config of all connections; none writes into it, and a new one costs 1 ms.

    Only for who has `_constructing`.
    """
    # An empty ssh_config: Fabric would read the user's with a parser that differs from OpenSSH's.
    # `lazy` keeps it from reading fabric.yml and the like.
    return fabric.Config(lazy=True, ssh_config=paramiko.SSHConfig())


class _Connection(fabric.Connection):  # type: ignore[misc]  # fabric has no types
    """A Fabric connection that writes no attributes into its Config, which would merge anew."""

    inline_ssh_env = None

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)


class _HungUp(EOFError):
    """The server closed the connection before its SSH banner."""


class Link:
    """Link is one open, authenticated SSH connection.

    pulse: watches whether the host still answers while something of ours runs there. needed_secret:
    whether the login, here or at a jump host, took a password or a passphrase; OpenSSH's client
    would ask for it again.
    """

    def __init__(
        self,
        name: str,
        connection: _Connection,
        sock: Any,
        settings: Settings,
        *,
        host_lost_after: float,
        needed_secret: bool,
    ) -> None:
        self._connection = connection
        self._sock = sock
        self.settings = settings
        self.needed_secret = needed_secret
        self._lock = threading.Lock()
        self._forwarder: Forwarder | None = None
        packetizer: Any = self.transport.packetizer
        self.pulse = Pulse(
            name,
            self.transport,
            heard=lambda: packetizer.heard,
            end=packetizer.close,
            seconds=host_lost_after,
        )

    @property
    def forwarder(self) -> Forwarder:
        """What forwards TCP connections through this one."""
        # Imported here: few connections forward others.
        from genvx.ssh.forwarding import Forwarder

        # Two tunnels may ask at the same time. Of two forwarders only one would be handed what the
        # host opens.
        with self._lock:
            if self._forwarder is None:
                self._forwarder = Forwarder(self.transport, self.pulse)
            return self._forwarder

    @classmethod
    def open(
        cls, target: Target, session: Session, deadline: Deadline, through: str | None = None
    ) -> Link:
        """Connect, check the host key, and log in, all before the deadline.

        through: the jump hosts on the way, in place of those that ssh_config names.

        Raises:
            HostError: the attempt failed; no thread, socket or process of it is left.
        """
        settings = session.settings(target)
        with session.login_slot((settings.hostname, settings.port), deadline):
            for left in reversed(range(_HANG_UP_TRIES)):
                try:
                    return cls._open(target, settings, session, deadline, through)
                except _HungUp as error:
                    if not left:
                        raise translate(error, settings, deadline) from None
                    # At random: those turned away together would else come back together.
                    time.sleep(min(_HANG_UP_SECONDS * (0.5 + random.random()), deadline.left()))
        raise AssertionError("the last try returns or raises")

    @classmethod
    def _open(
        cls,
        target: Target,
        settings: Settings,
        session: Session,
        deadline: Deadline,
        through: str | None,
    ) -> Link:
        sock: Any = None
        connection: _Connection | None = None
        # As with ssh, ConnectTimeout covers the handshake, too: a server that accepts and says
        # nothing is as silent as one that does not accept. It does not cover the login.
        opening = Within(deadline, settings.connect_timeout or deadline.seconds)
        line = commandline.advised_line(target, settings, session.options.config)
        try:
            with opening:
                login = Login(
                    target, settings, session.keyring, session.vault, deadline, line, opening.over
                )
                sock = _reach(target, settings, session, opening, through)
                connection = _construct(
                    target, settings, session, sock, deadline, login, opening=opening
                )
                connection.open()
        except BaseException as error:
            hung_up = False
            if connection is not None:
                transport = connection.client.get_transport()
                hung_up = transport is not None and transport.packetizer.hung_up
                # Fabric closes only what it believes to be open: after a failed handshake that is
                # nothing, and the transport's thread and socket would stay.
                connection.client.close()
            if sock is not None:
                sock.close()
            ended = opening if opening.expired else deadline
            if hung_up and not ended.expired:
                raise _HungUp("it closed the connection at once") from None
            if isinstance(error, Exception):
                raise translate(error, settings, ended) from None
            raise
        asked = login.needed_secret or (isinstance(sock, Through) and sock.needed_secret)
        return cls(
            target.name,
            connection,
            sock,
            settings,
            host_lost_after=session.options.host_lost_after,
            needed_secret=asked,
        )

    @property
    def transport(self) -> paramiko.Transport:
        """The paramiko transport, on which channels are opened."""
        transport: paramiko.Transport = self._connection.transport
        return transport

    @property
    def active(self) -> bool:
        """Whether the connection is open, as far as is known."""
        return bool(self.transport.is_active())

    def channel(
        self,
        deadline: Deadline,
        ask: Callable[[paramiko.Channel], None],
        window: int | None = None,
    ) -> Channel:
        """Open a channel and make the request `ask` on it; the deadline closes it.

        window: the bytes that the host may send before we have read any; paramiko's default is 2
        MiB, which is all that comes in one round trip.
        """
        channel: Channel = self.transport.open_session(window)  # type: ignore[assignment]
        deadline.closes(channel.close)
        try:
            ask(channel)
        except BaseException:
            close_channel(channel)
            raise
        return channel

    @apart()
    def close(self) -> None:
        """Close the connection, and leave the jump host that it goes through."""
        self.pulse.stop()
        self._connection.client.close()
        self._sock.close()


def _reach(
    target: Target, settings: Settings, session: Session, deadline: Deadline, through: str | None
) -> Any:
    """Open a socket to the host's SSH port: direct, through jump hosts, or through a command."""
    jump = through or settings.proxy_jump
    if jump:
        gateway = session.gateway(jump, target.ssh_config)
        channel = gateway.open_channel((settings.hostname, settings.port), deadline)
        deadline.closes(channel.close)
        return channel
    if settings.proxy_command:
        command = Proxy(settings)
        deadline.closes(command.wake)
        return command
    return sockets.connect(settings, deadline, session.options.host_lost_after)


def _construct(
    target: Target,
    settings: Settings,
    session: Session,
    sock: Any,
    deadline: Deadline,
    login: Login,
    *,
    opening: Deadline | None = None,
) -> _Connection:
    hosts = session.known_hosts(settings.known_hosts)
    known = hosts.kinds(settings.key_name) or hosts.kinds(settings.other_key_name or "")
    opening = opening or deadline
    # The deadline closes the socket. paramiko's own limits come just after it, so that people read
    # of the deadline that they set, not of paramiko's.
    left, soon = deadline.left() + 1.0, opening.left() + 1.0

    def transport(sock: Any, **options: Any) -> paramiko.Transport:
        made = Transport(sock, packetizer_class=Packetizer, **options)
        harden(made, known)
        made.banner_timeout = made.handshake_timeout = soon
        made.auth_timeout = left
        # A socket that was shut down still yields what a flooding peer has sent: stop reading, too.
        opening.closes(made.packetizer.close)
        return made

    with _constructing:
        connection = _Connection(
            settings.hostname,
            user=settings.user,
            port=settings.port,
            config=_config(),
            connect_kwargs={
                "sock": sock,
                "auth_strategy": login,
                "banner_timeout": soon,
                "auth_timeout": left,
                "channel_timeout": left,
                "transport_factory": transport,
            },
        )
    connection.client.set_missing_host_key_policy(HostKeyPolicy(target, session, settings, sock))
    return connection
