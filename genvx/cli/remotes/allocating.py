"""genvx remotes start, stop and status for allocations of Slurm: what is asked and said."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from genvx.core.quantities.ages import format_duration
from genvx.core.text import printable
from genvx.errors import InvalidInput, NotRunning
from genvx.shown.console import tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.cli.schema.document import Plain
    from genvx.fleet.allocating.jobs import Job
    from genvx.fleet.hosts.hostspec import HostSpec
    from genvx.fleet.remotes.remote import Remote


def start(remote: Remote, *, reinit: bool, patience: float, json: bool) -> int:
    """Have Slurm give a remote its nodes; return 0.

    Raises:
        GenvxError: Slurm refuses it, or there are no nodes in time; the message has the reason.
    """
    from genvx.cli.ask.prompt import prompt
    from genvx.fleet.allocating.starting import Allocation

    if reinit:
        raise InvalidInput(f"remote {remote.name} is of type slurm, and has no init to run")
    with contextlib.closing(Allocation(remote, tell, prompt=prompt())) as allocation:
        try:
            hosts = allocation.start(patience)
        except KeyboardInterrupt:
            tell(f"interrupted; {allocation.there}")
            raise
        job = allocation.job
    if json:
        from genvx.cli.schema.document import print_document

        each: list[Plain] = [{"host": host.name, "ok": True, "exit_code": 0} for host in hosts]
        print_document("remotes start", hosts=each, job=_plain(job))
    else:
        assert job is not None
        print(printable(f"{remote.name} ({_about(job)}) is available"))
    return 0


def stop(remote: Remote, *, confirm: Callable[[str], None], json: bool) -> None:
    """Give the allocation of a remote back. Raises as `start`."""
    from genvx.cli.ask.prompt import prompt
    from genvx.fleet.allocating.starting import Allocation

    with contextlib.closing(Allocation(remote, tell, prompt=prompt())) as allocation:
        try:
            gone = allocation.stop(confirm)
        except KeyboardInterrupt:
            tell(f"interrupted; {allocation.there}")
            raise
        job = allocation.job
    if json:
        from genvx.cli.schema.document import print_document

        print_document("remotes stop", remote=remote.name, machine=None, job=_plain(job))
    elif gone:
        jobs = f"job {gone[0]} is" if len(gone) == 1 else f"jobs {' and '.join(map(str, gone))} are"
        tell(f"{remote.name}: {jobs} given back")
    else:
        tell(f"{remote.name} has no allocation; there is nothing to give back")


def look(remote: Remote) -> tuple[tuple[HostSpec, ...], str, Plain | None]:
    """Ask Slurm how the allocation of a remote is: its nodes, what is said of it, and for --json.

    Without nodes, what is said is why.

    Raises:
        CloudError: Slurm does not say it. HostError: the login node cannot be asked.
    """
    from genvx.cli.ask.prompt import prompt
    from genvx.fleet.allocating import remote as asked

    remote.require_ssh()
    job = asked.look(remote, prompt=prompt())
    plain = None if job is None else _plain(job)
    try:
        hosts = asked.hosts_of(remote, job)
    except NotRunning as error:
        return (), str(error), plain
    assert job is not None
    return hosts, _about(job), plain


def _about(job: Job) -> str:
    left = job.seconds_left
    ends = "without a time limit" if left is None else f"ends in {format_duration(left)}"
    return f"job {job.id}, {','.join(job.nodes)}, {ends}"


def _plain(job: Job | None) -> Plain | None:
    if job is None:
        return None
    return {
        "id": job.id,
        "state": job.state,
        "reason": job.reason,
        "left": job.left,
        "left_seconds": job.seconds_left,
        "nodes": list(job.nodes),
    }
