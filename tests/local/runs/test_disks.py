"""Runs whose disk is full, or cannot be written: real file systems, in a mount namespace."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.helpers import genvx_argv, genvx_env

_FULL = """
import json, os, subprocess, sys
from genvx.core.runs.runstate import name_of
from genvx.errors import GenvxError
from genvx.local.host import LocalHost
from genvx.local.runs.catalog import RunCatalog
from genvx.local.runs.launch import submit
from tests.helpers import until
from tests.local.runs.test_runs import asked, shell

place, go = sys.argv[1:]
os.mkdir(place)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", place], check=True)
host = LocalHost()
catalog = RunCatalog(host)
full = shell(f"echo first; until [ -e {go} ]; do sleep 0.01; done; echo lost; exit 3")
run = submit(host, full)
log = open(f"{place}/{run.id}/log", "rb")
until(lambda: log.read() == b"first\\n")
with open(f"{place}/filler", "wb", buffering=0) as filler:
    try:
        while True:
            filler.write(b"x" * 512)
    except OSError:
        pass
    try:
        submit(host, asked("true"))
    except GenvxError as error:
        print(error)
    open(go, "w").close()
    until(lambda: len(host.snapshot().available) == 2)
    print(name_of(catalog.find(run.id).state))
os.unlink(f"{place}/filler")
until(lambda: name_of(catalog.find(run.id).state) == "failed")
print(catalog.find(run.id).state.end.exit_code, sorted(os.listdir(place)) == [run.id])
for line in open(f"{place}/{run.id}/events"):
    json.loads(line)
"""


def in_a_namespace(argv, **more):
    """Run something that mounts what nobody else is to see."""
    return subprocess.run(
        ["unshare", "--mount", "--propagation", "private", *argv],
        env=genvx_env(**more),
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.needs("namespaces")
def test_on_a_full_disk_the_gpus_are_free_at_the_end_and_the_end_is_written_once_there_is_room(
    state, short_tmp
):
    place = short_tmp / "runs"
    argv = [sys.executable, "-c", _FULL, str(place), str(short_tmp / "go")]
    answer = in_a_namespace(argv, GENVX_RUNS_DIR=str(place))
    assert answer.returncode == 0, answer.stderr
    refused, before, after = answer.stdout.splitlines()
    assert refused.startswith(f"cannot make the directory of a run in {place}: the disk is full;")
    assert before == "running"
    assert after == "3 True"


@pytest.mark.needs("namespaces")
def test_a_home_that_cannot_be_written_is_refused_with_what_to_choose_instead(state, short_tmp):
    home = short_tmp / "home"
    home.mkdir()
    words = " ".join(genvx_argv("run", "-d", "--", "true"))
    line = f"mount -t tmpfs -o ro none {home} && cd / && exec {words}"
    answer = in_a_namespace(["sh", "-c", line], HOME=str(home))
    assert answer.returncode == 6
    assert answer.stderr == (
        "genvx: without --gpus the command holds no GPU, and sees none\n"
        f"genvx: cannot make the directory of a run in {home}/.local/share/genvx/runs: the file "
        "system is read-only; choose another directory with GENVX_RUNS_DIR, or runs= in a "
        "hostfile\n"
    )
