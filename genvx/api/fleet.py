"""`genvx.Fleet`: the fleet of a program, over SSH or of hosts of its own, and its sweeps."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from genvx.fleet.ask import H
from genvx.fleet.defaults import FANOUT
from genvx.fleet.fleet import Fleet as Hosts
from genvx.fleet.fleet import connect_hosts
from genvx.ssh.defaults import TIMEOUT

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence

    from genvx.core.command import Command
    from genvx.fleet.hosts.hostspec import HostSpec
    from genvx.fleet.sshhost import SSHHost
    from genvx.sweeps.found import Sweep

__all__ = ["Fleet"]


class Fleet(Hosts[H]):
    """Fleet is a number of hosts from which devices are taken.

    hosts: over SSH, or others with these methods. fanout: the number of hosts asked at once; 0 asks
    one after the other in the calling thread. timeout: total seconds allowed per host.

    Raises:
        UnknownHost: there are no hosts, or two have the same name.
    """

    @classmethod
    def from_hostfile(
        cls, path: str, *, fanout: int = FANOUT, timeout: float = TIMEOUT
    ) -> Fleet[SSHHost]:
        """Make a fleet of the hosts of a hostfile, over SSH; connect to none yet.

        Raises:
            InvalidHostfile: the file cannot be read or has a bad line.
        """
        from genvx.fleet.hosts import hostfile

        return _over_ssh(hostfile.load(path), fanout, timeout)

    @classmethod
    def from_remote(
        cls, name: str, *, fanout: int = FANOUT, timeout: float = TIMEOUT
    ) -> Fleet[SSHHost]:
        """Make a fleet of the hosts of a remote, over SSH; connect to none yet.

        name: of remotes.yml or of a project's genvx-remotes.yml, several after commas, or
        ssh:user@host:port.

        Raises:
            UnknownRemote: there is none. InvalidRemotes: a file with remotes has a fault.
            InvalidHostfile: its hostfile cannot be read. NotRunning: its machine does not run.
            InvalidInput: it has no hosts over SSH.
        """
        from genvx.fleet.remotes.pool import specs_named

        config = os.environ.get("GENVX_SSH_CONFIG") or None
        return _over_ssh(specs_named(name, os.environ), fanout, timeout, config)

    def sweep(
        self,
        command: Command,
        space: Mapping[str, Any],
        *,
        trials: int | None = None,
        gpus: int | str = 0,
        memory: int | None = None,
        maximize: bool = True,
        tuner: str = "random",
        options: Mapping[str, Any] | None = None,
        pruner: str = "",
        seed: int | None = None,
        concurrency: int | None = None,
        duration: float | None = None,
        stop_when: str = "",
        metric: str = "",
        retries: int = 0,
        time_limit: float | None = None,
        name: str = "",
        cwd: str = "",
        env: Mapping[str, str] | None = None,
        project: str | os.PathLike[str] | None = None,
        python: str | None = None,
        extras: Sequence[str] = (),
        wheels: str | os.PathLike[str] | None = None,
        setup: str = "",
        image: str | None = None,
        runtime: str | None = None,
        mounts: str | Sequence[str] = (),
        stop: threading.Event | None = None,
    ) -> Sweep:
        """Run a command with many different parameters; return all trials, and the best.

        Each trial is a run. In its command {name} is the value of a parameter; it reports a value
        as a line of JSON in $GENVX_REPORT, or with the module genvx_trial. If this program is ended
        meanwhile, `genvx sweeps resume` goes on.

        space: values by the name of each parameter: genvx.log(1e-5, 1e-1), a list, or text such as
        "log:1e-5..1e-1". trials: at most so many; None is all of a space that has an end. gpus,
        memory (bytes): of each trial. maximize: whether the largest value is best. options: of the
        tuner. concurrency: so many trials at once; None is as many as fit. duration: seconds of the
        whole sweep. stop_when: such as "value > 0.9". metric: a pattern for values in the output.
        retries: of trials that their host has lost. time_limit: seconds of a trial. project: a
        directory of which each trial gets a copy. python, extras, wheels, setup, image, runtime,
        mounts: as of a run. stop: ends all trials once it is set.

        Raises:
            InvalidInput: an argument makes no sense. Unsatisfiable: no host can run a trial.
            FleetError: no host answers. StateError: the sweep cannot be written down here.
        """
        # Imported here: few programs have sweeps.
        from genvx.api.sweeps import sweep

        return sweep(
            self._with_runs,
            command,
            space,
            trials=trials,
            gpus=gpus,
            memory=memory,
            maximize=maximize,
            tuner=tuner,
            options=options,
            pruner=pruner,
            seed=seed,
            concurrency=concurrency,
            duration=duration,
            stop_when=stop_when,
            metric=metric,
            retries=retries,
            time_limit=time_limit,
            name=name,
            cwd=cwd,
            env=env,
            project=project,
            python=python,
            extras=extras,
            wheels=wheels,
            setup=setup,
            image=image,
            runtime=runtime,
            mounts=mounts,
            stop=stop,
        )


def _over_ssh(
    specs: Sequence[HostSpec], fanout: int, timeout: float, config: str | None = None
) -> Fleet[SSHHost]:
    # Imported here: a program may have hosts of its own only.
    from genvx.ssh.config.options import SSHOptions

    hosts, unlock = connect_hosts(specs, SSHOptions(timeout, config))
    return Fleet(hosts, fanout=fanout, timeout=timeout, unlock=unlock)
