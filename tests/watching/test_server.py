"""The page is served to those who ask for it, whatever others do to the server."""

from __future__ import annotations

import contextlib
import gzip
import os
import socket
import stat
import urllib.request
from urllib.error import HTTPError

import pytest

from genvx.errors import InvalidInput, StateError
from genvx.watching import textfile
from genvx.watching.server import MetricsServer, parse_address
from tests.helpers import until

PAGE = b"genvx_host_up 1\n"


@pytest.fixture
def server(nothing_left):
    made = MetricsServer(("127.0.0.1", 0), lambda: PAGE, patience=1.0)
    made.start()
    yield made
    made.stop()


def fetched(server):
    with urllib.request.urlopen(server.url, timeout=20) as answer:
        return answer.read()


def connected(server):
    return socket.create_connection(server.server_address[:2], timeout=20)


def test_only_the_page_is_served(server):
    assert fetched(server) == PAGE
    for path in ("/metrics/../etc/passwd", "/metrics2", "/x"):
        with pytest.raises(HTTPError) as error:
            urllib.request.urlopen(server.url.replace("/metrics", path), timeout=20)
        error.value.close()
        assert error.value.code == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:9400", "127.0.0.1.evil.example"])
def test_a_page_of_another_name_cannot_read_us_through_a_browser(server, host):
    request = urllib.request.Request(server.url, headers={"Host": host})
    with pytest.raises(HTTPError) as error:
        urllib.request.urlopen(request, timeout=20)
    error.value.close()
    assert error.value.code == 403
    for good in ("localhost:1", "[::1]:9400", "[::1]", "10.0.0.1", socket.gethostname()):
        request = urllib.request.Request(server.url, headers={"Host": good})
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.read() == PAGE


@pytest.mark.parametrize(("accepted", "packed"), [("gzip", True), ("br, gzip;q=0", False)])
def test_the_page_is_packed_for_those_who_can_unpack_it(server, accepted, packed):
    request = urllib.request.Request(server.url, headers={"Accept-Encoding": accepted})
    with urllib.request.urlopen(request, timeout=20) as answer:
        content = answer.read()
    assert (gzip.decompress(content) if packed else content) == PAGE


def test_garbage_and_slow_clients_keep_nobody_from_the_page(server):
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connected(server)) for _ in range(80)]
        for client in slow:
            with contextlib.suppress(OSError):  # the oldest ones are dropped meanwhile
                client.sendall(b"GET /met")
        for garbage in (b"\0\xff\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n", b"A" * 100_000):
            with connected(server) as client, contextlib.suppress(OSError):
                client.sendall(garbage)
        assert fetched(server) == PAGE
        # Each is dropped after its time, also one that has sent something in between.
        for client in slow:
            until(lambda each=client: _is_closed(each), "a slow client is dropped")


def _is_closed(client):
    with contextlib.suppress(ConnectionError):
        client.send(b"r")
    try:
        return client.recv(1, socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_a_port_that_is_taken_is_refused(server):
    with pytest.raises(StateError, match="cannot listen at"):
        MetricsServer(server.server_address[:2], lambda: PAGE)


@pytest.mark.parametrize(
    ("text", "meant"),
    [("127.0.0.1:9400", ("127.0.0.1", 9400)), ("[::1]:0", ("::1", 0)), (":80", ("", 80))],
)
def test_an_address_is_read(text, meant):
    assert parse_address(text) == meant


@pytest.mark.parametrize("text", ["9400", "::1:80", "a:65536", "a:-1", "a:٣", "a\nb:1", ""])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(InvalidInput, match="--listen is ADDRESS:PORT"):
        parse_address(text)


def test_a_textfile_is_replaced_as_a_whole_and_others_can_read_it(tmp_path):
    before = os.umask(0o077)
    try:
        for page in (PAGE, PAGE * 2):
            textfile.write(str(tmp_path), page)
    finally:
        os.umask(before)
    (path,) = tmp_path.iterdir()
    assert (path.name, path.read_bytes()) == ("genvx.prom", PAGE * 2)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    with pytest.raises(InvalidInput, match="no directory"):
        textfile.require_directory(str(tmp_path / "none"))
