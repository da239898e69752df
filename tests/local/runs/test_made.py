"""What a run has made, where its directory is odd."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from genvx.core.projects.manifest import PIECE
from genvx.core.wire.treeoperations import PullRun
from genvx.errors import InvalidInput, StateError
from genvx.local.runs.made import made
from genvx.local.trees.project import Gathered
from tests.helpers import until
from tests.local.runs.test_runs import ends_as, shell


def found(host, run):
    done = made(host, PullRun(run.id), lambda: None)
    return [each.name for each in done.files.manifest.entries], done.left_out


def nest(place, name, levels):
    place.mkdir(exist_ok=True)
    before = os.open(".", os.O_RDONLY)
    os.chdir(place)
    try:
        for _ in range(levels):
            os.mkdir(name)
            os.chdir(name)
    finally:
        os.fchdir(before)
        os.close(before)


def test_what_no_tree_can_have_is_left_out_by_name_and_the_rest_is_found(host, start, catalog):
    run = start(shell("touch -d @90000000000 late; touch last; sleep 1000"))
    work = Path(host.environ["GENVX_RUNS_DIR"], run.id, "work")
    until(lambda: (work / "last").exists())
    nest(work / "deep", "d", 1200)
    nest(work, "n" * 200, 30)
    try:
        names, left_out = found(host, run)
        assert names[:4] == [b"log", b"work", b"work/deep", b"work/deep/d"]
        assert (b"work/last" in names, b"work/late" in names) == (True, False)
        assert max(map(len, names)) < 4096
        assert sorted(each.rpartition(": ")[2] for each in left_out) == [
            "no such name can be",
            "no such time can be",
        ]
        with pytest.raises(InvalidInput, match="is more than 200 directories deep"):
            Gathered(str(work))
        catalog.stop(run.id, force=True)
        ends_as(catalog, run, "stopped")
        catalog.delete(run.id)
        with pytest.raises(StateError, match="too many directories in directories"):
            catalog.purge(run.id)
    finally:
        subprocess.run(["rm", "-rf", host.environ["GENVX_RUNS_DIR"]], check=True)


def test_a_run_that_waits_has_made_nothing(host, start):
    start(shell("sleep 1000", gpus=2))
    waits = start(shell("sleep 1000", gpus=2), patience=600.0)
    assert found(host, waits) == ([b"log"], ())


def test_a_run_that_replaced_its_directory_is_refused_in_one_line(host, start, tmp_path):
    run = start(shell(f'here=$PWD; cd /; rmdir "$here"; ln -s {tmp_path} "$here"; sleep 1000'))
    work = Path(host.environ["GENVX_RUNS_DIR"], run.id, "work")
    until(work.is_symlink)
    with pytest.raises(StateError, match=f"cannot read {work}: "):
        found(host, run)


def test_a_client_hears_of_us_also_while_one_large_file_is_read(host, start):
    run = start(
        shell("head -c 60000000 /dev/zero >big; head -c 60000000 /dev/zero; exec sleep 1000")
    )
    log = Path(host.environ["GENVX_RUNS_DIR"], run.id, "log")
    until(lambda: log.stat().st_size == 60_000_000)
    heard = []
    made(host, PullRun(run.id), lambda: heard.append(1))
    assert len(heard) >= 2 * 60_000_000 // PIECE
