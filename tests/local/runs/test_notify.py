"""Telling people of runs: a real server on loopback, real programs, and those that misbehave."""

from __future__ import annotations

import json
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from genvx.core.notifying.message import Message
from genvx.core.notifying.notifier import Event, Notifier, Way, made
from genvx.core.value import replace
from genvx.errors import CommandNotFound, InvalidInput
from genvx.local import processes
from genvx.local.runs import lock
from genvx.local.runs.notify import courier
from genvx.local.runs.notify.courier import Courier
from tests.helpers import children_of, processes_with, until
from tests.local.runs.test_runs import asked, ends_as, free, shell

STUBBORN = """#!/bin/sh
# {token}
trap '' TERM HUP INT ALRM
setsid sh -c 'trap "" TERM; while :; do sleep 1; done' {token} &
(setsid sh -c 'while :; do sleep 1; done' {token} &)
yes {token}
"""


def heralds(directory: str) -> list[int]:
    """The processes that follow the run with this directory."""
    found = []
    for pid in processes.pids():
        try:
            if Path(f"/proc/{pid}/comm").read_text() == "genvx-notify\n" and any(
                os.readlink(f"/proc/{pid}/fd/{fd}") == directory
                for fd in os.listdir(f"/proc/{pid}/fd")
            ):
                found.append(pid)
        except OSError:
            continue
    return found


class Web:
    """A server on loopback that notes what is posted; the path says the status of its answer."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict]] = []
        got = self.got

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                got.append((self.path, json.loads(body)))
                self.send_response(int(self.path[1:4]))
                self.send_header("Location", "/200/redirected")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/{path}"

    def told(self) -> list[str]:
        return [body["event"] for _, body in self.got]


@pytest.fixture
def web():
    web = Web()
    yield web
    web.server.shutdown()
    web.server.server_close()


@pytest.fixture
def sent(host):
    """Send a message to some notifiers; return what became of it, by label."""

    def send(*notifiers: Notifier, **more: object) -> dict[str, str]:
        results: dict[str, str] = {}
        work = Courier(host.environ, lambda n, _, result: results.update({n.label: result}))
        for each in notifiers:
            work.post(each, Message(Event.ENDED, "run", "h", "abcd", **more))
        work.finish()
        return results

    return send


def program(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_people_are_told_once_of_each_event_of_a_run(host, start, catalog, web):
    hook = made(Way.WEBHOOK, (web.url("200/s3cret-path"),), "team")
    busy = start(asked("sleep", "1000", gpus=2))
    run = start(asked("sleep", "1000", name="train", seconds=12, notifiers=(hook,)), patience=60.0)
    catalog.stop(busy.id, 0.0)
    until(lambda: web.told() == ["turn", "ending"])
    catalog.stop(run.id, 0.0)
    until(lambda: web.told() == ["turn", "ending", "ended"])
    turn, ending, ended = (body for _, body in web.got)
    assert {each["id"] for each in (turn, ending, ended)} == {run.id}
    assert (ending["seconds_left"], ended["devices"]) == (1, ["0"])
    assert (ended["state"], ended["exit_code"], ended["why"]) == ("stopped", 143, "asked")
    # The address is a secret: it is in the one file that is for it.
    until(lambda: not heralds(run.directory))
    files = [p for p in Path(run.directory).rglob("*") if p.is_file()]
    assert [p.name for p in files if b"s3cret" in p.read_bytes()] == ["notify.json"]
    assert {p.stat().st_mode & 0o777 for p in files if p.name == "notify.json"} == {0o600}
    assert "s3cret" not in repr(catalog.find(run.id)) + repr(hook)
    assert catalog.find(run.id).spec.notifiers == (hook.public,)


def test_the_end_is_told_once_also_when_the_supervisor_is_killed(host, start, catalog, web):
    hook = made(Way.WEBHOOK, (web.url("200"),))
    run = start(asked("sleep", "1000", notifiers=(hook,)))
    until(lambda: heralds(run.directory))
    supervisor = lock.supervision_of(host.state, os.getuid(), run.id)
    os.kill(supervisor.pid, signal.SIGKILL)
    assert web.got == []
    os.kill(run.state.pid, signal.SIGKILL)
    until(lambda: web.told() == ["ended"])
    assert (web.got[0][1]["state"], web.got[0][1]["why"]) == ("lost", "supervisor killed")
    until(lambda: not heralds(run.directory))
    assert web.told() == ["ended"]


def test_a_notifier_that_hangs_and_forks_delays_nothing_and_leaves_nothing(
    host, start, catalog, web, short_tmp
):
    token = f"stubborn-{os.urandom(8).hex()}"
    hangs = made(Way.COMMAND, (program(short_tmp / "hangs", STUBBORN.format(token=token)), token))
    hook = made(Way.WEBHOOK, (web.url("200"),))
    run = start(shell("exit 3", notifiers=(hangs, hook)))
    ends_as(catalog, run, "failed")
    until(lambda: web.told() == ["ended"] and len(processes_with(token)) >= 3)
    assert free(host) == 2
    until(lambda: lock.supervision_of(host.state, os.getuid(), run.id) is None)
    (herald,) = heralds(run.directory)
    # As when its time is over; that takes longer than a test may.
    attempt = children_of(herald)[0]
    os.kill(attempt, signal.SIGALRM)
    until(lambda: not processes_with(token) and not heralds(run.directory))
    lines = Path(run.directory, "events").read_text().splitlines()
    results = {e["to"]: e["result"] for e in map(json.loads, lines) if e["event"] == "notify"}
    assert results == {hook.label: "sent", hangs.label: "took longer than 20 s"}


def test_an_idle_run_is_told_of_once(host, start, catalog, web):
    hook = replace(made(Way.WEBHOOK, (web.url("200"),)), idle=1.0)
    run = start(asked("sleep", "1000", notifiers=(hook,)))
    until(lambda: web.told() == ["idle"])
    catalog.stop(run.id, 0.0)
    until(lambda: "ended" in web.told())
    assert web.told() == ["idle", "ended"]


def test_what_cannot_work_here_is_refused_before_anything_happens(host, start, short_tmp):
    for target, error, words in (
        (("/no/such/program",), CommandNotFound, "command not found: /no/such/program"),
        ((), InvalidInput, "the address of notifier x is not known any more"),
    ):
        with pytest.raises(error, match=words):
            start(asked("true", notifiers=(Notifier(Way.COMMAND, target, "x"),)))
    assert list(Path(host.environ["GENVX_RUNS_DIR"]).glob("*")) == []


def test_a_webhook_is_tried_a_few_times_if_that_may_help_and_follows_no_redirect(
    web, sent, monkeypatch
):
    monkeypatch.setattr(courier, "PAUSES", (0.01, 0.01))
    paths = {
        code: made(Way.WEBHOOK, (web.url(f"{code}/s3cret"),), code)
        for code in ("200", "302", "404", "503")
    }
    nobody = made(Way.WEBHOOK, ("http://127.0.0.1:1/s3cret",), "nobody")
    plain = made(Way.WEBHOOK, (web.url("200/s3cret").replace("http:", "https:"),), "plain")
    results = sent(*paths.values(), nobody, plain)
    assert "s3cret" not in str(results)
    short = {label.partition(" ")[0]: result for label, result in results.items()}
    assert short == {
        "200": "sent",
        "302": "HTTP 302; redirects are not followed",
        "404": "HTTP 404",
        "503": "HTTP 503; given up after 3 attempts",
        "nobody": "no connection: Connection refused; given up after 3 attempts",
        "plain": "no TLS: WRONG_VERSION_NUMBER; given up after 3 attempts",
    }
    assert [path for path, _ in web.got].count("/503/s3cret") == 3
    assert "/200/redirected" not in [path for path, _ in web.got]
    assert len({body["key"] for _, body in web.got}) == 1


def test_names_and_commands_of_users_are_text_for_every_notifier(web, sent, short_tmp, monkeypatch):
    mail, facts = short_tmp / "mail", short_tmp / "facts"
    program(short_tmp / "sendmail", f'#!/bin/sh\n{{ echo "$@"; cat; }} > {mail}\n')
    told = program(short_tmp / "told", f"#!/bin/sh\nenv > {facts}\n")
    monkeypatch.setenv("PATH", f"{short_tmp}:{os.environ['PATH']}")
    monkeypatch.setenv("GENVX_ENVIRONMENT_ID", "abcd")
    evil = "-oQ/tmp\nBcc: eve@example.org\r\n\r\n$(touch x)`id`\x1b[2J<!channel>&"
    results = sent(
        made(Way.MAIL, ("ann@example.org",)),
        made(Way.COMMAND, (told,)),
        made(Way.SLACK, (web.url("200"),)),
        name=evil,
        command=evil,
        why=evil,
    )
    assert set(results.values()) == {"sent"}
    head, _, body = mail.read_text().partition("\n\n")
    assert head.startswith("-i ann@example.org\nTo: ann@example.org\nSubject:")
    assert "\nBcc" not in head + body
    variables = dict(each.split("=", 1) for each in facts.read_text().splitlines())
    assert variables["GENVX_NOTIFY_NAME"].startswith("-oQ/tmp\\nBcc: eve@example.org\\r\\n")
    assert "GENVX_ENVIRONMENT_ID" not in variables
    assert (web.got[0][1]["text"].count("&lt;!channel&gt;&amp;"), "\x1b" in str(web.got)) == (
        2,
        False,
    )
