"""Whose a port is on which a part of a cluster is about to be asked for."""

from __future__ import annotations

import os
import socket
import sys
import threading

import pytest

from genvx.engines.onhost.engines import Engine
from genvx.engines.onhost.life import Failure
from genvx.engines.onhost.node import Head
from genvx.engines.onhost.place import free_ports, strangers_on
from tests.capabilities import USER_A
from tests.helpers import until


@pytest.mark.needs("uids")
@pytest.mark.parametrize("taken", ["127.0.0.1", "127.0.0.9"], indirect=True)
def test_a_port_that_another_user_has_taken_is_seen(taken):
    assert strangers_on(taken) == {USER_A}


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_our_own_port_is_no_strangers(family):
    with socket.create_server(("", 0), family=family) as listener:
        assert strangers_on(listener.getsockname()[1]) == set()


class Quiet(Engine):
    """An engine that is nothing but its ports."""

    title = "Quiet"

    @classmethod
    def version(cls):
        return "1"

    def variables(self):
        return {}


@pytest.fixture
def head():
    """Node 0 of such an engine, which nobody has to hold."""
    asked = {"id": os.urandom(4).hex(), "attended": False, "workers": True}
    head = Head(asked, Quiet, [])
    head.engine = Quiet(asked, "127.0.0.1", head.scratch)
    yield head
    head.end()


@pytest.mark.needs("uids")
def test_a_cluster_whose_port_another_user_has_taken_ends_before_anybody_is_told(head, taken):
    with pytest.raises(Failure, match=f"another user, uid {USER_A}, has taken port {taken} here"):
        head._wait_for("Quiet", "127.0.0.1", taken)


@pytest.mark.needs("uids")
def test_a_page_on_a_port_that_another_user_has_taken_is_not_shown(head, taken):
    head.engine.head = {"address": "there", "client": 0, "dashboard": taken}
    head._announce({"nodes": 1, "gpus": 0})
    assert head._ready["ready"]["dashboard"] == 0


def test_a_held_cluster_is_ready_once_its_server_for_clients_listens(head):
    (port,) = free_ports(1)
    head.engine.head = {"address": "there", "client": port, "dashboard": 0}
    ready = threading.Thread(target=head._announce, args=({"nodes": 1, "gpus": 0},))
    ready.start()
    head.events.put(("lost", "somebody"))
    until(lambda: head._lost, "it looks for its server, and heeds its members")
    assert not head._ready
    with socket.create_server(("127.0.0.1", port)):
        ready.join(30)
    assert head._ready["ready"]["client"] == port


def test_a_cluster_whose_head_ends_while_it_is_waited_for_is_over(head):
    head.start("head", [sys.executable, "-c", "raise SystemExit('no such thing')"], head.engine)
    with pytest.raises(Failure, match="Quiet's head has ended with exit code 1"):
        head._wait_for("Quiet", "127.0.0.1", free_ports(1)[0])
