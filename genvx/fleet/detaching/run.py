"""Run: a command that goes on without its client, as a program has it."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

from genvx.core.command import require_variables, words_of
from genvx.core.launchers import for_people
from genvx.core.runs.rungang import decisive, exit_code
from genvx.core.runs.runinfo import LogPiece, RunInfo
from genvx.core.runs.runstate import end_of, has_ended, is_over, name_of
from genvx.core.wire.runoperations import (
    Disposal,
    DisposeOfRun,
    LogEnd,
    MarkRun,
    StopRun,
    WatchRun,
)
from genvx.fleet.detaching import runs
from genvx.fleet.detaching.limits import most_lines, pauser, require_grace
from genvx.fleet.detaching.parts import Parts
from genvx.fleet.lines import lines_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from genvx.core.command import Command
    from genvx.core.leases.starter import Starter
    from genvx.core.projects.plan import Landed
    from genvx.fleet.tunnels.tunnel import Tunnel

# How soon a run that was told to stop is asked again whether it is over.
_LOOK = 0.1


class Run(Parts):
    """Run is a command that belongs to its host: it goes on when this program ends.

    A run on several hosts has a part on each, by rank. Its state is that of the part that tells
    most about all: the furthest back while some are alive, then the first that failed. What changes
    it changes all parts.

    Every method may raise UnknownRun (the run was deleted) and HostError (a host could not be
    asked). Two are equal if they are the same run.
    """

    @property
    def note(self) -> str:
        """What people should know of its start, such as that a part could not reach the others."""
        return self._note or self._first.note

    @property
    def name(self) -> str:
        """How the run is called: its label, else its name, else nothing."""
        return self._first.label or self._first.spec.name

    @property
    def info(self) -> RunInfo:
        """All that is known of the run now, or of the part that tells most; it asks its hosts."""
        return decisive(self.parts)

    @property
    def parts(self) -> tuple[RunInfo, ...]:
        """What each of `hosts` knows of its part now; one of a run on one host. It asks them."""
        return tuple(self._look(host) for host in self._places)

    @property
    def state(self) -> str:
        """The state of the run now, such as "running"; each access asks the host."""
        return name_of(self.info.state)

    @property
    def returncode(self) -> int | None:
        """The exit code of the command, 128 + n if signal n ended it; asks the host once.

        None: it has not ended, never started, or nobody knows how it ended; `state` says which.
        On several hosts it is that of the part that failed first, or 0; 1 of a part without one.
        """
        places = self._places.items()
        known = tuple(info if has_ended(info.state) else self._look(host) for host, info in places)
        if self._first.spec.part is not None:
            return exit_code(known)
        end = end_of(known[0].state)
        return None if end is None else end.exit_code

    def wait(
        self, timeout: float | None = None, *, stop: threading.Event | None = None
    ) -> int | None:
        """Wait until the command has ended; return its `returncode`.

        A connection that is cut is made again. timeout: in seconds. stop: ends the wait when set.

        Raises:
            subprocess.TimeoutExpired: it has not ended in time, or `stop` was set.
        """
        pause = pauser(timeout, stop)
        for host in self._places:
            for news in runs.watch(host, WatchRun(self.id, log=False), pause=pause):
                if isinstance(news, LogEnd):
                    self._learn(host, news.run)
                elif isinstance(news, RunInfo):
                    self._learn(host, news)
                    if not has_ended(news.state) and pause(0.0):
                        break
            if not has_ended(self._places[host].state):
                raise subprocess.TimeoutExpired(
                    list(for_people(self._first.spec.argv)), timeout or 0.0
                )
        return self.returncode

    def log(self, lines: int | None = None, *, node: int | None = None) -> bytes:
        """Return the output of the command so far; lines: only so many of the last ones.

        node: the rank of the part of a run on several hosts; by default the first.
        """
        asked = WatchRun(self.id, lines=most_lines(lines), follow=False)
        return b"".join(each.data for each in self._pieces(asked, node, pauser(None, None)))

    def follow(
        self,
        lines: int | None = None,
        *,
        node: int | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[bytes]:
        """Iterate over the lines of the output as they come, from the first one to the last; of a
        run on several hosts over those of one part. `follow_all` has those of all.

        It ends with the command. A connection that is cut is made again: no line is missing, and
        none comes twice. Lines end with a newline, except for an unfinished last one; one of more
        than 1 MiB comes in parts. What the host no longer keeps is left out.

        lines: begin with so many of the last lines. node: of which part, as of `log`. stop: ends
        the iteration when set.
        """
        return lines_of(self.pieces(lines, node=node, stop=stop))

    def follow_all(
        self, lines: int | None = None, *, stop: threading.Event | None = None
    ) -> Iterator[tuple[int, bytes]]:
        """Iterate over the lines of all parts as they come, each with the rank of its part; 0 for a
        run on one host.

        The lines of a part are in order; those of different parts come as they are read. It ends
        when all parts have. lines, stop, and the lines themselves: as of `follow`.
        """
        # Imported here: its threads cost what a run on one host does not need.
        from genvx.fleet.detaching.merged import merged

        def of(node: int, stop: threading.Event) -> Iterator[LogPiece]:
            return self.pieces(lines, node=node, stop=stop)

        return merged(of, [info.rank for info in self._places.values()], stop)

    def pieces(
        self,
        lines: int | None = None,
        *,
        node: int | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[LogPiece]:
        """Iterate over pieces of the output as they come; see `follow`."""
        asked = WatchRun(self.id, lines=most_lines(lines))
        return self._pieces(asked, node, pauser(None, stop))

    def stop(self, *, grace: float | None = None, force: bool = False, wait: bool = True) -> None:
        """End the run with all the processes that it has started; nothing happens if it is over.

        grace: seconds between SIGTERM and SIGKILL; by default those that it was started with.
        force: SIGKILL at once. wait: return when it is over, and its devices are free.

        Raises:
            InvalidInput: the grace is no number of seconds.
        """
        require_grace(grace)
        self._ask_all(StopRun(self.id, grace, force))
        # Parts end with the first that is told, maybe before they are; so each answer may be older.
        found = [run for run in self._places.values() if not is_over(run.state)]
        while wait and found:
            self.wait()
            found = [run for run in self.parts if not is_over(run.state)]
            if found:
                time.sleep(_LOOK)  # its leftovers are being ended, or it was held

    def exec(
        self,
        command: Command,
        *,
        check: bool = False,
        capture_output: bool = False,
        input: bytes | None = None,
        timeout: float | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command inside of the run: with its devices, its variables, and in its directory.
        On several hosts that is in the first part.

        It holds the devices like the run's own command, so they are not free before both have
        ended. cwd: counted from the directory of the run. `genvx.Hold.run` says the rest.

        Raises:
            InvalidInput: the run waits, or is over; or the command, the directory or a variable
            cannot be. subprocess.CalledProcessError, subprocess.TimeoutExpired: as of `Hold.run`.
        """
        with self.enter(command, env) as inside:
            return inside.run(
                command,
                check=check,
                capture_output=capture_output,
                input=input,
                timeout=timeout,
                cwd=cwd,
                env=env,
            )

    def enter(self, command: Command, env: Mapping[str, str] | None) -> Starter:
        """Return what starts a command, with these variables on top, inside of the run; see `exec`.

        The host adds the variables of the run.
        """
        words = words_of(command)
        require_variables(env or {})
        return self.host.enter(self.id, command=" ".join(words))

    def pull(
        self,
        dest: str,
        *,
        only: str | Sequence[str] = (),
        everything: bool = False,
        bare: bool = False,
        delete: bool = False,
    ) -> Landed:
        """Copy the log of the run, and the files that it has made or changed, into a directory
        here; return how many files are new or changed there, were deleted, and how many bytes came.

        What is there already is not copied again. Of a run on several hosts, each part has a
        directory with the name of its host. only: patterns, of which a name or path must fit one.
        everything: also what it has not changed. bare: just its files. delete: also delete, without
        a question, what is there and the run does not have.

        Raises:
            InvalidInput: the host is a fake one, or `delete` is for a home. StateError: it cannot
            be written here. ProjectChanged: a file is written all the time.
        """
        # Imported here: few programs copy files.
        from genvx.core.wire.treeoperations import PullRun
        from genvx.fleet.shipping.pulling import pull_into

        patterns = (only,) if isinstance(only, str) else tuple(only)
        asked = PullRun("", patterns, everything, bare, delete)
        return pull_into(self._places, asked, dest)

    def tunnel(
        self,
        port: int,
        local: int | None = None,
        *,
        reverse: bool = False,
        strict: bool = False,
        bind: str | None = None,
        node: int | None = None,
    ) -> Tunnel:
        """Make a port of the run's host a port of this machine, until the run ends, or the block.

        local: the port here; by default the same, or the next that is free. reverse: the host
        listens, and connections come to `local` here. strict: refuse a port that is taken here.
        bind: the address to listen on here, instead of loopback. node: of which part, as of `log`.

        Raises:
            InvalidInput: the run waits, is over, or is on this machine; or a port is taken.
        """
        from genvx.fleet.tunnels.opening import forward_of, open_tunnel

        host, forward = self._host_of(node), forward_of(port, local, reverse=reverse)
        return open_tunnel(host, lambda: self._look(host), forward, strict=strict, bind=bind)

    def restart(self) -> Run:
        """Start the run, which is over, again where it was; return it as a new one.

        The command, variables, options and tags are the same. It waits in line if this one did.

        Raises:
            NoCapacity: there is no room. InvalidInput: it is alive, or a part was not found.
        """
        # Imported here: few programs start a run again.
        from genvx.fleet.detaching.restarting import restarted

        notes: list[str] = []
        first, *others = restarted(self.hosts, self.parts, notes.append)
        return Run(*first, *others, note="\n".join(notes), fleet=self._fleet)

    def move(self, to: str | Sequence[str] = ()) -> None:
        """Move the run, which waits, to another host of its fleet that has room; it keeps its id.

        to: names of hosts to choose from; it also moves to one where it has to wait.

        Raises:
            NoCapacity: none of them has room; it waits where it was. InvalidInput: it does not
            wait, or was not started or found with a fleet. UnknownHost: the fleet has no such host.
        """
        from genvx.fleet.detaching.moving import move_in

        host, moved = move_in(self._fleet, self.host, self._look(self.host), to)
        self._places = {host: moved}

    def label(self, label: str) -> None:
        """Give the run another name; "" gives it its first one again.

        Raises:
            InvalidInput: it cannot be called so.
        """
        self._ask_all(MarkRun(self.id, label))

    def tag(self, *tags: str, remove: Sequence[str] = ()) -> None:
        """Add tags to the run, and remove others.

        Raises:
            InvalidInput: a tag cannot be like that, or there are too many.
        """
        gone = (remove,) if isinstance(remove, str) else tuple(remove)
        self._ask_all(MarkRun(self.id, None, tags, gone))

    def delete(self) -> None:
        """Move the run into the trash.

        Raises:
            InvalidInput: it is not over.
        """
        self._ask_all(DisposeOfRun(self.id, Disposal.DELETE))

    def restore(self) -> None:
        """Move the run out of the trash. Raises UnknownRun if it is not there."""
        self._ask_all(DisposeOfRun(self.id, Disposal.RESTORE))

    def purge(self) -> None:
        """Delete the run in the trash for good. Raises UnknownRun if it is not there."""
        self._ask_all(DisposeOfRun(self.id, Disposal.PURGE))

    def _pieces(
        self, asked: WatchRun, node: int | None, pause: Callable[[float], bool]
    ) -> Iterator[LogPiece]:
        news = runs.watch(self._host_of(node), asked, pause=pause)
        return (each for each in news if isinstance(each, LogPiece))
