"""Connections: the only door to fabric, made as strict as OpenSSH through its public hooks.

Stock Fabric accepts any host key, shares and changes its arguments, leaks a thread for a failed
handshake, and has no limit on how long anything may take. Here every connection checks known_hosts
itself, gets its own arguments and its own socket, and lives under one deadline.
"""

from __future__ import annotations

import logging
import re
import socket
import subprocess
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import fabric
import paramiko

from genvx.core.text import printable
from genvx.errors import (
    AuthenticationFailed,
    GenvxError,
    HostError,
    HostUnreachable,
    ProtocolError,
)
from genvx.fleet import hostkeys, sshconfig
from genvx.fleet.fleet import TIMEOUT
from genvx.fleet.hostfile import parse_names
from genvx.fleet.hostkeys import KnownHosts, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from genvx.fleet.deadline import Deadline
    from genvx.fleet.hostfile import HostSpec
    from genvx.fleet.sshconfig import Settings

# paramiko's transport threads log what they die of; without a handler Python prints that to stderr.
# The same error reaches us as an exception.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

CONNECT_TIMEOUT = 5.0
_DEAD_PEER_MS = 20_000

# fabric's Config merges itself anew on attribute writes, which races between threads that share
# one.
_constructing = threading.Lock()


@dataclass(frozen=True)
class SSHOptions:
    """What holds for all hosts of a fleet. config: instead of the usual ssh_config."""

    timeout: float = TIMEOUT
    config: str | None = None
    accept_new_host_keys: bool = False


class Session:
    """What the hosts of one fleet share: known hosts, read once, and one connection to each
    jump host.
    """

    def __init__(self, options: SSHOptions) -> None:
        self.options = options
        self._lock = threading.Lock()
        self._known: dict[tuple[str, ...], KnownHosts] = {}
        self._gateways: dict[str, _Gateway] = {}

    def known_hosts(self, files: tuple[str, ...]) -> KnownHosts:
        with self._lock:
            if files not in self._known:
                self._known[files] = KnownHosts(files)
            return self._known[files]

    def forget_known_hosts(self) -> None:
        with self._lock:
            self._known.clear()

    def gateway(self, chain: str) -> _Gateway:
        """The shared connection through the jump hosts "a,user@b:2222"; the last is where
        it ends.
        """
        with self._lock:
            if chain not in self._gateways:
                self._gateways[chain] = _Gateway(self, chain)
            return self._gateways[chain]


class _Gateway:
    """One connection to a jump host, opened by whoever comes first and closed with its last
    user.
    """

    def __init__(self, session: Session, chain: str) -> None:
        self._session = session
        before, _, last = chain.rpartition(",")
        self._before = before or None
        self._hop = last.strip()
        self._lock = threading.Lock()
        self._link: Link | None = None
        self._users = 0

    def open_channel(self, address: tuple[str, int], deadline: Deadline) -> _Through:
        with self._lock:
            if self._link is None or not self._link.active:
                spec = _hop_spec(self._hop)
                try:
                    self._link = Link.open(spec, self._session, deadline, through=self._before)
                except HostError as error:
                    raise type(error)(f"jump host {spec.name}: {error}", kind=error.kind) from None
            self._users += 1
            link = self._link
        try:
            channel = link.transport.open_channel(
                "direct-tcpip", address, ("127.0.0.1", 0), timeout=deadline.left()
            )
        except BaseException:
            self._leave()
            raise
        return _Through(channel, self._leave)

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._link is not None:
                self._link.close()
                self._link = None


class _Through:
    """A channel of a jump host as a socket; closing it leaves the gateway."""

    def __init__(self, channel: paramiko.Channel, leave: Callable[[], None]) -> None:
        self._channel = channel
        self._leave: Callable[[], None] | None = leave

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def close(self) -> None:
        try:
            self._channel.close()
        except (EOFError, OSError, paramiko.SSHException):
            pass  # the gateway is gone already
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()


def _hop_spec(hop: str) -> HostSpec:
    # ssh -G writes every hop's address in brackets; in a hostfile only IPv6 has them.
    return parse_names(re.sub(r"\[([^:\]]+)\]", r"\1", hop.removeprefix("ssh://")))[0]


class _Policy(paramiko.MissingHostKeyPolicy):
    """Decides on every host key: paramiko is given no known hosts of its own, so all keys
    are missing to it.
    """

    def __init__(self, session: Session, settings: Settings) -> None:
        self._session = session
        self._settings = settings

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        settings = self._settings
        known = self._session.known_hosts(settings.known_hosts)
        name, blob = settings.key_name, key.asbytes()
        verdict = known.judge(name, blob)
        if verdict is Verdict.KNOWN:
            return
        accept = self._session.options.accept_new_host_keys or settings.accept_new
        if verdict is Verdict.UNKNOWN and accept and settings.known_hosts:
            hostkeys.remember(settings.known_hosts[0], name, key.get_name(), blob)
            self._session.forget_known_hosts()
            return
        raise hostkeys.refusal(
            verdict, name, key.get_name(), blob, authority=known.has_authority(name)
        )


class _Connection(fabric.Connection):  # type: ignore[misc]  # fabric has no types
    """A Fabric connection that writes no attribute into the Config that it shares."""

    inline_ssh_env = None

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)


class Link:
    """One open, authenticated SSH connection."""

    def __init__(self, connection: _Connection, sock: Any, settings: Settings) -> None:
        self._connection = connection
        self._sock = sock
        self.settings = settings

    @classmethod
    def open(
        cls, spec: HostSpec, session: Session, deadline: Deadline, *, through: str | None = None
    ) -> Link:
        """Connect, check the host key, and log in, all before the deadline.

        through: jump hosts that a chain goes through before; in place of ssh_config's own.

        Raises:
            HostError: and nothing is left behind: no thread, no socket, no process.
        """
        settings = sshconfig.effective(spec, session.options.config)
        sock: Any = None
        connection: _Connection | None = None
        try:
            sock = _reach(settings, session, deadline, through)
            connection = _construct(settings, session, sock, deadline)
            connection.open()
        except BaseException as error:
            if connection is not None:
                # Fabric closes only what it believes to be open: after a failed handshake the
                # transport's thread and socket would stay.
                connection.client.close()
            if sock is not None:
                sock.close()
            if isinstance(error, Exception):
                raise translate(error, settings, deadline) from None
            raise
        return cls(connection, sock, settings)

    @property
    def transport(self) -> paramiko.Transport:
        transport: paramiko.Transport = self._connection.transport
        return transport

    @property
    def active(self) -> bool:
        return bool(self.transport.is_active())

    def channel(self) -> paramiko.Channel:
        channel: paramiko.Channel = self._connection.create_session()
        return channel

    def close(self) -> None:
        self._connection.client.close()
        self._sock.close()


def _reach(settings: Settings, session: Session, deadline: Deadline, through: str | None) -> Any:
    """A socket to the host's SSH port: direct, through jump hosts, or through a command."""
    address = (settings.hostname, settings.port)
    jump = through or settings.proxy_jump
    if jump:
        channel = session.gateway(jump).open_channel(address, deadline)
        deadline.closes(channel.close)
        return channel
    if settings.proxy_command:
        proxy = _Proxy(_expand(settings.proxy_command, settings))
        deadline.closes(proxy.wake)
        return proxy
    return _connect(settings, deadline)


class _Proxy:
    """A ProxyCommand as a socket: what it reads and writes is one end of a pair, the other is ours.

    paramiko's own leaves its process and pipes behind, and cannot be woken from another thread.
    """

    def __init__(self, command: str) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                ["sh", "-c", f"exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
            )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def wake(self) -> None:
        """End whatever waits on the socket."""
        _shut(self._socket)

    def close(self) -> None:
        self._socket.close()
        self._process.kill()
        self._process.wait()


def _expand(command: str, settings: Settings) -> str:
    values = {"h": settings.hostname, "p": str(settings.port), "r": settings.user, "%": "%"}
    result, rest = "", command
    while True:
        before, percent, rest = rest.partition("%")
        result += before
        if not percent:
            return result
        result += values.get(rest[:1], f"%{rest[:1]}")
        rest = rest[1:]


def _connect(settings: Settings, deadline: Deadline) -> socket.socket:
    family = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}.get(settings.family, 0)
    found = socket.getaddrinfo(settings.hostname, settings.port, family, socket.SOCK_STREAM)
    refused: OSError | None = None
    for kind, _, protocol, _, address in found:
        sock = socket.socket(kind, socket.SOCK_STREAM, protocol)
        try:
            deadline.closes(lambda sock=sock: _shut(sock))  # type: ignore[misc]
            limit = settings.connect_timeout or CONNECT_TIMEOUT
            sock.settimeout(min(limit, deadline.left()))
            # Without it small packets wait for each other's acknowledgements: 150 ms a login.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_PEER_MS)
            sock.connect(address)
            return sock
        except OSError as error:
            sock.close()
            refused = error
        except BaseException:
            sock.close()
            raise
    assert refused is not None, "getaddrinfo gives an address or raises"
    raise refused


def _shut(sock: socket.socket) -> None:
    """Wake whoever waits on a socket; closing alone would not."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # not connected yet, or closed already


def _construct(settings: Settings, session: Session, sock: Any, deadline: Deadline) -> _Connection:
    known = session.known_hosts(settings.known_hosts).kinds(settings.key_name)
    # The deadline closes the socket by itself; paramiko's own limits come just after it, so that
    # what is reported is the deadline.
    left = deadline.left() + 1.0

    def transport(sock: Any, **options: Any) -> paramiko.Transport:
        made = paramiko.Transport(sock, **options)
        _harden(made, known)
        made.banner_timeout = made.auth_timeout = made.handshake_timeout = left
        # A socket that was shut down still gives what a flooding peer sends: reading must stop,
        # too.
        deadline.closes(made.packetizer.close)
        return made

    with _constructing:
        connection = _Connection(
            settings.hostname,
            user=settings.user,
            port=settings.port,
            config=fabric.Config(lazy=True, ssh_config=paramiko.SSHConfig()),
            connect_kwargs={
                "sock": sock,
                "key_filename": list(settings.identities),
                "look_for_keys": False,
                "allow_agent": settings.use_agent,
                "banner_timeout": left,
                "auth_timeout": left,
                "channel_timeout": left,
                "transport_factory": transport,
            },
        )
    connection.client.set_missing_host_key_policy(_Policy(session, settings))
    return connection


def _harden(transport: paramiko.Transport, known: Sequence[str]) -> None:
    """Ask for a kind of host key that is known, and offer nothing that is broken."""
    options = transport.get_security_options()
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
    """What a foreign error of a connection means to the person who reads it."""
    where = f"{settings.hostname} port {settings.port}"
    if isinstance(error, GenvxError) and not deadline.expired:
        return error
    if deadline.expired or isinstance(error, TimeoutError):
        return HostUnreachable(
            f"no answer from {where} within {deadline.seconds:g} s", kind="timeout"
        )
    if isinstance(error, socket.gaierror):
        return HostUnreachable(f"cannot resolve {settings.hostname}: {error.strerror}", kind="dns")
    if isinstance(error, ConnectionRefusedError):
        return HostUnreachable(f"{where} refuses the connection; is sshd running?", kind="refused")
    if isinstance(error, paramiko.AuthenticationException | paramiko.PasswordRequiredException):
        return AuthenticationFailed(
            f"{where} does not accept {settings.user} with the keys at hand; try "
            f"ssh -l {settings.user} {settings.hostname}"
        )
    if isinstance(error, paramiko.ChannelException):
        return HostUnreachable(f"the jump host cannot reach {where}", kind="refused")
    if isinstance(error, paramiko.SSHException | EOFError | UnicodeError | ValueError):
        reason = printable(str(error) or "it closed the connection", 200)
        return ProtocolError(f"{where} does not speak SSH as it should: {reason}")
    if isinstance(error, OSError):
        return HostUnreachable(f"cannot reach {where}: {error.strerror or error}", kind="network")
    return GenvxError(f"a fault of genvx: {type(error).__name__}: {printable(str(error), 200)}")
