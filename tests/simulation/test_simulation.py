from __future__ import annotations

import pytest

from simulation.schedulers import ALL, Backfill, FirstFit, Genvx
from simulation.workload import Job, from_file, made_up
from simulation.world import World, replay


def job(number, arrival, gpus, duration):
    return Job(number, float(arrival), gpus, float(duration), "u", float(duration))


def waits(kind, hosts, *jobs):
    world = World(hosts, 4)
    replay(jobs, world, kind(world))
    return [world.started[job.number] - job.arrival for job in jobs]


@pytest.mark.parametrize("kind", ALL)
def test_every_job_runs_and_no_device_is_given_twice(kind):
    """The world itself refuses what is taken."""
    jobs = made_up(800, 40, 1.1, seed=5)
    world = World(5, 8)
    result = replay(jobs, world, kind(world))
    assert len(world.started) == 800
    assert world.busy == 0
    assert all(wait >= 0 for each in result.waits.values() for wait in each)
    assert 0 < result.utilization <= 1


# One host: a small job runs for 10, one of four devices waits, small ones come behind it.
STARVING = (job(0, 0, 1, 10), job(1, 1, 4, 5), job(2, 2, 1, 9), job(3, 9, 1, 9), job(4, 15, 1, 1))


def test_genvx_does_not_starve_a_large_job_and_first_fit_does():
    assert waits(Genvx, 1, *STARVING)[1] == 9
    assert waits(FirstFit, 1, *STARVING)[1] == 17


def test_backfill_lets_those_go_before_who_do_not_delay_the_first():
    """The third takes 9 and would; one that takes 8 does not."""
    assert waits(Backfill, 1, *STARVING)[:3] == [0, 9, 13]
    assert waits(Backfill, 1, job(0, 0, 1, 10), job(1, 1, 4, 5), job(2, 2, 1, 8))[2] == 0


def test_a_large_job_keeps_one_host_and_leaves_the_other():
    busy = (job(0, 0, 3, 10), job(1, 0, 3, 10))
    assert waits(Genvx, 2, *busy, job(2, 1, 4, 1), job(3, 2, 1, 1))[2:] == [9, 0]


def test_a_workload_is_read_from_a_file(tmp_path):
    path = tmp_path / "w.csv"
    path.write_text("arrival,gpus,duration,user\n5,2,60,ann\n1,1,30,bob\n")
    assert [(j.arrival, j.gpus, j.duration, j.user) for j in from_file(path)] == [
        (1, 1, 30, "bob"),
        (5, 2, 60, "ann"),
    ]


@pytest.mark.parametrize("line", ["x,1,2,u", "1,1,0,u", "1", "-1,1,1,u"])
def test_a_bad_line_of_a_workload_is_named(tmp_path, line):
    path = tmp_path / "w.csv"
    path.write_text(f"arrival,gpus,duration,user\n{line}\n")
    with pytest.raises(SystemExit, match="line 2: not a job"):
        from_file(path)
