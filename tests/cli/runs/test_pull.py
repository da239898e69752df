"""What a run has made, copied to this machine."""

from __future__ import annotations

import os
import signal

import pytest

from tests.conftest import run_genvx
from tests.helpers import start_genvx, until
from tests.local.trees.trees import plant, seen

pytestmark = pytest.mark.needs("openssh")
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
    first = pull("1", cwd=here)
    assert first.returncode == 0, first.stderr
    assert first.stdout.endswith(f" of run {run} from gpu-server-1 into {run}\n")
    assert set(first.stderr.splitlines()) == {
        "genvx: not copied: pipe is neither a file nor a link",
        "genvx: not copied: work/out leads out of the run's directory",
    }
    work = here / run / "work"
    assert sorted(os.listdir(work)) == ["best", "data", "made"]
    assert (work / "data").read_text() == "changed\n"
    assert (here / run / "log").read_text() == "hello\n"
    assert seen(work / "made") == seen(short_tmp / "odd")
    assert pull("1", cwd=here).stdout.startswith("Pulled 0 files of run")
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
    until(lambda: run_genvx("remote", "logs", run).stdout == "made\n", "it is made")
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
        (("nobody",), "no run 'nobody'"),
    ],
)
def test_a_bad_pull_is_refused(sandbox, short_tmp, words, said):
    refused = pull(*words, cwd=short_tmp)
    assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr
