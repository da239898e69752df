"""Telling people, as it is typed: config.toml, and the verbs that take notifiers."""

from __future__ import annotations

import json
import os
import re

import pytest

from tests.cli.look.test_json import checked
from tests.conftest import ROOT, run_genvx
from tests.helpers import until
from tests.local.runs.test_notify import Web, program


@pytest.fixture
def web():
    web = Web()
    yield web
    web.server.shutdown()
    web.server.server_close()


@pytest.fixture
def config(state, short_tmp, tmp_path, monkeypatch):
    """Writes config.toml, for runs that end with the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENVX_RUNS_DIR", str(short_tmp / "runs"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(short_tmp / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(short_tmp / "data"))
    path = short_tmp / "config" / "genvx" / "config.toml"
    path.parent.mkdir(parents=True, mode=0o700)

    def write(text: str, mode: int = 0o600):
        path.write_text(text)
        path.chmod(mode)
        return path

    return write


def team(web: Web) -> str:
    url = web.url("200/s3cret")
    return f'[notify]\nalways = ["team"]\n[notify.team]\nslack = "{url}"\nevents = ["ended"]\n'


def test_a_run_a_restart_and_a_sweep_tell_whom_the_file_says(config, web):
    config(team(web))
    run = run_genvx("run", "-d", "-n", "x", "-g", "1", "--", "true").stdout.strip()
    until(lambda: len(web.got) == 1)
    again = run_genvx("runs", "restart", run).stdout.strip()
    until(lambda: len(web.got) == 2)
    swept = run_genvx("sweep", "-P", "lr=choice:1", "--trials", "1", "--", "true")
    assert swept.returncode == 0, swept.stderr
    texts = [body["text"] for _, body in web.got]
    assert [text.partition(" completed")[0] for text in texts[:2]] == [
        f"genvx: run x ({run})",
        f"genvx: run x ({again})",
    ]
    assert len(texts) == 3
    assert texts[2].startswith("genvx: sweep ")
    quiet = run_genvx("run", "-d", "--notify", "none", "-g", "1", "--", "true").stdout.strip()
    assert run_genvx("watch", quiet).returncode == 0
    listed = run_genvx("runs", "info", run, "--json").stdout
    shown = listed + run_genvx("notify", "list").stdout + run_genvx("runs", "info", run).stdout
    assert json.loads(listed)["hosts"][0]["runs"][0]["notify"] == ["team (slack at 127.0.0.1)"]
    assert "s3cret" not in shown
    assert checked(run_genvx("notify", "list", "--json"))["notifiers"][0]["always"] is True
    assert len(web.got) == 3


def test_a_test_message_says_what_became_of_it(config, web, short_tmp):
    fails = program(short_tmp / "fails", "#!/bin/sh\nexit 3\n")
    config(team(web) + f'[notify.desk]\ncommand = ["{fails}"]\n')
    answer = run_genvx("notify", "test")
    assert answer.returncode == 1
    assert sorted(answer.stdout.splitlines()) == [
        f"desk (command:{fails}): exit 3",
        "team (slack at 127.0.0.1): sent",
    ]

    told = checked(run_genvx("notify", "test", "--json"), 1)["results"]
    assert {"label": "team (slack at 127.0.0.1)", "result": "sent"} in told


def test_a_server_tells_whom_a_run_would_tell(config, web):
    config(team(web))
    fails = ("serve", "--retries", "0", "-g", "1")
    assert run_genvx(*fails, "--", "false").returncode == 1
    until(lambda: len(web.got) == 1)
    assert run_genvx(*fails, "--notify", "none", "--", "false").returncode == 1
    refused = run_genvx(*fails, "--notify", "nobody", "--", "false")
    assert (refused.returncode, "no notifier 'nobody'" in refused.stderr) == (2, True)
    listed = json.loads(run_genvx("runs", "list", "--json").stdout)["hosts"][0]["runs"]
    assert sorted(run["notify"] for run in listed) == [[], ["team (slack at 127.0.0.1)"]]
    assert len(web.got) == 1


def test_a_file_that_others_could_write_or_whose_secret_they_could_read_is_refused(config, web):
    path = config(team(web), 0o644)
    answer = run_genvx("run", "-d", "-g", "1", "--", "true")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert f"others can read it; chmod 600 {path}" in answer.stderr
    path.chmod(0o602)
    unasked = run_genvx("run", "-d", "-g", "1", "--", "true")
    assert (unasked.returncode, "it can be written by everybody" in unasked.stderr) == (0, True)
    assert "it can be written by everybody" in run_genvx("notify", "list").stderr
    path.chmod(0o600)
    if os.getuid() == 0:
        os.chown(path, 61999, 0)
        assert "it belongs to uid 61999" in run_genvx("notify", "list").stderr


def test_the_file_of_the_how_to_is_one(config, web):
    page = (ROOT / "docs/how-to/be-told.md").read_text()
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    config(text)
    assert run_genvx("notify", "list", "--csv").stdout.splitlines() == [
        "NAME,WAY,EVENTS,IDLE,ALWAYS",
        'team,slack,"ended, idle",30 min,yes',
        'me,mail,"ended, turn, ending, idle",1 h,no',
        'desk,command,"ended, turn, ending, idle",1 h,no',
    ]
