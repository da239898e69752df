"""Runs that start in a copy of a project: on real hosts over SSH, and here."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from genvx.cli.ask.where import Where
from genvx.cli.runs import detach
from genvx.errors import ProjectChanged
from genvx.fleet.fleet import connect_fleet
from genvx.fleet.hosts.hostfile import load
from genvx.local.trees.project import Gathered
from tests.cli.look.test_json import VALIDATOR
from tests.cli.runs.test_run_hosts import disk
from tests.conftest import run_genvx
from tests.helpers import genvx_argv, genvx_env, start_genvx, until
from tests.local.trees.trees import plant, seen

pytestmark = pytest.mark.needs("openssh")


@pytest.fixture
def code(short_tmp):
    """A project that writes into its own files."""
    directory = short_tmp / "code"
    (directory / "sub").mkdir(parents=True)
    (directory / "train.py").write_text("print(open('data').read())\nopen('data', 'a').write('!')")
    (directory / "data").write_text("epoch")
    return directory


def run(code, *words):
    return run_genvx("remote", "run", "-d", "-w", "--project", str(code), *words)


def test_a_run_starts_in_a_copy_of_its_own_on_its_host(sandbox, code):
    for _ in range(2):  # the second does not see what the first has written
        done = run(code, "-g", "1", "--", sys.executable, "train.py")
        assert done.stdout.splitlines()[1:] == ["epoch"], done.stderr
    assert (code / "data").read_text() == "epoch"
    below = run(code, "-C", "sub", "--", "sh", "-c", "pwd; ls ..")
    assert below.stdout.splitlines()[1].endswith("/work/sub")
    assert below.stdout.splitlines()[2:] == ["data", "sub", "train.py"]
    told = run_genvx("remote", "runs", "info", "1").stdout
    assert "project:    code, 2 files, " in told
    checked = run_genvx("remote", "check", "--project", str(code), "--csv").stdout.splitlines()
    found = [row for row in checked if ",code," in row]
    assert (len(found), ": is there" in found[0]) == (2, True)
    (code / "data").write_text("other")
    checked = run_genvx("remote", "-H", "gpu-server-1", "check", "--project", str(code)).stdout
    assert ": is not there; a run sends what is missing" in " ".join(checked.split())


def test_what_arrives_is_what_was_sent_and_only_what_changes_is_sent_again(sandbox, short_tmp):
    plant(short_tmp / "odd")
    done = run(short_tmp / "odd", "--", "sh", "-c", "pwd")
    assert done.returncode == 0, done.stderr
    work = done.stdout.splitlines()[1]
    assert seen(work) == seen(short_tmp / "odd")
    sent: list[tuple[int, int]] = []
    with connect_fleet(load(sandbox.hostfile), config=sandbox.ssh_config) as fleet:
        host = fleet.hosts[0]
        project = Gathered(str(short_tmp / "odd")).read(os.environ)
        host.send_tree(project, lambda done, total: sent.append((done, total)))
        assert sent == []
        (short_tmp / "odd" / "run.sh").write_bytes(b"other")
        project = Gathered(str(short_tmp / "odd")).read(os.environ)
        host.send_tree(project, lambda done, total: sent.append((done, total)))
        assert sent == [(0, 5), (5, 5)]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_client_starts_nothing_and_the_next_goes_on(sandbox, short_tmp, how):
    code = short_tmp / "code"
    code.mkdir()
    for number in range(200):
        (code / str(number)).write_bytes(os.urandom(1 << 18))
    words = ["remote", "run", "-d", "--project", str(code), "--", "true"]
    client = start_genvx(*words)
    store = Path(sandbox.hosts[0].home).parents[1] / "cache" / "genvx" / "trees"

    def arrived():
        return len(list(store.glob("*.*/files/*")))

    until(lambda: arrived() > 5, "a part has come")
    client.send_signal(how)
    said = client.communicate()[1]
    assert ("genvx: interrupted; no run was started, and " in said) == (how == signal.SIGINT)
    assert "may have started" not in said
    assert 5 < arrived() < 200
    assert run_genvx("remote", "runs").stdout.endswith("Total 0 runs\n")
    sent: list[tuple[int, int]] = []
    with connect_fleet(load(sandbox.hostfile), config=sandbox.ssh_config) as fleet:
        project = Gathered(str(code)).read(os.environ)
        fleet.hosts[0].send_tree(project, lambda done, total: sent.append((done, total)))
    assert 0 < sent[-1][1] < 195 << 18
    assert [each.name for each in store.iterdir()] == [project.recorded.tree]


@pytest.mark.needs("root", "namespaces")
def test_a_disk_without_room_for_the_code_is_said_in_one_line(sandbox, code):
    (code / "large").write_bytes(os.urandom(1 << 20))
    store = Path(sandbox.hosts[0].home).parents[1] / "cache" / "genvx" / "trees"
    with disk(store):
        refused = run(code, "--only-host", "gpu-server-1", "--", "true")
        assert refused.returncode == 6
        line = refused.stderr.splitlines()[-1]
        assert line.startswith(f"genvx: gpu-server-1: cannot write to {store}: the disk is full")
        assert os.listdir(store) == []
    assert run_genvx("remote", "runs").stdout.endswith("Total 0 runs\n")


_SMALL = """
mount -t tmpfs -o size=1500k none $GENVX_RUNS_DIR
{genvx} run -d -w -g 1 --project code -- true; echo $?
{genvx} runs info 1 | grep state
{genvx} devices --no-summary
"""


@pytest.mark.needs("namespaces")
def test_a_copy_that_cannot_be_made_is_a_failed_run_whose_gpus_are_free(state, code, short_tmp):
    (code / "large").write_bytes(os.urandom(1 << 20))
    place = short_tmp / "runs"
    place.mkdir()
    script = _SMALL.format(genvx=" ".join(genvx_argv()))
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
        env=genvx_env(GENVX_RUNS_DIR=str(place)),
        cwd=short_tmp,
        capture_output=True,
        text=True,
    )
    assert "the disk is full" in done.stderr
    _, code_line, state_line, *table = done.stdout.splitlines()
    assert code_line == "1"
    assert state_line.startswith("state:      failed (code): cannot copy the project to ")
    assert all("free" in line for line in table[1:]), done.stdout


def test_on_several_hosts_each_part_has_a_copy(sandbox, code):
    done = run(code, "--nodes", "2", "-g", "1", "--", "sh", "-c", "echo x >>data; cat data")
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()[1:]) == [f"gpu-server-{n} | epochx" for n in (1, 2)]


def test_a_local_run_has_a_copy_too_and_genvx_toml_may_name_the_project(state, code, monkeypatch):
    (code / ".genvx.toml").write_text('project = "."\n')
    monkeypatch.chdir(code / "sub")
    line = "pwd; ls; echo more >>data"
    done = run_genvx("run", "-d", "-w", "--", "sh", "-c", line)
    place, *files = done.stdout.splitlines()[1:]
    assert (place.endswith("/work"), files) == (True, ["data", "sub", "train.py"]), done.stderr
    assert (code / "data").read_text() == "epoch"
    plain = run_genvx("run", "-d", "-w", "--no-load", "--", "pwd")
    assert plain.stdout.splitlines()[1] == str(code / "sub")


@pytest.mark.needs("git")
def test_the_record_says_how_the_code_differed_and_runs_are_compared_by_their_files(
    state, code, monkeypatch
):
    monkeypatch.chdir(code)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "train.py", "data"], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    (code / "data").write_text("\x1b[31mred\n\ttab\n")
    words = ("run", "-d", "-w", "--project", ".", "--", "true")
    one = run_genvx(*words).stdout.split()[0]
    (code / "new").write_text("")
    (code / "train.py").chmod(0o755)
    two = run_genvx(*words).stdout.split()[0]
    told = run_genvx("runs", "info", one)
    assert " with changes\n" in told.stdout
    again = run_genvx("runs", "restart", one).stdout.strip()
    run_genvx("watch", again)
    diff = run_genvx("runs", "info", one, "--diff").stdout
    assert diff.endswith("+\\x1b[31mred\n+\ttab\n")
    assert run_genvx("runs", "info", again, "--diff").stdout == diff
    assert "New, and not known to git: new\n" in run_genvx("runs", "info", two, "--diff").stdout
    document = json.loads(run_genvx("runs", "info", one, "--diff", "--json").stdout)
    VALIDATOR.validate(document)
    assert "+\x1b[31mred\n" in document["hosts"][0]["runs"][0]["diff"]
    rows = run_genvx("runs", "compare", one, two, again, "--csv").stdout.splitlines()
    assert {"new,not there,version 1,not there", "train.py,version 1,version 2,version 1"} < {*rows}
    assert not [row for row in rows if row.startswith("data,")]
    document = json.loads(run_genvx("runs", "compare", one, two, "--json").stdout)
    VALIDATOR.validate(document)
    assert {"name": "new", "versions": [None, 1]} in document["files"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--project", "nowhere", "--", "true"), "no such directory: "),
        (("--project", "train.py", "--", "true"), "train.py is not a directory"),
        (("--project", "/", "--yes", "--", "true"), "/ is the whole machine"),
        (("--project", "", "--", "true"), "--project is empty"),
        (("--project", ".", "-C", "/tmp", "--", "true"), "the project has no directory "),
        (("--project", ".", "-C", "../x", "--", "true"), "the project has no directory "),
        (("--project", ".", "-C", "data", "--", "true"), "the project has no directory "),
    ],
)
def test_what_is_no_project_is_refused(state, code, monkeypatch, words, said):
    monkeypatch.chdir(code)
    refused = run_genvx("run", "-d", *words)
    assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr


def test_a_large_project_is_sent_only_if_somebody_says_so(state, code, monkeypatch):
    with open(code / "weights\x1b", "wb") as file:
        file.truncate(2 << 30)
    monkeypatch.chdir(code)
    refused = run_genvx("run", "-d", "--project", ".", "--", "true")
    assert refused.returncode == 2
    assert "the project has 3 files, 2 GiB; the largest are weights\\x1b (1 file, 2 GiB), " in (
        refused.stderr
    )
    shutil.rmtree(code)


def test_a_home_is_sent_only_if_somebody_says_so(state, code, monkeypatch):
    monkeypatch.setenv("HOME", str(code / "sub" / "me"))
    monkeypatch.chdir(code)
    refused = run_genvx("run", "-d", "--project", ".", "--", "true")
    assert (refused.returncode, ". has your home in it" in refused.stderr) == (2, True)
    monkeypatch.setenv("HOME", str(code / "sub"))
    sent = run_genvx("run", "-d", "-w", "--yes", "--project", "~", "--", "true")
    assert sent.returncode == 0, sent.stderr


def test_a_project_that_changes_meanwhile_is_read_again_three_times_in_all(monkeypatch, capsys):
    tried = []

    def start(*asked, **more):
        tried.append(1)
        if len(tried) < outcome:
            raise ProjectChanged("data was changed while the project was sent")
        return 0

    monkeypatch.setattr(detach, "_start", start)
    outcome = 3
    assert detach.start_detached(Where(), None, [], detach.Detach()) == 0
    assert capsys.readouterr().err.count("reading it again") == 2
    outcome = 9
    with pytest.raises(ProjectChanged):
        detach.start_detached(Where(), None, [], detach.Detach())
    assert len(tried) == 3 + 3
