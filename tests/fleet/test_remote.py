"""What a connection that is lost means to whoever uses it."""

from __future__ import annotations

import pytest

from genvx.core.wire.grantcodec import GRANT
from genvx.errors import HostUnreachable
from genvx.fleet.remote import RemoteCommand


class Lost:
    """A channel whose connection is gone, in every way in which paramiko tells so."""

    def settimeout(self, seconds):
        pass

    def gone(self, *arguments):
        raise EOFError

    recv = recv_stderr = sendall = shutdown_write = close = gone


class Silent:
    name, lost = "gpu-server-1", None


@pytest.fixture
def command():
    return RemoteCommand(Lost(), "token", GRANT, None, Silent(), b"")


def test_a_command_whose_connection_is_lost_while_it_is_read_is_unreachable(command):
    with pytest.raises(HostUnreachable, match="before the command did, which gpu-server-1 ends"):
        command.communicate()


def test_a_command_without_input_whose_connection_is_lost_is_unreachable(command):
    with pytest.raises(HostUnreachable, match="before the command did"):
        command.communicate(stdin=None)


def test_a_wait_whose_connection_is_lost_is_unreachable(command):
    with pytest.raises(HostUnreachable, match="the connection ended while we waited"):
        command.next_reply(60.0, lambda: False)
