"""genvx web as its users meet it: a browser shows what --json says, and what changes at once."""

from __future__ import annotations

import json
import re
import signal
import stat
import subprocess
import sys
import urllib.request
from urllib.error import HTTPError

import pytest

from genvx.cli.main import run
from tests.conftest import run_genvx
from tests.helpers import PATIENCE, end, start_genvx, until


@pytest.fixture
def start():
    """Starts genvx web, which ends with the test; gives the process and where its page is."""
    started = []

    def start(*arguments):
        process = start_genvx(*arguments)
        started.append(process)
        said = process.stderr.readline()
        found = re.search(r"the page is at (http\S+)", said)
        assert found, said
        return process, found[1]

    yield start
    for process in started:
        if process.returncode is None:
            end(process)


@pytest.mark.needs("openssh", "browser")
def test_a_browser_shows_what_json_says_and_what_changes(sandbox, start, short_tmp):
    from tests.browser import chromium

    token = short_tmp / "token"
    process, url = start(
        *("remote", "web", "--listen", "127.0.0.1:0", "--token", str(token), "--allow-actions"),
    )
    assert "everybody who has this address can release and stop" in process.stderr.readline()
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert re.search(rf"/#token={token.read_text().strip()}&actions=[\w-]{{43}}$", url)
    with chromium() as browser:
        browser.resize(1280)
        browser.open(url)
        assert "#" not in browser.run("return location.href")
        until(lambda: "on 2 of 2 hosts" in browser.text("#counts"), "both hosts are there")
        # A lease, a run that writes, and one that waits behind these.
        run_genvx("remote", "acquire", "-g", "1", "--for", "1h", "--name", "train")
        command = ("sh", "-c", "echo epoch 1; exec sleep 600")
        net = run_genvx("remote", "run", "-d", "-g", "2", "--name", "net", "--", *command)
        net = net.stdout.strip()
        run_genvx("remote", "run", "-d", "-g", "2", "--wait", "1h", "--name", "late", "--", "true")
        hosts = json.loads(run_genvx("remote", "devices", "--json").stdout)["hosts"]
        wanted = [
            [host["host"], device["uuid"], device["state"]]
            for host in hosts
            for device in host["devices"]
        ]
        assert {state for _, _, state in wanted} == {"leased"}

        def seen():
            return browser.run(
                "return [...document.querySelectorAll('.tile')].map((e) => ["
                "e.closest('.host').querySelector('bdi').textContent, e.dataset.uuid,"
                " e.dataset.state])"
            )

        until(lambda: seen() == wanted, "the leases are seen")
        (ticket,) = (
            ticket
            for host in json.loads(run_genvx("remote", "queue", "--json").stdout)["hosts"]
            for ticket in host["tickets"]
        )
        until(lambda: browser.texts("#line td"), "the line is seen")
        cells = browser.texts("#line td")
        assert cells[2:5] == [ticket["user"]["name"], "late", ticket["request"]["text"]]
        assert cells[6] == ticket["reason"]
        until(lambda: len(browser.texts("#runs .open")) == 2, "the runs are seen")
        assert browser.texts("#runs td[data-label=Name]") == ["late", "net"]

        browser.run(
            "[...document.querySelectorAll('.open')].find((e) => e.textContent === arguments[0])"
            ".click()",
            net,
        )
        until(lambda: "epoch 1" in browser.texts(".log .line"), "the log is seen")
        # Stopped and released from the page.
        browser.find(f"[aria-label='Stop run {net}']").click()
        assert f"Stop run {net} “net” on " in browser.text("#ask-what")
        browser.find("#ask-yes").click()
        until(lambda: f"Stopping run {net} (net)" in browser.text("#said"), "it is said")
        until(lambda: "The end of the log: stopped" in browser.text(".log-state"), "its end")
        until(lambda: not browser.texts("#line td"), "the line is empty")
        until(lambda: [each[2] for each in seen()].count("free") == 2, "its GPUs are free")
        assert browser.texts("#own-table [data-label=Name]") == ["train"]
        browser.find("#own-table .do").click()
        browser.find("#ask-yes").click()
        until(lambda: "Released train" in browser.text("#said"), "it is said")
        until(lambda: {each[2] for each in seen()} == {"free"}, "all is free")
        until(lambda: "as this page has seen it" in browser.text("#use-source"), "the day is there")
        for width in (1280, 360):
            browser.resize(width)
            assert browser.overflowing() == []
        assert browser.complaints() == []
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said) == (0, "")


def test_the_page_of_this_machine_ends_with_ctrl_c(state, start):
    process, url = start("web", "--listen", "127.0.0.1:0")

    def hosts():
        with urllib.request.urlopen(f"{url}api/fleet", timeout=PATIENCE) as answer:
            return json.load(answer)["hosts"]

    until(lambda: hosts()[0]["ok"], "the first look")
    (host,) = json.loads(run_genvx("devices", "--json").stdout)["hosts"]
    assert {key: value for key, value in hosts()[0].items() if key in host} == host
    request = urllib.request.Request(url, headers={"Host": "gpus.example.org"})
    with pytest.raises(HTTPError, match="403") as refused:
        urllib.request.urlopen(request, timeout=PATIENCE)
    refused.value.close()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said) == (130, "")


def test_what_is_not_installed_is_named(state):
    code = "import sys; sys.modules['uvicorn'] = None; from genvx.cli.main import run; run(['web'])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    said = "genvx: genvx web needs Starlette and uvicorn: pip install 'genvx[web]'\n"
    assert answer.stderr == said


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--listen", "0.0.0.0:0"), "is reached from other machines; --token FILE shows the page"),
        (("--listen", "8080"), "--listen is ADDRESS:PORT"),
        (("--listen", "192.0.2.1:8080"), "cannot listen at 192.0.2.1:8080"),
        (("--token", "/proc/none/x"), "--token /proc/none/x: "),
        (("--token", "open"), "others can read it; chmod 600 it"),
        (("--token", "short"), "a token is one line of at least 16"),
        (("--token", "."), "--token .: "),
    ],
)
def test_what_cannot_be_served_is_refused_before_any_host_is_asked(
    state, tmp_path, monkeypatch, capsys, arguments, why
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "open").write_text("a-token-of-some-length\n")
    (tmp_path / "open").chmod(0o644)
    (tmp_path / "short").write_text("abc\n")
    (tmp_path / "short").chmod(0o600)
    listen = () if "--listen" in arguments else ("--listen", "127.0.0.1:0")
    assert run(["web", *listen, *arguments]) in (2, 6)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert why in said
