"""Connections: the only module that imports fabric, made as strict as OpenSSH by public hooks.

Stock Fabric accepts any host key, shares and changes its arguments, leaks a thread after a failed
handshake, and sets no limit on how long anything may take. Here each connection checks known_hosts
itself, gets its own arguments and its own socket, and is opened under one deadline.
"""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import fabric
import paramiko

from genvx.core.limits import exhausted
from genvx.core.text import printable
from genvx.errors import (
    GenvxError,
    HostUnreachable,
    ProtocolError,
)
from genvx.ssh import hostkeys, sockets, sshconfig
from genvx.ssh.channels import close_channel
from genvx.ssh.gateway import Through
from genvx.ssh.hostkeys import Verdict
from genvx.ssh.login import Login, not_accepted
from genvx.ssh.packets import Packetizer
from genvx.ssh.pulse import Pulse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from genvx.ssh.deadline import Deadline
    from genvx.ssh.session import Session
    from genvx.ssh.sshconfig import Settings
    from genvx.ssh.target import Target

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


class _Policy(paramiko.MissingHostKeyPolicy):
    """_Policy judges each host key.

    paramiko is given no known hosts of its own, so it finds no key and asks the policy about all.
    """

    def __init__(self, target: Target, session: Session, settings: Settings, sock: Any) -> None:
        self._target = target
        self._session = session
        self._settings = settings
        self._sock = sock

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        settings = self._settings
        if settings.trusts_localhost and not settings.host_key_alias and sockets.local(self._sock):
            return
        known = self._session.known_hosts(settings.known_hosts)
        name, blob = settings.key_name, key.asbytes()
        verdict = known.judge(name, blob)
        if verdict is Verdict.UNKNOWN and settings.other_key_name:
            # As ssh does: a host on another port may be known by its plain name. A different key
            # under that name proves nothing, as it may belong to the server on port 22.
            other = known.judge(settings.other_key_name, blob)
            verdict = verdict if other is Verdict.CHANGED else other
        if verdict is Verdict.KNOWN:
            return
        options = self._session.options
        accept = options.accept_new_host_keys or settings.accept_new
        if verdict is Verdict.UNKNOWN and accept and settings.remembers:
            hostkeys.remember(settings.remembers, name, key.get_name(), blob)
            # Other threads may hold the rows as they were before: the file is read again.
            self._session.forget_known_hosts()
            return
        authority = known.has_authority(name)
        raise hostkeys.refusal(
            verdict,
            name,
            key.get_name(),
            blob,
            advice=self._advice(key.get_name(), authority=authority),
            known_in=known.where(name),
        )

    def _advice(self, kind: str, *, authority: bool) -> str:
        if not self._settings.remembers or self._settings.remembers == os.devnull:
            return "; nothing is remembered: UserKnownHostsFile in ssh_config names no file"
        line = sshconfig.advised_line(
            self._target,
            self._settings,
            self._session.options.config,
            plain_key=kind,
            authority=authority,
        )
        if authority:
            return (
                ", only a certificate authority is, which genvx cannot check; compare it, and "
                f"remember it with: {line}"
            )
        return f"; compare it, then answer yes to: {line} (or use --accept-new-host-keys)"


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
        packetizer: Any = self.transport.packetizer
        self.pulse = Pulse(
            name,
            self.transport,
            heard=lambda: packetizer.heard,
            end=packetizer.close,
            seconds=host_lost_after,
        )

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
        line = sshconfig.advised_line(target, settings, session.options.config)
        login = Login(target, settings, session.keyring, session.vault, deadline, line)
        try:
            sock = _reach(target, settings, session, deadline, through)
            connection = _construct(target, settings, session, sock, deadline, login)
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
            if hung_up and not deadline.expired:
                raise _HungUp("it closed the connection at once") from None
            if isinstance(error, Exception):
                raise translate(error, settings, deadline) from None
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
        self, deadline: Deadline, ask: Callable[[paramiko.Channel], None]
    ) -> paramiko.Channel:
        """Open a channel and make the request `ask` on it; the deadline closes it."""
        channel: paramiko.Channel = self._connection.create_session()
        deadline.closes(channel.close)
        try:
            ask(channel)
        except BaseException:
            close_channel(channel)
            raise
        return channel

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
        proxy = sockets.Proxy(settings)
        deadline.closes(proxy.wake)
        return proxy
    return sockets.connect(settings, deadline, session.options.host_lost_after)


def _construct(
    target: Target,
    settings: Settings,
    session: Session,
    sock: Any,
    deadline: Deadline,
    login: Login,
) -> _Connection:
    hosts = session.known_hosts(settings.known_hosts)
    known = hosts.kinds(settings.key_name) or hosts.kinds(settings.other_key_name or "")
    # The deadline closes the socket. paramiko's own limits come just after it, so that people read
    # of the deadline that they set, not of paramiko's.
    left = deadline.left() + 1.0

    def transport(sock: Any, **options: Any) -> paramiko.Transport:
        made = paramiko.Transport(sock, packetizer_class=Packetizer, **options)
        _harden(made, known)
        made.banner_timeout = made.auth_timeout = made.handshake_timeout = left
        # A socket that was shut down still yields what a flooding peer has sent: stop reading, too.
        deadline.closes(made.packetizer.close)
        return made

    with _constructing:
        connection = _Connection(
            settings.hostname,
            user=settings.user,
            port=settings.port,
            # An empty ssh_config: Fabric would read the user's with a parser that differs from
            # OpenSSH's. `lazy` keeps it from reading fabric.yml and the like.
            config=fabric.Config(lazy=True, ssh_config=paramiko.SSHConfig()),
            connect_kwargs={
                "sock": sock,
                "auth_strategy": login,
                "banner_timeout": left,
                "auth_timeout": left,
                "channel_timeout": left,
                "transport_factory": transport,
            },
        )
    connection.client.set_missing_host_key_policy(_Policy(target, session, settings, sock))
    return connection


def _harden(transport: paramiko.Transport, known: Sequence[str]) -> None:
    """Prefer kinds of host key that are known, and offer no broken algorithms."""
    options = transport.get_security_options()
    # A server with several keys shows the kind that the client prefers, so kinds in known_hosts
    # come first. An RSA key has three signature algorithms; that with SHA-1 (ssh-rsa) is left out.
    wanted = [
        name
        for kind in known
        for name in (("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,))
        if name in options.key_types
    ]
    options.key_types = [
        *wanted,
        *(name for name in options.key_types if name not in wanted and name != "ssh-rsa"),
    ]
    options.ciphers = [n for n in options.ciphers if "cbc" not in n and "3des" not in n]
    options.digests = [n for n in options.digests if "md5" not in n and "sha1" not in n]
    options.kex = [n for n in options.kex if not n.endswith("sha1")]


def translate(error: Exception, settings: Settings, deadline: Deadline) -> GenvxError:
    """Translate an error of paramiko's or of the system into one that says what happened where."""
    where = f"{settings.hostname} port {settings.port}"
    # Once the deadline has expired, other errors only follow from the sockets that it closed.
    if isinstance(error, GenvxError) and not deadline.expired:
        return error
    if deadline.expired or isinstance(error, TimeoutError):
        return HostUnreachable(
            f"no answer from {where} within {deadline.seconds:g} s", kind="timeout"
        )
    if (short := exhausted(error)) is not None:
        return GenvxError(short)
    if isinstance(error, socket.gaierror):
        return HostUnreachable(f"cannot resolve {settings.hostname}: {error.strerror}", kind="dns")
    if isinstance(error, ConnectionRefusedError):
        return HostUnreachable(f"{where} refuses the connection; is sshd running?", kind="refused")
    if isinstance(error, paramiko.AuthenticationException | paramiko.PasswordRequiredException):
        return not_accepted(settings)
    if isinstance(error, paramiko.ChannelException):
        return HostUnreachable(
            f"{where} refuses a session, although we have just logged in; see MaxSessions in its "
            "sshd_config",
            kind="refused",
        )
    if isinstance(error, paramiko.SSHException | EOFError | UnicodeError | ValueError):
        reason = printable(str(error) or "it closed the connection", 200)
        return ProtocolError(f"{where} does not speak SSH as it should: {reason}")
    if isinstance(error, OSError):
        return HostUnreachable(f"cannot reach {where}: {error.strerror or error}", kind="network")
    return GenvxError(f"a fault of genvx: {type(error).__name__}: {printable(str(error), 200)}")
