"""Asking for the allocation of a remote, waiting for its nodes, and giving it back."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

from genvx.core.quantities.ages import format_duration
from genvx.errors import CloudError, HostError, WaitedTooLong
from genvx.fleet.allocating.login import Login, run_plainly
from genvx.fleet.allocating.remote import hosts_of, name_of, note_of, options_of
from genvx.fleet.fleet import connect_fleet
from genvx.ssh.defaults import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from genvx.fleet.allocating.jobs import Job
    from genvx.fleet.hosts.hostspec import HostSpec
    from genvx.fleet.remotes.remote import Remote
    from genvx.fleet.sshhost import SSHHost

# Seconds between looks at the queue, which grow: everybody's controller answers them.
_PAUSE, _LONGEST_PAUSE = 1.0, 20.0
# While one waits, so many questions in a row may stay without an answer.
_MOST_UNANSWERED = 10
# Seconds until a job that was accepted is in the queue, for everybody.
_ACCEPTED = 15.0
# And until its nodes are free when it is cancelled; Slurm goes on without us.
_ENDING = 60.0
# Seconds in which a step begins on a node that we have.
_ENTERING = 60.0


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
        self._unanswered = 0
        self._environ = os.environ if environ is None else environ
        self._prompt = prompt
        self._login = Login(remote, environ, prompt)

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
            # Two started at once. Slurm would start the second when the first ends, unasked. The
            # other start may have cancelled it; otherwise the next look does.
            if extra.waits:
                with contextlib.suppress(CloudError):
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
            try:
                job = self._ask(0 if job is None else job.id)
            except HostError as error:
                raise self._unknown(error) from None
        return self._wait(job, patience)

    def _unknown(self, error: HostError) -> HostError:
        """Return an error of the login node, with what that means for the job."""
        return type(error)(f"{error}; {self.there}", kind=error.kind)

    def _ask(self, former: int) -> Job:
        """Ask for the allocation. former: the id of one that has ended."""
        try:
            self._login.submit(options_of(self.remote))
        except CloudError as error:
            # "Socket timed out" may mean that it was accepted all the same.
            late = "timed out" in str(error)
            job = self.look() if late else None
            if job is None or not job.live:
                more = f"; {self.there}" if late else ""
                raise CloudError(f"could not allocate nodes: {error}{more}") from None
        end = time.monotonic() + _ACCEPTED
        while True:
            job = self.look()
            if job is not None and (job.live or job.id != former):
                return job
            if time.monotonic() > end:
                raise CloudError(
                    f"Slurm took the job of {self.name}, and does not list it; {self.there}"
                )
            time.sleep(_PAUSE)

    def _wait(self, job: Job, patience: float) -> tuple[HostSpec, ...]:
        end, said, pause = time.monotonic() + patience, "", _PAUSE
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
            left = end - time.monotonic()
            if left <= 0:
                raise WaitedTooLong(
                    f"{self.name} has no nodes after {format_duration(patience)}: job {job.id} is "
                    f"{job.why}; it stays in the queue: start it again to wait on, or stop it with "
                    f"genvx remotes stop {self.name}"
                )
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_PAUSE)
            found = self._look_again(job)
            if found is None:
                break
            job = found
        hosts = hosts_of(self.remote, self.job)
        self._enter(hosts)
        return hosts

    def _look_again(self, job: Job) -> Job | None:
        """Return a job that waits as it is now, or as it was where Slurm does not say it: people
        wait for hours, and its controller, or the way to it, may fail for a moment.
        """
        try:
            found = self.look()
        except (CloudError, HostError) as error:
            self._unanswered += 1
            if self._unanswered >= _MOST_UNANSWERED:
                if isinstance(error, HostError):
                    raise self._unknown(error) from None
                raise CloudError(f"{error}; {self.there}") from None
            if self._unanswered == 1:
                self.tell(f"{error}; it is asked again")
            return job
        self._unanswered = 0
        return found

    def _enter(self, hosts: tuple[HostSpec, ...]) -> None:
        """Run a step on each node, so that a cluster that allows none is known at once."""

        def run(host: SSHHost) -> None:
            said = run_plainly(host, ("true",), _ENTERING)
            if said.code:
                raise CloudError(f"a step on {host.name} ends with exit code {said.code}")

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
        live = [job for job in self._login.jobs(name) if job.live or job.over]
        if not live:
            return ()
        self.job = live[0]
        ids = " and ".join(str(job.id) for job in live)
        what = "what runs there ends" if not live[0].waits else "it has no nodes yet"
        confirm(f"give back job {ids}; {what}")
        refused: CloudError | None = None
        for job in live:
            try:
                self._login.cancel(job)
            except CloudError as error:
                refused = error
        end, pause = time.monotonic() + _ENDING, _PAUSE / 2
        while left := [job for job in self._login.jobs(name) if job.live or job.over or job.ends]:
            # One that has just ended by itself cannot be cancelled, and need not be.
            if refused is not None and not all(job.ends for job in left):
                raise refused
            if time.monotonic() > end:
                self.tell(f"{self.name}: job {left[0].id} is cancelled, and still {left[0].why}")
                break
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        return tuple(job.id for job in live)
