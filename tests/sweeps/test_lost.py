"""Sweeps whose hosts go away and come back: no trial is lost, and none runs twice."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.helpers import PATIENCE, end, genvx_argv, genvx_env, until
from torture.wires import cable

pytestmark = pytest.mark.needs("openssh", "cables")

# Each trial says that it begins, and where, and that its GPU is its own; it ends when it may.
_TRIAL = """
echo "$GENVX_TRIAL $(basename "$(dirname "$HOME")")" >> {place}/begun
mkdir "$HOME/$CUDA_VISIBLE_DEVICES" || echo "$GENVX_TRIAL" >> {place}/clash
until [ -e {place}/go-$GENVX_TRIAL ] || [ -e {place}/go ]; do sleep 0.05; done
rmdir "$HOME/$CUDA_VISIBLE_DEVICES"
echo {{lr}} >> "$GENVX_REPORT"
"""


def begun(place):
    """The trials that have begun, with their hosts, in their order."""
    path = Path(place, "begun")
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(number), host) for number, _, host in (line.partition(" ") for line in lines)]


def test_a_host_that_is_killed_and_comes_back_loses_no_trial_and_runs_none_twice(
    sandbox, short_tmp, monkeypatch
):
    monkeypatch.setenv("XDG_DATA_HOME", str(short_tmp / "data"))
    near, away = sandbox.hosts
    words = ("remote", "--host-lost-after", "2", "-t", "4", "sweep", "--tuner", "random")
    script = _TRIAL.format(place=short_tmp)
    words = (*words, "-P", "lr=0..1", "-g", "1", "--trials", "8", "--", "sh", "-c", script)
    with cable() as far, open(short_tmp / "said", "wb") as said:
        far.move(sandbox, near=[near.name])
        process = subprocess.Popen(
            far.command(genvx_argv(*words)), env=genvx_env(), start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, text=True,
        )  # fmt: skip
        try:
            until(lambda: len(begun(short_tmp)) == 3)
            first, second = (number for number, host in begun(short_tmp) if host == away.name)
            far.cut()
            until(lambda: f"{away.name}: " in (short_tmp / "said").read_text())
            # One ends while its host is away, and the other one after that. The other host goes on.
            (short_tmp / f"go-{first}").touch()
            (short_tmp / f"go-{3 - first - second}").touch()
            until(lambda: len(begun(short_tmp)) == 4)
            far.kill(away)
            far.mend()
            far.serve(away)
            until(lambda: f"{away.name} answers again" in (short_tmp / "said").read_text())
            (short_tmp / "go").touch()
            process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, (short_tmp / "said").read_text()
        finally:
            end(process)
    numbers = [number for number, _ in begun(short_tmp)]
    assert sorted(numbers) == list(range(8))
    assert not (short_tmp / "clash").exists()
    done = subprocess.run(
        genvx_argv("sweeps", "export", "--json"), env=genvx_env(), stdout=-1, check=True
    )
    trials = json.loads(done.stdout)["trials"]
    assert {each["state"] for each in trials} == {"completed"}
    assert [each["value"] for each in trials] == [each["parameters"]["lr"] for each in trials]
    assert "starts again" not in (short_tmp / "said").read_text()
