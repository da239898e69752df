"""Fleet asks many hosts at once, and takes devices on the best of them or on several together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast, overload

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import requirements_of
from genvx.core.value import replace
from genvx.fleet.ask import H, HostGroup
from genvx.fleet.defaults import FANOUT
from genvx.fleet.outcomes import Outcomes
from genvx.ssh.defaults import HOST_LOST_AFTER, TIMEOUT, TYPED

if TYPE_CHECKING:
    import os
    import subprocess
    import threading
    from collections.abc import Callable, Mapping, Sequence

    from genvx.core.command import Command
    from genvx.core.projects.plan import Landed
    from genvx.core.runs.debugport import DebugPort
    from genvx.core.runs.service import Service
    from genvx.fleet.ask import Unlock
    from genvx.fleet.detaching.foundruns import FoundRuns
    from genvx.fleet.detaching.run import Run
    from genvx.fleet.detaching.runs import RunHost
    from genvx.fleet.executing.executor import Executor
    from genvx.fleet.gang import Gang
    from genvx.fleet.host import Hold, Host
    from genvx.fleet.hosts.hostspec import HostSpec
    from genvx.fleet.sshhost import SSHHost
    from genvx.ssh.config.options import SSHOptions

__all__ = ["Fleet", "Outcomes", "connect_fleet", "connect_hosts"]

# Fleets of up to this many hosts keep connections between questions. Each costs a thread and a
# descriptor, and most systems allow a process 1,024 descriptors.
_MOST_KEPT = 512


class Fleet(HostGroup[H]):
    """Fleet is a number of hosts from which devices are taken; HostGroup has its arguments."""

    def beside(self, others: Sequence[Any]) -> Fleet[Any]:
        """Return a fleet of these hosts and others, which are asked in the same way.

        Raises:
            UnknownHost: two have the same name.
        """
        return Fleet(
            [*self.hosts, *others], fanout=self.fanout, timeout=self.timeout, unlock=self._unlock
        )

    def activate(
        self,
        gpus: int | str = 0,
        *,
        memory: int | None = None,
        name: str = "",
        wait: float | None = None,
        time: float | None = None,
        visible_as: str | None = None,
        stop: threading.Event | None = None,
    ) -> Hold:
        """Take devices on the best host that has them.

        gpus: a number, or a request such as "A100:2". memory: bytes per device; None takes whole
        devices. wait: the most seconds to wait in line; None does not wait. time: the most seconds
        to hold them. visible_as: "index" has CUDA_VISIBLE_DEVICES name them by number. stop: ends
        the waiting when it is set.

        Raises:
            NoCapacity: no host has room; `reasons` says why for each host. FleetError: no host
            answered. WaitedTooLong: the devices did not become free in time. InvalidInput: the
            request is invalid.
        """
        ask = Ask(requirements_of(gpus, memory, visible_as), name, lasts=time, patience=wait)
        if wait is not None:
            from genvx.fleet.line import wait_for_room

            return wait_for_room(self, ask, stop=stop)[1]

        def acquire(host: Host) -> Hold:
            return host.acquire(ask)

        return self.first_with_room(ask.requirements, acquire)

    def gang(
        self,
        nodes: int,
        gpus: int | str = 0,
        *,
        memory: int | None = None,
        name: str = "",
        wait: float | None = None,
        time: float | None = None,
        mixed: bool = False,
        visible_as: str | None = None,
        stop: threading.Event | None = None,
    ) -> Gang[H]:
        """Take the same devices on each of `nodes` hosts, or none; `activate` says the rest.

        mixed: allow different models of GPU on different hosts.

        Raises:
            NoCapacity: too few hosts have room. WaitedTooLong: too few had room in time.
            Unsatisfiable: too few hosts can ever have room.
        """
        from genvx.fleet.gang import take

        ask = Ask(requirements_of(gpus, memory, visible_as), name, lasts=time, patience=wait)
        return take(self, ask, nodes, mixed=mixed, stop=stop)

    @overload
    def run(
        self,
        command: Command,
        gpus: int | str = 0,
        *,
        detach: Literal[True],
        memory: int | None = None,
        name: str = "",
        wait: float | None = None,
        time: float | None = None,
        visible_as: str | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        nodes: int | None = None,
        mixed: bool = False,
        tags: Sequence[str] = (),
        hold: float | None = None,
        hold_when: str = "always",
        retries: int = 0,
        notify: str | Sequence[str] = (),
        tty: bool = False,
        log_limit: int | None = None,
        debug_port: DebugPort | None = None,
        service: Service | None = None,
        project: str | os.PathLike[str] | None = None,
        follow_links: bool = False,
        yes: bool = False,
        python: str | None = None,
        extras: Sequence[str] = (),
        wheels: str | os.PathLike[str] | None = None,
        setup: str = "",
        image: str | None = None,
        runtime: str | None = None,
        mounts: str | Sequence[str] = (),
    ) -> Run: ...

    @overload
    def run(
        self,
        command: Command,
        gpus: int | str = 0,
        *,
        detach: Literal[False] = False,
        memory: int | None = None,
        name: str = "",
        wait: float | None = None,
        time: float | None = None,
        visible_as: str | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        image: str | None = None,
        runtime: str | None = None,
        mounts: str | Sequence[str] = (),
        check: bool = False,
        capture_output: bool = False,
        input: bytes | None = None,
        timeout: float | None = None,
    ) -> subprocess.CompletedProcess[bytes]: ...

    def run(
        self, command: Command, gpus: int | str = 0, *, detach: bool = False, **more: Any
    ) -> Run | subprocess.CompletedProcess[bytes]:
        """Run a command on the best host; `genvx.run` has the arguments.

        With `wait` a detached run waits in line on one host, also when this program has ended.
        nodes: the number of hosts to start it on, all or none; then it waits only while we are
        there. mixed: allow different models of GPU on these. cwd: a directory of that host, from
        the home; by default detached runs start in an empty one of their own.

        Raises:
            NoCapacity, FleetError: as `activate`. HostLost: the connection was lost before the host
            said whether it has the run. InvalidInput: the request is invalid.
        """
        if not detach:
            from genvx.fleet.detaching.attached import run

            return run(self.activate, command, gpus, **more)
        from genvx.fleet.detaching import detached
        from genvx.fleet.shipping.reading import until_unchanged

        nodes, mixed = more.pop("nodes", None), more.pop("mixed", False)

        def start() -> Run:
            asked = detached.Request(command, gpus, **more)
            if nodes is None:
                return detached.start(self._with_runs, asked)
            return detached.start_gang(self._with_runs, asked, nodes, mixed=mixed)

        return until_unchanged(start)

    def push(
        self,
        directory: str,
        dest: str,
        hosts: str | Sequence[str] = (),
        *,
        everything: bool = False,
        follow_links: bool = False,
        delete: bool = False,
    ) -> Outcomes[Landed]:
        """Copy a directory of this machine into one of each host, one after the other; return how
        many files are new or changed there, were deleted, and how many bytes were sent.

        Only what is missing there or has changed is sent: of what git would track and .genvxignore
        says. dest: counted from the home. hosts: names; by default all. everything: also what git
        ignores. follow_links: send what is behind links that lead out. delete: also delete, without
        a question, what is there and not in the directory.

        Raises:
            InvalidInput: the directory cannot be sent, or a host is not one over SSH. UnknownHost:
            the fleet has no such host. ProjectChanged: a file is changed all the time.
        """
        # Imported here: few programs copy files.
        from genvx.fleet.shipping.pushing import push_to

        names = (hosts,) if isinstance(hosts, str) else tuple(hosts)
        chosen = [self.host(name) for name in names] or list(self.hosts)
        how = {"everything": everything, "follow_links": follow_links, "delete": delete}
        return push_to(chosen, directory, dest, **how)

    def executor(
        self,
        gpus: int | str = 1,
        *,
        workers: int | None = None,
        memory: int | None = None,
        name: str = "",
        wait: float | None = None,
        time: float | None = None,
        visible_as: str | None = None,
        python: str | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        retries: int = 0,
        results: Literal["pickle", "json"] = "pickle",
        initializer: Callable[..., object] | None = None,
        initargs: Sequence[Any] = (),
        project: str | os.PathLike[str] | None = None,
        follow_links: bool = False,
        yes: bool = False,
        stop: threading.Event | None = None,
    ) -> Executor:
        """Make a concurrent.futures.Executor whose workers each hold such devices.

        It returns once a first worker is there. More are started while calls wait, as many as there
        is room for. A worker keeps its process between calls, and needs only a Python of our minor
        version on the host. `activate` says the rest of what is asked for.

        workers: the most of them. wait: the most seconds to wait in line when there is no worker;
        None does not wait. python: a path on the hosts, or a name in the PATH there. cwd: a
        directory there, whose modules can be imported. env: variables for the workers. retries: how
        often a call is made again whose worker has died. results: "json" unpickles nothing of a
        host. initializer: a function that each worker calls first, with initargs. project: a
        directory here of which each worker gets a copy, as it is now; its modules can be imported,
        and cwd is a directory of it then. follow_links, yes: as for `run`. stop: ends the waiting
        in line when it is set; it is set when the executor ends.

        Raises:
            NoCapacity, WaitedTooLong, FleetError: as `activate`. AgentError: there is no Python of
            our version. InvalidInput: the request is invalid, the project cannot be sent, or
            cloudpickle is not installed. ProjectChanged: files of it are changed all the time.
        """
        from genvx.fleet.executing.executor import Executor

        return Executor(
            self,
            gpus,
            workers=workers,
            memory=memory,
            name=name,
            wait=wait,
            time=time,
            visible_as=visible_as,
            python=python,
            cwd=cwd,
            env=env,
            retries=retries,
            results=results,
            initializer=initializer,
            initargs=initargs,
            project=project,
            follow_links=follow_links,
            yes=yes,
            stop=stop,
        )

    def runs(
        self,
        state: str | Sequence[str] = (),
        tags: str | Sequence[str] = (),
        name: str | None = None,
        since: float | None = None,
        most: int = 1000,
        *,
        deleted: bool = False,
    ) -> FoundRuns[Run]:
        """List our runs on all hosts that match all that is given, the newest first.

        The list has `failed`, the errors of hosts that could not be asked, by name. state: one, or
        several of which one must match. tags: all must match. name: of the run, or its label.
        since: submitted in these last seconds. most: at most so many. deleted: those in the trash.

        Raises:
            FleetError: no host answered. InvalidInput: there is no such state.
        """
        from genvx.fleet.detaching import detached

        asked = detached.listing(state, tags, name, since, most, deleted=deleted)
        return detached.listed(self._with_runs, asked)

    def find_run(self, run: str | int = "") -> Run:
        """Find a run of ours by its id, the beginning of one, its name or label, or a number.

        1 is the latest of all hosts, 2 the one before; nothing is the latest, too.

        Raises:
            UnknownRun: there is none, or several match. FleetError: no host answered.
        """
        from genvx.fleet.detaching import detached

        return detached.found(self._with_runs, run)

    @property
    def _with_runs(self) -> HostGroup[RunHost]:
        # Hosts that are handed in may have no runs; asking one of these fails like a faulty host.
        return cast("HostGroup[RunHost]", self)


def connect_fleet(
    specs: Sequence[HostSpec],
    *,
    fanout: int = FANOUT,
    timeout: float = TIMEOUT,
    user: str | None = None,
    config: str | None = None,
    accept_new_host_keys: bool = False,
    host_lost_after: float = HOST_LOST_AFTER,
    prompt: Callable[[str], str | None] | None = None,
    most_kept: int = _MOST_KEPT,
    typed: str = TYPED,
) -> Fleet[SSHHost]:
    """Make a fleet of hosts over SSH; each is connected to when it is first asked something.

    user: the login where the hostfile names none; not for jump hosts, as with ssh's -l. config: an
    ssh_config in place of the usual ones. host_lost_after: seconds of silence after which a host
    that holds something of ours is lost. prompt: asks a person for a password or a passphrase;
    without it nobody is asked. most_kept: a fleet of more hosts closes connections after each
    question. typed: what people type in front of a verb to ask these hosts.
    """
    # Imported here: paramiko and fabric take longer to load than a question to this machine takes.
    from genvx.ssh.config.options import SSHOptions

    options = SSHOptions(timeout, config, accept_new_host_keys, host_lost_after, typed)
    hosts, unlock = connect_hosts(specs, options, user=user, prompt=prompt, most_kept=most_kept)
    return Fleet(hosts, fanout=fanout, timeout=timeout, unlock=unlock)


def connect_hosts(
    specs: Sequence[HostSpec],
    options: SSHOptions,
    *,
    user: str | None = None,
    prompt: Callable[[str], str | None] | None = None,
    most_kept: int = _MOST_KEPT,
) -> tuple[list[SSHHost], Unlock]:
    """Make hosts over SSH, and what fetches the secrets that they want; `connect_fleet` says the
    rest.
    """
    from genvx.ssh.lean import without_mock

    with without_mock():
        from genvx.fleet.sshhost import SSHHost
        from genvx.ssh.link import Link
    from genvx.ssh.credentials.secrets import Vault
    from genvx.ssh.session import Session

    # `Link.open` is handed in: session.py would otherwise import link.py, which imports it.
    session = Session(options, Link.open, Vault(prompt), keeps=len(specs) <= most_kept)
    return [
        SSHHost(replace(each, user=each.user or user), session) for each in specs
    ], session.unlock
