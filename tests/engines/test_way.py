"""The path by which mpirun finds the directory of a command on each host."""

from __future__ import annotations

import glob
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from genvx.engines.onhost.mpirun import Way


@pytest.mark.needs("root")
def test_a_path_that_another_user_has_made_leads_nobody(tmp_path):
    run = os.urandom(4).hex()
    theirs = f"/tmp/gv-{run}-way"
    os.mkdir(theirs)
    try:
        os.symlink(tmp_path, f"{theirs}/work")
        os.chown(theirs, 65534, 65534)
        with pytest.raises(OSError, match="not empty"):
            Way(run)
    finally:
        shutil.rmtree(theirs)
    assert not glob.glob(f"/tmp/.gv-{run}-*")


def test_two_nodes_of_a_job_on_one_machine_find_it_at_the_same_moment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = os.urandom(4).hex()
    begin = threading.Barrier(8)

    def found(_):
        begin.wait()
        way = Way(run)
        return way, os.path.realpath(way.path)

    with ThreadPoolExecutor(8) as pool:
        ways = list(pool.map(found, range(8)))
    try:
        assert {path for _, path in ways} == {os.path.realpath(tmp_path)}
        assert sum(way._scratch is not None for way, _ in ways) == 1
    finally:
        for way, _ in ways:
            way.remove()
    assert not os.path.lexists(ways[0][0].path)
