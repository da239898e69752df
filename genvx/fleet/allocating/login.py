"""The login node of a cluster: lines that ask Slurm there, each with one deadline."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import CloudError, HostLost
from genvx.fleet.allocating.jobs import FORMAT, Job, complaint, read_jobs
from genvx.fleet.detaching.plainline import quoted
from genvx.fleet.fleet import connect_fleet
from genvx.fleet.hosts.step import ON_NODE, coded, onnode
from genvx.ssh.deadline import Deadline
from genvx.ssh.defaults import TIMEOUT
from genvx.ssh.ending import close_channel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from genvx.fleet.fleet import Fleet
    from genvx.fleet.hosts.hostspec import HostSpec
    from genvx.fleet.sshhost import SSHHost

_MOST = 1 << 20
# A start-up file of the shell may print; what counts comes behind a word that nobody can guess.
# Without a backslash, which shells read in different ways.
_SCRIPT = 'echo "$0"; exec 2>&1; LC_ALL=C; export LC_ALL; exec "$@"'
# Slurm retries for a while when its controller is busy.
_SECONDS = 60.0


class Login:
    """The login node of a cluster, connected to when it is first asked."""

    def __init__(
        self,
        spec: HostSpec,
        environ: Mapping[str, str] | None = None,
        prompt: Callable[[str], str | None] | None = None,
    ) -> None:
        environ = os.environ if environ is None else environ
        config = environ.get("GENVX_SSH_CONFIG") or None
        self._fleet: Fleet[SSHHost] = connect_fleet(
            (spec,), timeout=TIMEOUT, config=config, prompt=prompt
        )

    def close(self) -> None:
        """Close the connection."""
        self._fleet.close()

    def __enter__(self) -> Login:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def jobs(self, name: str) -> tuple[Job, ...]:
        """Return one's own jobs with this name, the one that counts first; also those that ended a
        moment ago.

        Raises:
            CloudError: Slurm does not say it. HostError: the login node cannot be asked.
        """
        said = self._ask("squeue", "-h", "--me", "-t", "all", "-n", name, "-o", FORMAT)
        return read_jobs(said.splitlines())

    def submit(self, options: Sequence[str]) -> None:
        """Ask for an allocation that holds its nodes until it is given back.

        Raises:
            CloudError: Slurm refuses it.
        """
        words = f"/bin/sh -c {_decoded(ON_NODE)} genvx-step - {onnode()} hold"
        # Where no Python starts on a node, commands run in steps of their own. The job lasts.
        holds = f'srun --overlap --ntasks-per-node=1 --wait=0 -K0 {words} "$SLURM_JOB_ID"'
        self._ask("sbatch", "--parsable", *options, "--wrap", f"{holds}; exec sleep 2147483647")

    def cancel(self, job: Job) -> None:
        """Give a job back, or take it out of the queue; raises as `submit`."""
        self._ask("scancel", str(job.id))

    def _ask(self, *words: str) -> str:
        outcomes = self._fleet.ask(lambda host: _said(host, words))
        for error in outcomes.failed.values():
            raise error
        ((code, said),) = outcomes.succeeded.values()
        program = words[0]
        if code == 127:
            raise CloudError(
                f"there is no {program} on the login node: host must be one of Slurm's login nodes,"
                " and its programs on the PATH of a shell that is not interactive"
            )
        if code:
            raise CloudError(f"{program} says: {complaint(said)}")
        return said


def _decoded(text: str) -> str:
    return f'"$(printf %s {coded(text)} | base64 -d)"'


def _said(host: SSHHost, words: Sequence[str]) -> tuple[int, str]:
    """Run a command on the login node; return its exit code and what it prints."""
    token = secrets.token_hex(8)
    line = " ".join(quoted(word) for word in ("/bin/sh", "-c", _SCRIPT, token, *words))
    said = b""
    with Deadline(_SECONDS) as deadline:
        channel = host.channel(deadline, lambda channel: channel.exec_command(line))
        try:
            channel.shutdown_write()
            channel.settimeout(deadline.left())
            while len(said) < _MOST and (data := channel.recv(65536)):
                said += data
            code = int(channel.recv_exit_status())
        except (EOFError, OSError):
            code = -1
        finally:
            close_channel(channel)
    if code < 0:
        raise host.lost() or HostLost(
            f"the login node did not say within {round(_SECONDS)} s what {printable(words[0])} says"
        )
    return code, said.decode("utf-8", "replace").partition(f"{token}\n")[2]
