"""The path by which mpirun finds the directory of a command on each host."""

from __future__ import annotations

import os
import shutil

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
        shutil.rmtree(f"/tmp/.gv-{run}-way", ignore_errors=True)
