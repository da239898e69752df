"""Errors of paramiko's and of the system as errors of genvx."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import paramiko

from genvx.core.limits import exhausted
from genvx.core.text import printable
from genvx.errors import GenvxError, HostUnreachable, ProtocolError
from genvx.ssh.credentials.login import not_accepted

if TYPE_CHECKING:
    from genvx.ssh.config.settings import Settings
    from genvx.ssh.deadline import Deadline


def translate(error: Exception, settings: Settings, deadline: Deadline) -> GenvxError:
    """Translate an error of paramiko's or of the system into one that says what happened where."""
    where = f"{settings.hostname} port {settings.port}"
    # Once the deadline has expired, other errors only follow from the sockets that it closed.
    if isinstance(error, GenvxError) and not deadline.expired:
        return error
    if deadline.expired or isinstance(error, TimeoutError):
        return HostUnreachable(
            f"no answer from {where} within {round(deadline.seconds, 1):g} s", kind="timeout"
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
