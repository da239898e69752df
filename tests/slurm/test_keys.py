"""What remotes.yml may ask Slurm for, and what it may not."""

from __future__ import annotations

import json
import re

import pytest

from genvx.errors import GenvxError, InvalidInput
from genvx.fleet.allocating.remote import note_of, options_of
from genvx.fleet.remotes.reading import remote_named

HOSTILE = ["-x", "--wrap=id", "a b", "a;id", "a\nb", "$(id)", "`id`", "a'b", "a\x1b[2J", "", "a=b!"]


@pytest.fixture
def remote(tmp_path):
    """Makes a remote of keys."""

    def make(**keys):
        path = tmp_path / "remotes.yml"
        asked = {"type": "slurm", "host": "h", "time": "4h", **keys}
        path.write_text(json.dumps({"remotes": {"lab": asked}}))
        found = remote_named("lab", {"GENVX_REMOTES": str(path)})
        found.require_ssh()
        return found

    return make


@pytest.mark.parametrize("key", ["partition", "account", "qos", "reservation", "constraint"])
@pytest.mark.parametrize("text", HOSTILE)
def test_a_name_that_is_none_of_slurms_is_refused_before_anything_happens(remote, key, text):
    with pytest.raises(InvalidInput) as error:
        remote(**{key: text})
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    ("key", "text"),
    [
        *(("gpus", each) for each in ("0", "-1", "2;id", "a100:0", "a100:2,v100:1", "two")),
        *(("nodes", each) for each in ("0", "1025", "1-4", "-1")),
        *(("cpus", each) for each in ("0", "-1", "many")),
        *(("memory", each) for each in ("64GB", "-1", "all")),
        *(("time", each) for each in ("4", "0s", "10:30", "400d", "UNLIMITED", "-1h")),
        *(("host", each) for each in ("a,b", "h[1-2]", "-oProxyCommand=id")),
        ("init", "id"),
        ("hosts", "h"),
    ],
)
def test_an_amount_that_is_none_is_refused_before_anything_happens(remote, key, text):
    with pytest.raises(GenvxError):
        remote(**{key: text})


def test_each_key_is_one_option_of_sbatch(remote):
    found = remote(
        partition="a,b",
        account="lab-1",
        qos="high",
        reservation="r.1",
        constraint="[a100&nvlink|h100*2]",
        nodes="2",
        gpus="a100:4",
        cpus="16",
        memory="64G",
        time="90s",
    )
    assert options_of(found) == [
        *("--job-name=genvx-lab", "--dependency=singleton", "--no-requeue", "--output=/dev/null"),
        f"--comment={note_of(found)}",
        *("--nodes=2", "--ntasks-per-node=1", "--gres=gpu:a100:4", "--time=2"),
        *("--partition=a,b", "--account=lab-1", "--qos=high", "--reservation=r.1"),
        *("--constraint=[a100&nvlink|h100*2]", "--cpus-per-task=16", "--mem=64G"),
    ]
    assert re.fullmatch(r"genvx-[0-9a-f]{12}", note_of(found))


def test_the_note_of_a_job_differs_with_what_is_asked_for_only(remote):
    note = note_of(remote(time="1h"))
    assert note == note_of(remote(time="60m", description="mine"))
    assert note != note_of(remote(time="2h"))
