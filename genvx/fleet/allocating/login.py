"""The login node of a cluster: lines that ask Slurm there, each with one deadline."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import CloudError, HostError, HostLost
from genvx.fleet.allocating.jobs import FORMAT, Job, complaint, read_jobs
from genvx.fleet.detaching.plainline import quoted
from genvx.fleet.fleet import connect_fleet
from genvx.fleet.hosts.step import FINDING, ON_NODE, coded, onnode
from genvx.ssh.deadline import Deadline
from genvx.ssh.defaults import TIMEOUT
from genvx.ssh.ending import close_channel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from genvx.fleet.fleet import Fleet
    from genvx.fleet.remotes.remote import Remote
    from genvx.fleet.sshhost import SSHHost

_MOST = 1 << 20
_LINES = 8192
# A start-up file of the shell may print; what counts stands between words that nobody can guess,
# and behind them what the program has printed on its stderr. Without a backslash, which shells read
# in different ways. The variables would hide jobs, or have sbatch wait until its job has ended.
_SCRIPT = (
    'echo "$0"; LC_ALL=C; export LC_ALL; '
    "unset SQUEUE_ACCOUNT SQUEUE_LICENSES SQUEUE_PARTITION SQUEUE_QOS SQUEUE_USERS SBATCH_WAIT; "
    + FINDING.format('"$1"')
    + "; within=; command -v timeout >/dev/null && within='timeout {within}'; "
    '{{ said=$($within "$@" 2>&1 >&3); code=$?; }} 3>&1; '
    'echo "$0"; echo "$said"; exit "$code"'
)
# Slurm retries for a while when its controller is busy. A program is ended there a little before
# we stop waiting: a job that sbatch submits later would be one that nobody knows of.
_SECONDS, _BEFORE = 60.0, 10.0
_LATE = 124


@dataclass(frozen=True)
class Said:
    """What a program has printed, and its exit code."""

    code: int
    out: str
    errors: str


class Login:
    """The login node of a remote, connected to when it is first asked."""

    def __init__(
        self,
        remote: Remote,
        environ: Mapping[str, str] | None = None,
        prompt: Callable[[str], str | None] | None = None,
    ) -> None:
        environ = os.environ if environ is None else environ
        config = environ.get("GENVX_SSH_CONFIG") or None
        self._remote = remote.name
        self._fleet: Fleet[SSHHost] = connect_fleet(
            remote.specs(), timeout=TIMEOUT, config=config, prompt=prompt
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
        try:
            return read_jobs(said.splitlines())
        except CloudError as error:
            raise CloudError(f"remote {self._remote}: {error}") from None

    def submit(self, options: Sequence[str]) -> None:
        """Ask for an allocation that holds its nodes until it is given back.

        Raises:
            CloudError: Slurm refuses it. HostError: the login node does not say whether it does.
        """
        words = f"/bin/sh -c {_decoded(ON_NODE)} genvx-step - - {onnode()} hold"
        # Where a cluster binds steps to the cores of their tasks (CpuBind), all that this one
        # starts would share a core. Where no Python starts on a node, commands run in steps of
        # their own. The job lasts.
        ways = "--overlap --ntasks-per-node=1 --cpu-bind=none --mpi=none --wait=0 -K0"
        holds = f'srun {ways} {words} "$SLURM_JOB_ID"'
        self._ask("sbatch", "--parsable", *options, "--wrap", f"{holds}; exec sleep 2147483647")

    def cancel(self, job: Job) -> None:
        """Give a job back, or take it out of the queue; raises as `submit`."""
        self._ask("scancel", str(job.id))

    def _ask(self, *words: str) -> str:
        outcomes = self._fleet.ask(lambda host: run_plainly(host, words, _SECONDS))
        for error in outcomes.failed.values():
            if isinstance(error, HostError):
                message = f"the login node of {self._remote}: {error}"
                raise type(error)(message, kind=error.kind) from None
            raise CloudError(f"remote {self._remote}: {error}") from None
        (said,) = outcomes.succeeded.values()
        program = words[0]
        if said.code == 127:
            raise CloudError(
                f"there is no {program} on the login node of {self._remote}: host must be one of "
                "Slurm's login nodes, and its programs on the PATH of a login shell there"
            )
        if said.code == _LATE:
            raise CloudError(f"remote {self._remote}: {program} timed out; Slurm does not answer")
        if said.code:
            raise CloudError(f"remote {self._remote}: {program} says: {complaint(said.errors)}")
        return said.out


def _decoded(text: str) -> str:
    return f'"$(printf %s {coded(text)} | base64 -d)"'


def run_plainly(host: SSHHost, words: Sequence[str], seconds: float) -> Said:
    """Run a program on a host, without an agent, and return all that it prints. Its exit code is
    124 where it was ended because it took too long.

    Raises:
        CloudError: what the host says is not what the program has printed. HostError: it cannot be
        reached, or does not say it within so many seconds.
    """
    token, program = secrets.token_hex(8), printable(words[0])
    script = _SCRIPT.format(within=max(1, round(seconds - _BEFORE)))
    line = " ".join(quoted(word) for word in ("/bin/sh", "-c", script, token, *words))
    if host.spec.step is not None:
        line = host.spec.step.line(line)
    data, errors, code = b"", b"", -1
    with Deadline(seconds) as deadline:
        channel = host.channel(deadline, lambda channel: channel.exec_command(line))
        # The timeout of a channel is for one read, and its exit code has none.
        deadline.closes(channel.close)
        try:
            channel.shutdown_write()
            channel.settimeout(deadline.left())
            while len(data) < _MOST and (more := channel.recv(65536)):
                data += more
            if len(data) >= _MOST:
                raise CloudError(f"the answer of {program} is too long")
            code = int(channel.recv_exit_status())
            if channel.recv_stderr_ready():
                errors = channel.recv_stderr(_LINES)
        except (EOFError, OSError):
            code = -1
        finally:
            close_channel(channel)
    if code < 0:
        raise host.lost() or HostLost(f"no answer of {program} within {round(seconds)} s")
    parts = data.decode("utf-8", "replace").split(f"{token}\n")
    if len(parts) != 3:
        said = complaint((errors or data).decode("utf-8", "replace"))
        raise CloudError(f"{host.name} does not run {program}: {said}")
    return Said(code, parts[1], parts[2])
