"""What a run has made, copied to this machine."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

import genvx
from genvx.core.wire.runoperations import ListRuns
from genvx.fleet.fleet import connect_fleet
from genvx.fleet.hosts.hostfile import load
from genvx.local.host import LocalHost
from tests.cli.look.test_json import checked
from tests.conftest import run_genvx
from tests.helpers import log_on_hosts, start_genvx, states_on_hosts, until
from tests.local.trees.trees import plant, seen

pytestmark = pytest.mark.needs("openssh")


@pytest.fixture(autouse=True)
def mine(short_tmp, monkeypatch):
    """The runs of this machine, and its leases."""
    monkeypatch.setenv("GENVX_RUNS_DIR", str(short_tmp / "mine"))
    monkeypatch.setenv("GENVX_STATE_DIR", str(short_tmp / "state"))
    monkeypatch.setenv("GENVX_SIMULATE", "1")
    return short_tmp / "mine"


MAKE = """
cp -a {odd} made; ln -s made/large best; ln -s /etc out; mkfifo pipe
echo changed >data; echo hello
"""


@pytest.fixture
def code(short_tmp):
    directory = short_tmp / "code"
    directory.mkdir()
    (directory / "data").write_text("as it was")
    (directory / "train.py").write_text("pass")
    return directory


def pull(*words, cwd):
    return run_genvx("remote", "pull", *words, cwd=cwd)


def test_what_a_run_has_made_or_changed_is_copied_and_nothing_twice(sandbox, code, short_tmp):
    plant(short_tmp / "odd")
    script = MAKE.format(odd=short_tmp / "odd")
    begun = run_genvx("remote", "run", "-d", "-w", "--project", str(code), "--", "sh", "-c", script)
    run = begun.stdout.splitlines()[0]
    here = short_tmp / "here"
    here.mkdir()
    first = pull("1", f"./{run}", cwd=here)
    assert first.returncode == 0, first.stderr
    assert first.stdout.endswith(f" of run {run} from gpu-server-1 into ./{run}\n")
    assert set(first.stderr.splitlines()) == {
        "genvx: not copied: pipe is neither a file nor a link",
        "genvx: not copied: work/out leads out of the run's directory",
    }
    work = here / run / "work"
    assert sorted(os.listdir(work)) == ["best", "data", "made"]
    assert (work / "data").read_text() == "changed\n"
    assert (here / run / "log").read_text() == "hello\n"
    assert seen(work / "made") == seen(short_tmp / "odd")
    assert pull("1", f"./{run}", cwd=here).stdout.startswith("Pulled 0 files of run")
    some = pull("1", "-o", "files", "--only", "made/*.sh", "--only", "dat?", cwd=here)
    assert some.stdout.startswith("Pulled 2 files (")
    assert sorted(os.listdir(here / "files")) == ["data", "made"]
    whole = pull("1", "-o", "all", "--all", cwd=here)
    assert whole.returncode == 0
    assert (here / "all" / "train.py").read_text() == "pass"


def test_a_copy_that_was_killed_goes_on_and_a_run_that_is_alive_gives_what_it_has(
    sandbox, short_tmp
):
    script = "for n in $(seq 200); do head -c 300000 /dev/urandom >$n; done; echo made; sleep 1000"
    run = run_genvx("remote", "run", "-d", "--", "sh", "-c", script).stdout.strip()
    until(lambda: log_on_hosts(run) == "made\n", "it is made")
    here = short_tmp / "here"
    client = start_genvx("remote", "pull", run, str(here))

    def arrived():
        stage = here / ".genvx-pull"
        return len(os.listdir(stage)) if stage.exists() else 0

    until(lambda: arrived() > 5, "a part has come")
    client.send_signal(signal.SIGKILL)
    client.communicate()
    before = arrived()
    assert 5 < before < 200
    done = run_genvx("remote", "pull", run, str(here))
    assert done.stdout.startswith("Pulled 201 files ("), done.stderr
    assert len(os.listdir(here / "work")) == 200
    mebibytes = int(done.stdout.partition("(")[2].split()[0])
    assert mebibytes <= (201 - before + 1) * 300_000 >> 20


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("1", "a", "-o", "b"), "either DEST or --output"),
        (("1", ""), "the directory is empty"),
        (("1", "--only", ""), "--only needs a pattern"),
        (("nobody",), "no run 'nobody'"),
        (("nobody", "-o", "~", "--delete"), "no run 'nobody'"),
    ],
)
def test_a_bad_pull_is_refused(sandbox, short_tmp, words, said):
    refused = pull(*words, cwd=short_tmp)
    assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr


def test_a_copy_is_shown_with_its_host_and_never_taken_for_a_run_of_this_machine(
    sandbox, mine, short_tmp, monkeypatch
):
    script = "echo 1; echo x >made; echo y >gone; read line <go; rm gone; echo 2; exit 3"
    begun = run_genvx(
        "remote",
        "run",
        "-d",
        "-g",
        "1",
        "--name",
        "train",
        "--",
        "sh",
        "-c",
        f"mkfifo go; {script}",
    )
    run, home = begun.stdout.strip(), sandbox.hosts[0].home
    until(lambda: log_on_hosts(run) == "1\n", "it has begun")
    first = pull(run, cwd=short_tmp)
    assert first.stdout.endswith(f" from gpu-server-1 into {mine / run}\n"), first.stderr
    assert "running (gpu-server-1)" in run_genvx("runs").stdout
    assert run_genvx("logs", run).stdout == "1\n"
    (shown,) = checked(run_genvx("runs", "-s", "running", "--json"))["hosts"][0]["runs"]
    assert (shown["pulled"]["host"], shown["pulled"]["whole"]) == ("gpu-server-1", True)
    for words in (("runs", "stop"), ("ssh",), ("watch",), ("runs", "restart")):
        refused = run_genvx(*words, run)
        assert refused.returncode == 2
        there = f"genvx remote -f {os.environ['GENVX_HOSTFILE']} {' '.join(words)} {run}\n"
        assert refused.stderr == (
            f"genvx: this machine has only a copy of run {run} (train) of gpu-server-1; "
            f"for the run itself: {there}"
        )
    assert run_genvx("runs", "stop", "--all").stderr == "genvx: no run of yours is alive\n"
    # Neither a host that is asked, nor a program, takes it for one of its own.
    assert LocalHost().answer(ListRuns()) == ()
    assert [each.info.pulled.host for each in genvx.runs(pulled=True)] == ["gpu-server-1"]
    # It ends there, and a refresh says so here.
    (found,) = Path(home).glob(f".local/share/genvx/runs/{run}/work/go")
    found.write_text("go\n")
    until(lambda: states_on_hosts(run) == ["failed"], "it is over")
    assert "running (gpu-server-1)" in run_genvx("runs").stdout
    refreshed = run_genvx("runs", "--refresh")
    assert (refreshed.returncode, "failed (gpu-server-1)" in refreshed.stdout) == (0, True)
    assert run_genvx("watch", run).stdout == "1\n2\n"
    assert run_genvx("watch", run).returncode == 3
    # What the run has not any more goes only when it is asked for; what is not of the pull stays.
    (mine / run / "work" / "note").write_text("of mine")
    again = run_genvx("pull", run, "--delete")
    assert again.stdout.startswith("Pulled 0 files of run "), again.stderr
    assert again.stdout.endswith(", and deleted 1 there\n")
    assert sorted(os.listdir(mine / run / "work")) == ["made", "note"]
    assert [run_genvx("runs", verb, run).returncode for verb in ("delete", "purge")] == [0, 0]
    assert os.listdir(mine) == [".trash"]


def test_the_parts_of_a_gang_are_copies_of_one_run(sandbox, mine, short_tmp):
    script = ("sh", "-c", "echo rank $NODE_RANK >out; cat out")
    begun = run_genvx("remote", "run", "-d", "-w", "--nodes", "2", "-g", "1", "--", *script)
    run = begun.stdout.splitlines()[0]
    assert pull(run, cwd=short_tmp).returncode == 0
    assert sorted(os.listdir(mine)) == [f"{run}.0", f"{run}.1"]
    assert run_genvx("runs").stdout.endswith("Total 1 run\n")
    logs = run_genvx("logs", run)
    assert sorted(logs.stdout.splitlines()) == [f"gpu-server-{n} | rank {n - 1}" for n in (1, 2)]
    info = run_genvx("runs", "info", run).stdout
    assert all(f"{n - 1}  gpu-server-{n}  completed (gpu-server-{n})" in info for n in (1, 2)), info
    assert run_genvx("runs", "delete", run).returncode == 0
    assert run_genvx("runs").stdout.endswith("Total 0 runs\n")
    assert run_genvx("runs", "restore", run).returncode == 0
    assert run_genvx("runs").stdout.endswith("Total 1 run\n")


def test_delete_in_a_directory_of_ones_own_takes_only_what_was_listed(sandbox, short_tmp):
    make = "echo x >a.pt; echo x >b; mkdir d; echo x >d/c.pt; mkdir -m 0 shut"
    run = run_genvx("remote", "run", "-d", "-w", "--", "sh", "-c", make).stdout.split()[0]
    here = short_tmp / "here"
    assert pull(run, "-o", str(here), cwd=short_tmp).returncode == 0
    for name in ("old.pt", "old", "d/old.pt"):
        (here / name).write_text("x")
    refused = pull(run, "-o", "here", "--delete", cwd=short_tmp)
    assert (refused.returncode, "--yes deletes them" in refused.stderr) == (2, True)
    words = ("-o", "here", "--delete", "--only", "*.pt", "--yes")
    assert pull(run, *words, cwd=short_tmp).stdout.endswith(", and deleted 2 there\n")
    assert sorted(os.listdir(here)) == ["a.pt", "b", "d", "old", "shut"]
    listed = pull(run, "-o", "here", "--delete", "-n", cwd=short_tmp)
    assert listed.stdout.splitlines()[0] == "delete  old"
    assert (here / "old").exists()
    with connect_fleet(load(sandbox.hostfile), config=sandbox.ssh_config) as program:
        landed = program.find_run(run).pull(str(here), bare=True, delete=True)
        assert (landed.changed, landed.deleted) == (0, 1)
        sent = program.push(str(here), "sent", delete=True)
        assert {each.changed for each in sent.succeeded.values()} == {3}
