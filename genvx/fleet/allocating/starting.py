"""Asking for the allocation of a remote, waiting for its nodes, and giving it back."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from genvx.core.quantities.ages import format_duration
from genvx.errors import CloudError, HostError, WaitedTooLong
from genvx.fleet.allocating.login import Login
from genvx.fleet.allocating.remote import hosts_of, name_of, note_of, options_of
from genvx.fleet.fleet import connect_fleet
from genvx.fleet.plainly import end_line, start_line
from genvx.ssh.defaults import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from genvx.fleet.allocating.jobs import Job
    from genvx.fleet.hosts.hostspec import HostSpec
    from genvx.fleet.remotes.remote import Remote
    from genvx.fleet.sshhost import SSHHost

_PAUSE = 2.0
# Seconds until a job that was accepted is in the queue, for everybody.
_ACCEPTED = 15.0
# And until its nodes are free when it is cancelled; Slurm goes on without us.
_ENDING = 60.0


class Allocation:
    """Allocation is a remote whose nodes are asked for or given back.

    tell: called with a line for people. job: what Slurm has for it, as far as is known.
    """

    def __init__(
        self,
        remote: Remote,
        tell: Callable[[str], object],
        environ: Mapping[str, str] | None = None,
        prompt: Callable[[str], str | None] | None = None,
    ) -> None:
        remote.require_ssh()
        self.remote = remote
        self.name = remote.name
        self.tell = tell
        self.job: Job | None = None
        self._environ = os.environ if environ is None else environ
        self._prompt = prompt
        self._login = Login(remote.specs()[0], environ, prompt)

    def close(self) -> None:
        """Close the connection to the login node."""
        self._login.close()

    @property
    def there(self) -> str:
        """What Slurm has for it now, in words."""
        if self.job is None or not self.job.live:
            return (
                "whether there is a job in Slurm's queue is not known: genvx remotes status "
                f"{self.name} says it"
            )
        return (
            f"job {self.job.id} is {self.job.why}; it is given back with genvx remotes stop "
            f"{self.name}"
        )

    def look(self) -> Job | None:
        """Ask Slurm for the job that counts; an extra one of ours that never ran is cancelled."""
        jobs = self._login.jobs(name_of(self.remote))
        live = [job for job in jobs if job.live]
        self.job = live[0] if live else (jobs[0] if jobs else None)
        for extra in live[1:]:
            # Two started at once. Slurm would start the second when the first ends, unasked.
            self._login.cancel(extra)
        return self.job

    def start(self, patience: float) -> tuple[HostSpec, ...]:
        """Have Slurm give the remote its nodes, once; return them as hosts.

        patience: seconds to wait for them. What is in the queue stays there.

        Raises:
            WaitedTooLong: there are none yet; the message has the reason. CloudError: Slurm refuses
            what is asked for, or has ended it. HostError: the login node cannot be asked.
        """
        job = self.look()
        if job is not None and job.live:
            self.tell(f"{self.name}: job {job.id} is there already")
            if job.note not in ("", "(null)", note_of(self.remote)):
                self.tell(
                    f"{self.name}: job {job.id} was asked for with other values than remotes.yml "
                    f"has now; a new one has them: genvx remotes stop {self.name}, then start it "
                    "again"
                )
        else:
            job = self._ask(0 if job is None else job.id)
        return self._wait(job, patience)

    def _ask(self, former: int) -> Job:
        """Ask for the allocation. former: the id of one that has ended."""
        try:
            self._login.submit(options_of(self.remote))
        except CloudError as error:
            # "Socket timed out" may mean that it was accepted all the same.
            job = self.look() if "imed out" in str(error) else None
            if job is None or not job.live:
                raise CloudError(f"could not allocate nodes for {self.name}: {error}") from None
        end = time.monotonic() + _ACCEPTED
        while True:
            job = self.look()
            if job is not None and job.id > former:
                return job
            if time.monotonic() > end:
                raise CloudError(f"Slurm took the job of {self.name}, and does not list it")
            time.sleep(_PAUSE)

    def _wait(self, job: Job, patience: float) -> tuple[HostSpec, ...]:
        end, said = time.monotonic() + patience, ""
        while True:
            if job.never:
                self._login.cancel(job)
                raise CloudError(
                    f"could not allocate nodes for {self.name}: job {job.id} would never start, so "
                    f"it is cancelled: {job.reason}: {job.never}"
                )
            if not job.waits:
                break
            if job.why != said:
                said = job.why
                self.tell(f"{self.name}: job {job.id} is {said}")
            if time.monotonic() > end:
                raise WaitedTooLong(
                    f"{self.name} has no nodes after {format_duration(patience)}: job {job.id} is "
                    f"{job.why}; it stays in the queue: start it again to wait on, or stop it with "
                    f"genvx remotes stop {self.name}"
                )
            time.sleep(_PAUSE)
            job = self.look() or job
        hosts = hosts_of(self.remote, job)
        self._enter(job, hosts)
        return hosts

    def _enter(self, job: Job, hosts: tuple[HostSpec, ...]) -> None:
        """Run a step on each node, so that a cluster that allows none is known at once."""

        def run(host: SSHHost) -> None:
            code = end_line(host, start_line(host, "exit 0"), out=2)
            if code:
                raise CloudError(f"a step on {host.name} ends with exit code {code}")

        config = self._environ.get("GENVX_SSH_CONFIG") or None
        with connect_fleet(hosts, timeout=TIMEOUT, config=config, prompt=self._prompt) as fleet:
            for error in fleet.ask(run).failed.values():
                message = f"could not run on the nodes of {self.name}: {error}; {self.there}"
                if isinstance(error, HostError):
                    raise type(error)(message, kind=error.kind)
                raise CloudError(message)

    def stop(self, confirm: Callable[[str], None]) -> tuple[int, ...]:
        """Give the allocation back, or take it out of the queue; return the ids of the jobs.

        confirm: asked with a line before; raises InvalidInput where the answer is no.

        Raises:
            CloudError: Slurm does not do it. HostError: the login node cannot be asked.
        """
        name = name_of(self.remote)
        live = [job for job in self._login.jobs(name) if job.live]
        if not live:
            return ()
        self.job = live[0]
        ids = " and ".join(str(job.id) for job in live)
        what = "what runs there ends" if live[0].held else "it has no nodes yet"
        confirm(f"give back job {ids}; {what}")
        for job in live:
            self._login.cancel(job)
        end = time.monotonic() + _ENDING
        while left := [job for job in self._login.jobs(name) if job.live or job.ends]:
            if time.monotonic() > end:
                self.tell(f"{self.name}: job {left[0].id} is cancelled, and still {left[0].why}")
                break
            time.sleep(_PAUSE / 4)
        return tuple(job.id for job in live)
