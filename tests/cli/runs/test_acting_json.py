"""--json of verbs that act on runs: what became of each run, and why it failed; nothing else on
stdout.
"""

from __future__ import annotations

import pytest

from tests.cli.look.test_json import checked
from tests.conftest import run_genvx
from tests.helpers import end_all_of


@pytest.fixture
def runs(state, short_tmp, monkeypatch):
    """Starts runs of this machine; none lives on behind the test."""
    monkeypatch.setenv("GENVX_RUNS_DIR", str(short_tmp / "runs"))
    yield lambda *words: acts(run_genvx("run", "-d", "--json", *words))[0]["id"]
    end_all_of(short_tmp)


def acts(answer, code=0):
    return checked(answer, code)["runs"]


def did(*words):
    """What was done to one run, and how it is then."""
    (act,) = acts(run_genvx("runs", *words, "--json"))
    assert act["ok"]
    return act["did"], act["run"]


def test_each_verb_says_what_it_did_and_how_the_run_is_then(runs):
    run = runs("-g", "1", "--", "sleep", "1000")
    assert did("label", run, "best")[1]["label"] == "best"
    assert did("tag", run, "a", "b")[1]["tags"] == ["a", "b"]
    assert did("stop", "best", "--no-wait")[0] == "stopping"
    assert did("stop", run, "--force")[0] in ("stopped", "nothing")
    assert did("stop", run)[0] == "nothing"
    (again,) = acts(run_genvx("runs", "restart", run, "--json"))
    assert (again["did"], again["run"]["restarts"]) == ("started", run)
    assert did("stop", again["id"])[1]["reason"] == "asked"
    assert [did(verb, run)[0] for verb in ("delete", "restore", "delete", "purge")] == [
        "deleted",
        "restored",
        "deleted",
        "purged",
    ]


def test_a_run_that_cannot_be_deleted_says_why_and_the_other_one_is(runs):
    alive, over = runs("--", "sleep", "1000"), runs("--", "true")
    assert run_genvx("watch", over).returncode == 0
    failed, done = acts(run_genvx("runs", "delete", alive, over, "--json"), 2)
    assert (failed["id"], failed["exit_code"]) == (alive, 2)
    assert failed["error"]["type"] == "InvalidInput"
    assert "end it first" in failed["error"]["message"]
    assert (done["id"], done["did"]) == (over, "deleted")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["run", "--json", "--", "true"], "genvx: --json goes with --detach; "),
        (["run", "-d", "-w", "--json", "--", "true"], "give either --json or --watch"),
        (["runs", "stop", "nothing", "--json"], "no run 'nothing'"),
    ],
)
def test_what_is_refused_prints_no_document(runs, words, why):
    answer = run_genvx(*words)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert why in answer.stderr


@pytest.mark.needs("openssh")
def test_the_parts_of_a_run_and_hosts_that_fail_have_entries_of_their_own(make_sandbox):
    make_sandbox("1", "1")
    try:
        started = acts(
            run_genvx("remote", "run", "-d", "-N", "2", "-g", "1", "--json", "--", "sleep", "1000")
        )
        assert [act["run"]["part"]["rank"] for act in started] == [0, 1]
        moved = run_genvx("remote", "runs", "move", started[0]["id"], "--json")
        assert (moved.returncode, moved.stdout) == (2, "")
        assert "is on several hosts; only a run on one host can move" in moved.stderr
        stop = ["runs", "stop", "--all", "--json"]
        both = checked(run_genvx("remote", "-H", "gpu-server-1,no-such.invalid", *stop), 4)
        assert [act["host"] for act in both["runs"]] == ["gpu-server-1"]
        assert [host["error"]["kind"] for host in both["failed_hosts"]] == ["dns"]
    finally:
        run_genvx("remote", "runs", "stop", "--all", "--force")
