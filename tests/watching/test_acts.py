"""What the page may change, and who may have it do that."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import urllib.request
from urllib.error import HTTPError

import pytest

from genvx.core.leases.claim import Owner
from genvx.core.leases.lease import Lease
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.core.runs.run import Moment, RunSpec
from genvx.errors import HostUnreachable
from genvx.testing import FakeHost, Played
from genvx.watching.web import asking, connections, server
from genvx.watching.web.gate import Gate
from tests.helpers import PATIENCE, until
from tests.watching.paged import paged

TOKEN = "what-only-its-user-knows"
JSON = "application/json"


def theirs():
    """A lease of somebody else."""
    return Lease(
        ("SIM-a-1",),
        None,
        id="ee00",
        owner=Owner(1007, "eve"),
        environment_id="eeee",
        name="hers",
        boot_id="fake",
        since_ns=0,
    )


def submit(host, run="abcdef01", name="net"):
    host.submit(RunSpec(run, ("train",), Requirements(1), "", "", Moment(0, 0), name=name))


def post(served, path, body, **headers):
    """Status and text of an answer. headers: beside those of the page, or in place of them."""
    given = {"Content-Type": JSON, "Genvx-Actions": TOKEN}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(
        served.url + path, data, {name: value for name, value in given.items() if value is not None}
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture
def host():
    return FakeHost("a", 4, leases=[theirs()], script=lambda spec: Played(b"", None))


def test_what_is_ours_is_released_and_stopped_and_each_is_answered_with_a_line(host, nothing_left):
    env = host.reserve(Ask(Requirements(gpus=1), name="train")).environment_id
    submit(host)
    with paged([host], act_token=TOKEN) as served:
        asked = {"host": "a", "environment": env}
        said = post(served, "api/release", asked)
        assert said == (200, f"Released train ({env}) on a: 1 GPU\n")
        why = f"no active environment {env} on a\n"
        assert post(served, "api/release", asked) == (404, why)
        asked = {"host": "a", "run": "abcdef01"}
        assert post(served, "api/stop", asked) == (200, "Stopping run abcdef01 (net) on a\n")
        said = (200, "Run abcdef01 (net) has ended already (stopped)\n")
        assert post(served, "api/stop", asked) == said
        host.error = HostUnreachable("no route\nto host", kind="unreachable")
        assert post(served, "api/stop", asked) == (502, "no route\\nto host\n")


def test_what_belongs_to_others_stays_also_if_the_host_would_let_us(host, nothing_left):
    # As on a host where we are root.
    host.let_go = lambda environment: pytest.fail("it was released")
    with paged([host], act_token=TOKEN) as served:
        asked = {"host": "a", "environment": "eeee", "kill": True}
        assert post(served, "api/release", asked) == (403, "environment eeee belongs to eve\n")
        asked = {"host": "a", "run": "eeee"}
        assert post(served, "api/stop", asked) == (404, "no run eeee of yours on a\n")


def test_only_our_page_with_its_token_changes_anything(host):
    env = host.reserve(Ask(Requirements(gpus=1))).environment_id
    asked = {"host": "a", "environment": env}
    refused = (
        ({"Genvx-Actions": None}, 403),
        ({"Genvx-Actions": ""}, 403),
        ({"Genvx-Actions": TOKEN[:-1]}, 403),
        ({"Genvx-Actions": TOKEN + "x"}, 403),
        ({"Genvx-Actions": "\xe9" * 24}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        # Another port: a program of another user may serve it.
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": f"text/plain; {JSON}"}, 415),
    )
    with paged([host], act_token=TOKEN) as served:
        for headers, status in refused:
            assert post(served, "api/release", asked, **headers)[0] == status, headers
        assert post(served, f"api/release?actions={TOKEN}", asked, Genvx_Actions="x")[0] == 403
        own = {"Origin": served.url.rstrip("/"), "Sec-Fetch-Site": "same-origin"}
        assert post(served, "api/release", asked, **own)[0] == 200


def test_the_body_of_what_is_refused_is_read_before_the_answer_or_it_might_be_lost():
    done = []
    pieces = [
        {"type": "http.request", "body": b"x" * 9, "more_body": more} for more in (True, False)
    ]

    async def receive():
        done.append("read")
        return pieces.pop(0)

    async def send(message):
        done.append(message["type"])

    scope = {"type": "http", "method": "POST", "path": "/api/stop", "headers": []}
    asyncio.run(Gate(None, None)(scope, receive, send))
    assert done == ["read", "read", "http.response.start", "http.response.body"]


def test_a_body_that_makes_no_sense_is_refused_in_a_line(host, monkeypatch):
    monkeypatch.setattr(server, "_IDLE", 2 * PATIENCE)
    bodies = (
        (b"", 400),
        (b"{", 400),
        (b"[" * 4000, 400),
        (b'["a"]', 400),
        (b"x" * 5000, 400),
        ({"host": "a", "environment": "../x"}, 400),
        ({"host": "a", "environment": ["eeee"]}, 400),
        ({"host": "a", "environment": "eeee", "kill": "yes"}, 400),
        ({"host": "b", "environment": "eeee"}, 404),
        ({"host": ["a"], "environment": "eeee"}, 404),
    )
    with paged([host], act_token=TOKEN) as served:
        for body, status in bodies:
            found, text = post(served, "api/release", body)
            assert (found, text.count("\n")) == (status, 1), body
        # Nor is more of one taken than is allowed.
        name, port = served.url.split("/")[2].split(":")
        with socket.create_connection((name, int(port)), timeout=PATIENCE) as sender:
            head = f"Host: localhost\r\nContent-Type: {JSON}\r\nGenvx-Actions: {TOKEN}\r\n"
            sender.sendall(
                f"POST /api/stop HTTP/1.1\r\n{head}Content-Length: 9999\r\n\r\n".encode()
            )
            sender.sendall(b"x" * 5000)
            with sender.makefile("rb") as answer:
                assert answer.read().startswith(b"HTTP/1.1 400 ")


def test_without_the_option_nothing_can_be_changed_and_nobody_is_told_who_we_are(host):
    env = host.reserve(Ask(Requirements(gpus=1))).environment_id
    with paged([host]) as served:
        for given in (TOKEN, "", "None"):
            asked = {"host": "a", "environment": env}
            status, text = post(served, "api/release", asked, Genvx_Actions=given)
            assert status == 403
            assert "--allow-actions" in text
        assert post(served, "api/fleet", b"")[0] == 405

        def runs():
            return json.loads(served.fetched("api/fleet")[2])["hosts"][0].get("runs")

        until(lambda: runs() is not None, "the runs are known")
        assert "user" not in served.picture.hosts()[0]
        assert env in served.fetched("api/fleet")[2]


def test_a_token_to_look_is_none_to_act(host):
    env = host.reserve(Ask(Requirements(gpus=1))).environment_id
    with paged([host], token="a-token-to-look", act_token=TOKEN) as served:
        asked = {"host": "a", "environment": env}
        bearer = "Bearer a-token-to-look"
        assert post(served, "api/release", asked)[0] == 401
        assert (
            post(served, "api/release", asked, Authorization=bearer, Genvx_Actions=bearer)[0] == 403
        )
        assert post(served, "api/release", asked, Authorization=bearer)[0] == 200


def is_closed(connection):
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_connections_that_say_nothing_or_say_it_slowly_keep_nobody_out(host, monkeypatch):
    monkeypatch.setattr(connections, "MOST", 20)
    monkeypatch.setattr(connections, "_HEAD", 2 * PATIENCE)
    monkeypatch.setattr(asking, "_PATIENCE", 0.5)
    with paged([host], act_token=TOKEN) as served, served.events("api/events") as events:
        assert next(events)[0] == "all"
        address = served.url.split("/")[2].split(":")
        head = b"POST /api/stop HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
        begun = head + f"Content-Type: {JSON}\r\nGenvx-Actions: {TOKEN}\r\n\r\n".encode()
        silent = []
        for sent in (b"", b"GET / HT", head) * 20:
            silent.append(socket.create_connection((address[0], int(address[1]))))
            silent[-1].sendall(sent)
        until(lambda: sum(map(is_closed, silent)) >= 40, "the oldest have made room")
        # The page that was open is told of what happens, and another one is served.
        assert served.fetched("")[0] == 200
        env = host.reserve(Ask(Requirements(gpus=1))).environment_id
        assert any(env in json.dumps(event) for event in events)
        # Bodies that do not come are waited for, but not for long, and not many at a time.
        for _ in range(12):
            silent.append(socket.create_connection((address[0], int(address[1]))))
            silent[-1].sendall(begun)
        replies = [each.recv(100) for each in silent[-12:]]
        assert {reply.split()[1] for reply in replies} == {b"400", b"503"}
        for each in silent:
            each.close()
        assert post(served, "api/release", {"host": "a", "environment": env})[0] == 200


def test_a_log_that_nobody_reads_any_more_is_followed_no_further(host, nothing_left):
    submit(host)
    with paged([host]) as served:
        with served.events("api/log?host=a&run=abcdef01") as events:
            assert next(events)[0] == "run"
        until(
            lambda: not any(thread.name == "genvx log" for thread in threading.enumerate()),
            "nobody follows it",
        )
