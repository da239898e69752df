"""The link of a cluster: who is let in, and who is believed."""

from __future__ import annotations

import contextlib
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
    node.send(nonce="1" * 32)
    node.sock.sendall(b"made-up {}\n")
    with pytest.raises(ConnectionError, match="something else listens"):
        greet(comer, "secret", kind="node")


@pytest.fixture
def between():
    """Node 0 and who comes, and the two ends of who is between them."""
    with contextlib.ExitStack() as stack:
        socks = [each for _ in range(2) for each in socket.socketpair()]
        for each in socks:
            stack.enter_context(each).settimeout(10)
        node, theirs, ours, comer = socks
        yield Link(node), theirs.makefile("rwb", 0), ours.makefile("rwb", 0), Link(comer)


def introduced(node, comer, theirs, ours, change=lambda line: line):
    """Have both introduce themselves through who is between; return what node 0 hears, or why it
    does not, and what the other makes of it.
    """
    found = []

    def greeted():
        try:
            greet(comer, "secret", kind="node", name="one")
            found.append("")
        except OSError as error:
            found.append(str(error))

    threads = [threading.Thread(target=greeted)]
    threads.append(threading.Thread(target=lambda: pass_on(theirs, ours, change)))
    for each in threads:
        each.start()
    try:
        hello = welcome(node, "secret")
    except OSError as error:
        hello = str(error)
        node.close()
    for each in threads:
        each.join()
    return hello, found[0]


def pass_on(theirs, ours, change):
    ours.write(theirs.readline())
    theirs.write(change(ours.readline()))
    ours.write(theirs.readline() or b"?\n")


@pytest.mark.parametrize("word", [b"node", b"one"])
def test_who_is_between_two_cannot_change_how_one_introduces_itself(between, word):
    node, theirs, ours, comer = between
    change = lambda line: line.replace(word, b"more")  # noqa: E731
    hello, found = introduced(node, comer, theirs, ours, change)
    assert (hello, found) == ("it does not know the secret", "something else listens there")


@pytest.mark.parametrize(
    "forge",
    [
        lambda line: line.replace(b"there", b"other"),
        lambda line: line.replace(b"{", b"{ "),
        lambda line: b"0" * 64 + line[64:],
        lambda line: line[65:],
        lambda line: b"\xff\xc3" + line,
        lambda line: b"\n",
        lambda line: line + line,
        lambda line: b"",
    ],
)
def test_who_is_between_two_that_have_met_can_neither_change_nor_repeat_nor_drop_a_line(
    between, forge
):
    node, theirs, ours, comer = between
    hello, found = introduced(node, comer, theirs, ours)
    assert (hello["name"], found) == ("one", "")
    node.send(head="there")
    ours.write(forge(theirs.readline()))
    node.send(head="next")
    ours.write(theirs.readline())
    heard = []
    with pytest.raises(ConnectionError, match="it does not know the secret"):
        while True:
            heard.append(comer.read())
    assert heard in ([], [{"head": "there"}])


def test_a_line_is_not_sent_back_to_who_said_it(between):
    node, theirs, ours, comer = between
    introduced(node, comer, theirs, ours)
    # Both have said one line.
    node.send(over=True)
    theirs.write(theirs.readline())
    with pytest.raises(ConnectionError, match="it does not know the secret"):
        node.read()


def test_a_plan_shows_its_secrets_to_nobody_who_prints_it():
    plan = Plan("dask")
    shown = f"{plan} {plan.argv}"
    assert plan.secret not in shown
    assert "PRIVATE" not in shown


def test_there_are_two_engines():
    with pytest.raises(InvalidInput, match="ray or dask"):
        Plan("spark")
