"""What Slurm says is read strictly: it comes from outside."""

from __future__ import annotations

import pytest

from genvx.core.device import Device
from genvx.core.usage import Driver
from genvx.errors import CloudError, InvalidInput
from genvx.fleet.allocating.jobs import complaint, nodes_of, read_jobs
from genvx.fleet.hosts.step import Step
from genvx.local.devices.allocated import KEPT, kept_names, within_job
from genvx.local.devices.inventory import Inventory


def test_a_job_is_read_with_its_reason_whatever_is_in_that():
    (job,) = read_jobs(["12|PENDING|4:00:00||genvx-ab|(Nodes|down)\x1b[2J"])
    assert (job.id, job.waits, job.held, job.nodes) == (12, True, False, ())
    assert "\x1b" not in job.why
    assert "Nodes|down" in job.why


def test_the_job_that_has_its_nodes_counts_and_of_those_that_wait_the_oldest():
    lines = [
        "9|TIMEOUT|0:00|n1|x|TimeLimit",
        "14|PENDING|1:00:00||x|Dependency",
        "13|PENDING|1:00:00||x|Priority",
        "12|RUNNING|59:00|n[1-2]|x|None",
        "10|CANCELLED|0:00|n1|x|None",
    ]
    assert [job.id for job in read_jobs(lines)] == [12, 13, 14, 10, 9]


@pytest.mark.parametrize(
    "line",
    [
        "squeue: error: Unable to contact slurm controller",
        "0|RUNNING|1:00|n1|x|None",
        "-1|RUNNING|1:00|n1|x|None",
        "1;id|RUNNING|1:00|n1|x|None",
        "1|running|1:00|n1|x|None",
        "1|RUNNING|soon|n1|x|None",
        "1|RUNNING|1:00|n1$(id)|x|None",
        "1|RUNNING|1:00|-oProxyCommand=id|x|None",
    ],
)
def test_a_line_that_is_none_of_squeues_is_an_error(line):
    with pytest.raises(CloudError):
        read_jobs([line])


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("gpu1", ("gpu1",)),
        ("gpu[01-03,7]", ("gpu01", "gpu02", "gpu03", "gpu7")),
        ("gpu[1-2],big-a", ("gpu1", "gpu2", "big-a")),
        ("r[1-2]n[1-2]", ("r1n1", "r1n2", "r2n1", "r2n2")),
        ("(null)", ()),
        ("", ()),
    ],
)
def test_lists_of_nodes_are_expanded(text, names):
    assert nodes_of(text) == names


@pytest.mark.parametrize("name", ["", "-w", "a b", "a;id", "a\n", "$(id)", "../x", "a" * 256])
def test_a_node_whose_name_is_none_never_gets_into_a_command(name):
    with pytest.raises(InvalidInput):
        Step(1, name)


def test_a_line_for_a_node_has_only_words_that_all_shells_read_alike():
    line = Step(7, "n1").line("echo 'it''s' \"$HOME\" \\ ! `id`\n")
    assert "\n" not in line
    assert "!" not in line
    assert "`" not in line


def test_a_complaint_has_what_the_site_says_and_what_became_of_it():
    said = (
        "sbatch: error: Name an account.\x1b[1m\n"
        "sbatch: error: Batch job submission failed: Unspecified error\n"
    )
    assert complaint(said) == "Name an account.\\x1b[1m; Unspecified error"
    assert complaint("") == "it said nothing"


@pytest.mark.parametrize(
    ("state", "left", "seconds"),
    [
        ("RUNNING", "0:05", 5),
        ("RUNNING", "59:00", 3540),
        ("RUNNING", "1:02:03", 3723),
        ("RUNNING", "2-00:00:01", 172801),
        ("RUNNING", "UNLIMITED", None),
        ("RUNNING", "INVALID", None),
        ("RUNNING", "0:00", None),
        ("PENDING", "20:00", None),
    ],
)
def test_the_time_that_a_job_has_left_is_read(state, left, seconds):
    (job,) = read_jobs([f"1|{state}|{left}|n1|x|None"])
    assert job.seconds_left == seconds


def _inventory() -> Inventory:
    devices = tuple(Device(f"GPU-{n}abc", n, "A100", 1) for n in range(4))
    return Inventory(Driver(version="1"), devices)


@pytest.mark.parametrize(
    ("environ", "left"),
    [
        ({}, [0, 1, 2, 3]),
        ({"CUDA_VISIBLE_DEVICES": "2"}, [0, 1, 2, 3]),
        ({"SLURM_JOB_ID": "1", "CUDA_VISIBLE_DEVICES": "1,3"}, [1, 3]),
        ({"SLURM_JOB_ID": "1", "CUDA_VISIBLE_DEVICES": "GPU-2abc"}, [2]),
        ({"SLURM_JOB_ID": "1", "CUDA_VISIBLE_DEVICES": "9"}, []),
        ({"SLURM_JOB_ID": "1", "CUDA_VISIBLE_DEVICES": "NoDevFiles"}, []),
        # A job that asked for no GPU.
        ({"SLURM_JOB_ID": "1"}, []),
        # In an environment, which has one of them.
        (
            {
                "SLURM_JOB_ID": "1",
                KEPT: "1,3",
                "CUDA_VISIBLE_DEVICES": "GPU-1abc",
                "GENVX_ENVIRONMENT_ID": "12345678",
            },
            [1, 3],
        ),
    ],
)
def test_in_a_job_only_its_gpus_are_there(environ, left):
    found = within_job(_inventory(), environ)
    assert [device.index for device in found.devices] == left
    again = within_job(_inventory(), {**environ, **kept_names(environ)})
    assert again.devices == found.devices


def test_a_job_without_gpus_says_so():
    (note,) = within_job(_inventory(), {"SLURM_JOB_ID": "1"}).driver.notes
    assert "job 1 of Slurm asked for no GPU here" in note
