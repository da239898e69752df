"""A remote of type slurm: what is asked of Slurm for it, and where its nodes are."""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from genvx.core.quantities.durations import parse_duration
from genvx.errors import CloudError, GenvxError, NotRunning
from genvx.fleet.allocating.login import Login
from genvx.fleet.hosts.step import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from genvx.fleet.allocating.jobs import Job
    from genvx.fleet.hosts.hostspec import HostSpec
    from genvx.fleet.remotes.remote import Remote

# A key, and the option of sbatch that it becomes.
_OPTIONS = {
    "partition": "--partition",
    "account": "--account",
    "qos": "--qos",
    "reservation": "--reservation",
    "constraint": "--constraint",
    "cpus": "--cpus-per-task",
    "memory": "--mem",
}


def name_of(remote: Remote) -> str:
    """Return the name of its job, by which everybody with this remote finds it."""
    return f"genvx-{remote.name}"


def options_of(remote: Remote) -> list[str]:
    """Return the options of sbatch for a remote, with a note of what was asked for."""
    asked = [
        f"--nodes={remote.text('nodes') or 1}",
        "--ntasks-per-node=1",
        f"--gres=gpu:{remote.text('gpus') or 1}",
        f"--time={math.ceil(parse_duration(remote.text('time')) / 60)}",
    ]
    asked += [
        f"{option}={remote.text(key)}" for key, option in _OPTIONS.items() if remote.text(key)
    ]
    return [
        f"--job-name={name_of(remote)}",
        # Two that start at once would have two: of jobs with one name and one user, Slurm starts
        # one.
        "--dependency=singleton",
        # Another try would have other nodes, and nobody would know.
        "--no-requeue",
        "--output=/dev/null",
        f"--comment={digest(asked)}",
        *asked,
    ]


def digest(asked: list[str]) -> str:
    """Return a word that stands for what was asked for."""
    return f"genvx-{hashlib.sha256(' '.join(asked).encode()).hexdigest()[:12]}"


def note_of(remote: Remote) -> str:
    """Return the note that a job of the remote has, as it is written now."""
    return next(
        word.partition("=")[2] for word in options_of(remote) if word.startswith("--comment=")
    )


def look(
    remote: Remote,
    environ: Mapping[str, str] | None = None,
    prompt: Callable[[str], str | None] | None = None,
) -> Job | None:
    """Ask Slurm for the job of a remote, also for one that has ended a moment ago.

    Raises:
        CloudError: Slurm does not say it. HostError: the login node cannot be asked.
    """
    with Login(remote, environ, prompt) as login:
        jobs = login.jobs(name_of(remote))
    return jobs[0] if jobs else None


def nodes(
    remote: Remote,
    environ: Mapping[str, str] | None = None,
    prompt: Callable[[str], str | None] | None = None,
) -> tuple[HostSpec, ...]:
    """Ask Slurm for the nodes of a remote.

    Raises:
        NotRunning: it has none now; the message has the reason. And as `look`.
    """
    return hosts_of(remote, look(remote, environ, prompt))


def hosts_of(remote: Remote, job: Job | None) -> tuple[HostSpec, ...]:
    """Return the nodes of a job as hosts; raise NotRunning if it has none."""
    start = f"genvx remotes start {remote.name}"
    if job is None:
        raise NotRunning(f"remote {remote.name} has no allocation; ask for one: {start}")
    if job.waits:
        raise NotRunning(f"remote {remote.name} has no nodes yet: job {job.id} is {job.why}")
    if not job.held:
        raise NotRunning(
            f"remote {remote.name} has no allocation any more: job {job.id} is {job.why}; ask for "
            f"another one: {start}"
        )
    (login,) = remote.specs()
    if not job.nodes:
        raise CloudError(f"remote {remote.name}: job {job.id} is {job.why}, and names no nodes")
    left = job.seconds_left
    ends = None if left is None else time.monotonic() + left
    try:
        return tuple(
            replace(
                login,
                name=remote.name if len(job.nodes) == 1 else node,
                step=Step(job.id, node, ends),
            )
            for node in job.nodes
        )
    except GenvxError as error:
        raise CloudError(f"remote {remote.name}: {error}") from None
