"""The link of a cluster: who is let in, and who is believed."""

from __future__ import annotations

import socket
import threading

import pytest

from genvx.engines.onhost.link import Link, greet, welcome
from genvx.engines.plan import Plan
from genvx.errors import InvalidInput


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for each in (ours, theirs):
            each.settimeout(10)
        yield Link(ours), Link(theirs)


def met(ends, first, second):
    """What node 0 and who comes make of each other: a greeting or an error."""
    node, comer = ends
    found = []

    def greeted():
        try:
            greet(comer, second, kind="client")
            found.append("believes")
        except OSError as error:
            found.append(str(error))
            comer.close()

    thread = threading.Thread(target=greeted)
    thread.start()
    try:
        hello = welcome(node, first)
    except OSError as error:
        hello = str(error)
        node.close()
    thread.join()
    return hello, found[0]


def test_two_that_know_the_secret_meet_and_it_is_not_sent(ends):
    hello, found = met(ends, "secret", "secret")
    assert hello["kind"] == "client"
    assert "secret" not in str(hello)
    assert found == "believes"


def test_a_stranger_is_not_let_in(ends):
    hello, found = met(ends, "secret", "another")
    assert hello == "it does not know the secret"
    assert found == "the other end is gone"


def test_another_server_on_the_port_of_node_0_is_not_believed(ends):
    node, comer = ends
    node.send(nonce="1")
    node.send(proof="made up")
    with pytest.raises(ConnectionError, match="something else listens"):
        greet(comer, "secret", kind="node")


def test_a_plan_shows_its_secrets_to_nobody_who_prints_it():
    plan = Plan("dask")
    shown = f"{plan} {plan.argv}"
    assert plan.secret not in shown
    assert "PRIVATE" not in shown


def test_there_are_two_engines():
    with pytest.raises(InvalidInput, match="ray or dask"):
        Plan("spark")
