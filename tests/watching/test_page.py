"""What the page is told, who is told it, and when hosts are asked for it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import urllib.request
from urllib.error import HTTPError

import pytest

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.core.runs.run import Moment, RunSpec
from genvx.errors import HostUnreachable
from genvx.testing import FakeHost, Played
from genvx.watching.web import gate
from genvx.watching.web.logtext import LogText
from genvx.watching.web.picture import Picture, difference
from tests.capabilities import USER_A
from tests.helpers import PATIENCE, until
from tests.watching.paged import paged


def entry(host="a", at=1.0, **of_devices):
    devices = [
        {"uuid": name, "state": state, "environments": [{"id": "e", "age_seconds": at}]}
        for name, state in of_devices.items()
    ]
    return {
        "host": host,
        "ok": True,
        "devices": devices,
        "tickets": [],
        "seen_epoch_seconds": at,
    }


def test_only_what_has_changed_of_a_host_is_told():
    before, later = entry(x="free", y="free"), entry(at=2.0, x="free", y="free")
    assert difference(before, later) is None
    taken = entry(at=2.0, x="free", y="leased")
    change = difference(before, taken)
    assert change == {
        "host": "a",
        "seen_epoch_seconds": 2.0,
        "devices": [{"uuid": "y", "state": "leased"}],
    }
    down = {"host": "a", "ok": False, "error": {}, "seen_epoch_seconds": 3.0}
    assert difference(taken, down) == {**down, "whole": True}
    assert difference(down, {**down, "seen_epoch_seconds": 4.0}) is None
    more = entry(at=5.0, x="free")
    assert difference(taken, more) == {**more, "whole": True}


def test_a_page_that_missed_too_much_gets_the_whole():
    picture = Picture(["a"])
    first, whole = picture.news(None)
    assert whole.startswith(b"event: all\n")
    assert picture.news(first) == (first, b"")
    picture.show(entry(x="free"))
    second, change = picture.news(first)
    assert change.startswith(b"event: host\n")
    for number in range(5000):
        picture.show(entry(x=str(number)))
    assert picture.news(second)[1].startswith(b"event: all\n")
    assert picture.news(picture.news(None)[0] - 1)[1].count(b"event: host\n") == 1


@pytest.mark.parametrize(
    ("pieces", "lines", "unfinished"),
    [
        ((b"a\nb",), ["a"], "b"),
        ((b"10%\r20%\r", b"30%\nend\n"), ["30%", "end"], ""),
        ((b"\x1b[31mred\x1b[0m\x1b]0;title\x07 on\n",), ["red on"], ""),
        ((b"\xe2\x82", b"\xac\n\xff\n"), ["€", "�"], ""),
        (("a\u202eb\x07\n".encode(),), ["a\\u202eb\\x07"], ""),
    ],
)
def test_a_log_is_lines_of_text_that_can_be_seen(pieces, lines, unfinished):
    text = LogText()
    found = [text.take(piece) for piece in pieces]
    assert ([line for whole, _ in found for line in whole], found[-1][1]) == (lines, unfinished)


def test_everything_is_answered_with_a_strict_policy_and_nothing_is_from_elsewhere(nothing_left):
    with paged([FakeHost("a")]) as served:
        for path in ("", "page.js", "parts.js", "runs.js", "page.css", "icon.svg", "api/fleet"):
            status, headers, text = served.fetched(path)
            assert status == 200
            policy = headers["content-security-policy"]
            assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"
            assert headers["access-control-allow-origin"] is None
            assert "https://" not in text
            assert "innerHTML" not in text
        for path in ("docs", "../page.py", "api/", "files/page.js"):
            assert served.fetched(path)[0] == 404
        request = served.request("api/fleet")
        request.method = "POST"
        with pytest.raises(HTTPError, match="405") as refused:
            urllib.request.urlopen(request, timeout=PATIENCE)
        refused.value.close()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example"])
def test_a_page_of_another_name_gets_nothing(host):
    with paged([FakeHost("a")]) as served:
        assert served.fetched("api/fleet", Host=host)[0] == 403
        assert served.fetched("", Host=host)[0] == 403
        assert served.fetched("api/fleet", Sec_Fetch_Site="cross-site")[0] == 403
        assert served.fetched("api/fleet", Host=f"{socket.gethostname()}:1")[0] == 200


def test_with_a_token_only_those_who_have_it_get_data():
    with paged([FakeHost("a")], token="a-secret-of-some-length") as served:
        assert served.fetched("")[0] == 200
        assert served.fetched("api/fleet")[0] == 401
        assert served.fetched("api/log?host=a&run=aaaa", Authorization="Bearer x")[0] == 401
        status, _, text = served.fetched(
            "api/fleet", Authorization="Bearer a-secret-of-some-length"
        )
        assert status == 200
        assert json.loads(text)["hosts"][0]["host"] == "a"


@pytest.mark.needs("uids")
def test_without_a_token_other_users_of_this_machine_get_nothing(world):
    with paged([FakeHost("a")]) as served:
        code = f"""if True:
            import urllib.request
            for headers in {{}}, {{"X-Forwarded-For": "127.0.0.1"}}:
                request = urllib.request.Request({served.url!r} + "api/fleet", headers=headers)
                try:
                    print(urllib.request.urlopen(request).status)
                except urllib.error.HTTPError as error:
                    print(error.code, error.read().decode().strip())
        """
        answer = world.run(USER_A, code)
        why = "403 this page is for the user who serves it; --token FILE lets others in"
        assert answer.stdout.splitlines() == [why, why]
        assert served.fetched("api/fleet")[0] == 200


def test_the_owner_of_a_connection_is_found_also_through_ipv6():
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listening:
        port = listening.getsockname()[1]
        for address in ("127.0.0.1", "::1"):
            with socket.create_connection((address, port)) as client:
                accepted, (host, its_port, *_) = listening.accept()
                with accepted:
                    ends = (host, its_port), accepted.getsockname()[:2]
                    assert gate.owner_of(*ends) == os.geteuid()
                    client.close()
                    until(lambda ends=ends: gate.owner_of(*ends) is None, "the client is gone")


class Counted(FakeHost):
    """A host that counts how often it is asked."""

    asked = 0

    def snapshot(self, **more):
        self.asked += 1
        return super().snapshot(**more)


class Slow(FakeHost):
    """A host that answers once, and then not before it is let go."""

    def __init__(self, name):
        super().__init__(name)
        self.let_go = threading.Event()
        self.first = True

    def snapshot(self, **more):
        if not self.first:
            self.let_go.wait(60)
        self.first = False
        return super().snapshot(**more)


def test_hosts_are_asked_while_a_page_is_open_and_not_otherwise(nothing_left):
    host = Counted("a")
    with paged([host]) as served:
        until(lambda: served.picture.hosts()[0]["ok"], "the first look")
        with served.events("api/events") as events:
            assert next(events)[0] == "all"
            until(lambda: host.asked > 3, "it is asked again and again")
        until(lambda: not served.looks._wanted(), "the page is seen to be closed")
        asked = host.asked
        served.fetched("page.js")
        assert host.asked <= asked + 1  # one was on its way


def test_a_change_is_told_at_once_whatever_other_hosts_do(nothing_left):
    good, slow = FakeHost("good", 2), Slow("slow")
    with paged([good, slow]) as served, contextlib.ExitStack() as stack:
        stack.callback(slow.let_go.set)
        events = stack.enter_context(served.events("api/events"))
        model = {}

        def follow(condition):
            while not condition():
                kind, data = next(events)
                if kind == "all":
                    model.update({each["host"]: each for each in data["hosts"]})
                elif data.get("whole"):
                    model[data["host"]] = data
                else:
                    devices = data.pop("devices", ())
                    model[data["host"]] |= data
                    for device in devices:
                        known = model[data["host"]]["devices"]
                        next(e for e in known if e["uuid"] == device["uuid"]).update(device)

        def states():
            return [each["state"] for each in model.get("good", {}).get("devices", ())]

        follow(lambda: states() == ["free", "free"])
        grant = good.reserve(Ask(Requirements(gpus=1), name="train"))
        follow(lambda: sorted(states()) == ["free", "leased"])
        held = next(d for d in model["good"]["devices"] if d["state"] == "leased")
        assert [(e["name"], e["user"]["name"]) for e in held["environments"]] == [("train", "me")]
        good.error = HostUnreachable("gone", kind="timeout")
        follow(lambda: not model["good"]["ok"])
        assert model["good"]["error"]["message"] == "gone"
        good.error = None
        good.release(grant.environment_id)
        follow(lambda: states() == ["free", "free"])
        fetched = json.loads(served.fetched("api/fleet")[2])["hosts"]
        assert [each["host"] for each in fetched] == ["good", "slow"]


def test_a_log_is_followed_to_the_end_of_its_run(nothing_left):
    host = FakeHost("a", 1, script=lambda spec: Played(b"1\n\x1b[1m2\x1b[0m", 3))
    asked = RunSpec("abcdef01", ("true",), Requirements(1), "", "", Moment(0, 0), name="net")
    host.submit(asked)
    with paged([host]) as served:
        for query in ("host=a&run=../x", "host=b&run=aaaa", "host=a", ""):
            assert served.fetched(f"api/log?{query}")[0] == 404
        with served.events("api/log?host=a&run=beef") as events:
            assert next(events)[0] == "error"
        with served.events("api/log?host=a&run=abcdef01") as events:
            found = list(events)
        assert found[-1][0] == "end"
        assert found[-1][1]["exit_code"] == 3
        pieces = [data for kind, data in found if kind == "log"]
        assert [line for each in pieces for line in each["lines"]] == ["1"]
        assert pieces[-1]["open"] == "2"
