"""Ports that a host listens on for us, and hosts that do not answer."""

from __future__ import annotations

import contextlib
import socket
import threading

import paramiko
import pytest

from genvx.ssh.deadline import Deadline
from genvx.ssh.forwarding import Forwarder


class Silent(paramiko.ServerInterface):
    """Lets everybody in, and does not answer whether it listens."""

    def __init__(self):
        self.over = threading.Event()

    def check_auth_none(self, username):
        return paramiko.AUTH_SUCCESSFUL

    def check_port_forward_request(self, address, port):
        self.over.wait(60)
        return False


class Pulse:
    asking = threading.Lock()


@pytest.fixture
def client():
    """A connection to a host that is silent when it is asked to listen."""
    ours, theirs = socket.socketpair()
    server, client = paramiko.Transport(theirs), paramiko.Transport(ours)
    server.add_server_key(paramiko.RSAKey.generate(2048))
    silent = Silent()
    with contextlib.closing(server), contextlib.closing(client):
        server.start_server(threading.Event(), silent)
        client.start_client(timeout=30)
        client.auth_none("raz")
        yield client
        silent.over.set()


def test_a_host_that_does_not_say_whether_it_listens_is_waited_for_until_the_deadline(client):
    forwarder = Forwarder(client, Pulse())
    answer = []

    def ask():
        with Deadline(0.2) as deadline:
            listens = forwarder.listen(5000, print, print, deadline)
            answer.append((listens, deadline.expired, forwarder.active))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(20)
    assert answer == [(False, True, False)]
