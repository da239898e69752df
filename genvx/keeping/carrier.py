"""A carrier: a process with one connection to one host, for one command at a time.

A command of `genvx remote run` that is given a carrier has it to itself: its streams go through
this process and no other, until it ends. So neither the end of the keeper nor another command can
end it, and who kills a carrier ends what killing `genvx` would end.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from genvx.core.wire import acts
from genvx.core.wire.plain import loads
from genvx.core.wire.protocol import STALE
from genvx.errors import GenvxError, HostLost, HostUnreachable, ProtocolError
from genvx.fleet.hosts.hostspec import HostSpec
from genvx.fleet.remote import RemoteCommand, writer
from genvx.keeping import asking
from genvx.keeping.files import Unkeepable
from genvx.keeping.frames import Broken, Frames
from genvx.keeping.kept import Agent, Gone, Kept, slept
from genvx.keeping.log import log
from genvx.keeping.rooms import Room

if TYPE_CHECKING:
    from collections.abc import Callable

# What the keeper says: a command comes (with its socket), or one may come soon.
COMES, SOON = b"c", b"s"
# What a carrier says to it: that it is free, or that the host is to be left to commands.
FREE, LEFT = b"f", b"l"
_TALK = 10.0
_BEAT = 0.5
# For so many seconds a sign of life is good for.
_FRESH = 1.0
_SIGN = 1.5
# Seconds for connecting anew while nobody waits.
_AT_EASE = 15.0
_MOST = 4096
_STREAMS = 3
# A connection that ended is no reason to leave a host to commands: the next may not.
_PASSING = (HostUnreachable, ProtocolError)


class _Failed(Exception):
    """The host cannot be reached. left: perhaps by the command, so it is left to that for a while:
    each try would be a failed login there.
    """

    def __init__(self, *, left: bool) -> None:
        super().__init__()
        self.left = left


def carry(keeper: socket.socket, asked: Any) -> None:
    """Be a carrier, until the keeper is gone and nothing is carried any more.

    asked: the host and its options, as a command sends them.
    """
    # In ps and top, besides the command line of the keeper.
    with contextlib.suppress(OSError), open("/proc/self/comm", "w", encoding="ascii") as file:
        file.write("genvx-carrier")
    carrier = _Carrier(asked)
    while True:
        try:
            said, descriptors, _, _ = socket.recv_fds(keeper, _MOST, 1)
            if not said:
                break
            if said == SOON:
                carrier.greet()
                continue
            frames = Frames(socket.socket(fileno=descriptors[0]), takes=_STREAMS)
            with contextlib.closing(frames), contextlib.suppress(Broken):
                carrier.serve(frames, float(loads(said[len(COMES) :])))
            keeper.send(FREE)
            # The next command finds an agent that waits for it.
            carrier.prepare(_AT_EASE)
        except _Failed as error:
            if error.left:
                with contextlib.suppress(OSError):
                    keeper.send(LEFT)
            break
        except OSError:
            break  # the keeper is gone
    carrier.close()


class _Carrier:
    def __init__(self, asked: Any) -> None:
        host = asked["carry"]
        self._spec = HostSpec(**{field: host[field] for field in asking.FIELDS})
        self._config = asked["config"]
        self._lost, self._idle = float(asked["host_lost_after"]), float(asked["idle"])
        self._room: Room | None = None
        self._kept: Kept | None = None
        self._agent: Agent | None = None
        self._slept = slept()
        self._greeted = 0.0

    def prepare(self, seconds: float) -> None:
        """Have an agent that waits, on a connection that may be used.

        Raises:
            _Failed: that is impossible.
        """
        end = time.monotonic() + seconds
        if self._agent is not None and not self._usable():
            self.close()
        try:
            if self._kept is None or self._room is None:
                self._room = Room(self._config, self._lost)
                self._kept = Kept(self._spec, self._room.session, self._room.files, self._idle)
                self._slept = slept()
            if self._agent is None:
                left = max(0.001, end - time.monotonic())
                self._agent = self._kept.begin(left, runs=True)
                self._greeted = time.monotonic()
        except (GenvxError, Unkeepable) as error:
            log(error)
            program = self._kept is not None and self._kept.by_program
            raise _Failed(left=program or not isinstance(error, _PASSING)) from error

    def _usable(self) -> bool:
        agent = self._agent
        if agent is None or agent.ended or slept() - self._slept > 1.0:
            return False
        if self._room is None or not self._room.files.unchanged:
            return False
        # A call that gets no reply may have been heard, so it is not repeated: better to know
        # before it that there is a connection.
        if time.monotonic() - self._greeted > _FRESH:
            if not agent.alive(_SIGN):
                return False
            self._greeted = time.monotonic()
        return True

    def greet(self) -> None:
        """Make sure of the connection, before somebody waits for it."""
        if self._agent is not None and not self._usable():
            self.prepare(_AT_EASE)

    def close(self) -> None:
        """Close the connection."""
        if self._kept is not None:
            self._kept.close()
        self._room = self._kept = self._agent = None

    def serve(self, client: Frames, seconds: float) -> None:
        """Run what a command wants to run, within `seconds` until it runs.

        Raises:
            Broken: the command is gone, or says what makes no sense. _Failed: as `prepare`.
        """
        self._prepare_for(client, seconds)
        client.send({"ready": True}, _TALK)
        asked = client.receive(_TALK)
        descriptors = client.descriptors()
        agent, self._agent = self._agent, None
        if agent is None:
            raise AssertionError("prepared above")
        streams = _Streams(client, agent, descriptors)
        try:
            self._run(streams, asked, seconds)
        finally:
            streams.close()

    def _prepare_for(self, client: Frames, seconds: float) -> None:
        """Prepare, and say meanwhile that we live."""
        if self._agent is not None and self._usable():
            return
        failed: list[BaseException] = []

        def prepare() -> None:
            try:
                self.prepare(seconds)
            except BaseException as error:  # raised below, in the thread that serves
                failed.append(error)

        thread = threading.Thread(target=prepare, daemon=True)
        thread.start()
        gone = None
        while thread.is_alive():
            thread.join(_BEAT)
            try:
                client.send({"beat": True}, _TALK)
            except Broken as error:
                gone = error  # the next one needs the connection as well
        if failed:
            with contextlib.suppress(Broken):
                client.send({"cold": True}, _TALK)
            raise failed[0]
        if gone is not None:
            raise gone

    def _run(self, streams: _Streams, asked: Any, seconds: float) -> None:
        operation, arguments = asked["call"]
        kept, end = self._kept, time.monotonic() + seconds
        if operation != "run" or not isinstance(arguments, dict) or kept is None:
            raise Broken("carriers run commands")

        def signal(environment: str, name: str, lease: str) -> None:
            kept.caller(seconds).call(acts.Signal(environment, name, lease), one_reply=True)

        streams.listen(signal)
        try:
            reply = streams.agent.ask(operation, arguments, seconds)
            if reply.error is None and reply.value == STALE:
                streams.agent.close()
                streams.agent = kept.begin(max(0.001, end - time.monotonic()), runs=True)
                left = max(0.001, end - time.monotonic())
                reply = streams.agent.ask(operation, arguments, left)
        except (Gone, TimeoutError, GenvxError, Unkeepable) as error:
            streams.say({"lost": _reason(error, self._spec.name)})
            return
        streams.say({"reply": [reply.value, reply.error, reply.message]})
        if reply.error is None:
            streams.say(streams.pass_through())


def _reason(error: Exception, name: str) -> str:
    if isinstance(error, GenvxError):
        return str(error)
    why = "is silent" if isinstance(error, TimeoutError) else "the connection ended"
    return f"{name}: {why}"


class _Command(RemoteCommand[Any]):
    """The command, whose stdin is a descriptor of ours, as are its other streams."""

    def _drain_errors(self, write: Callable[[bytes], None]) -> None:
        with contextlib.suppress(OSError):  # nobody reads them any more: the client is gone
            super()._drain_errors(write)

    def _feed(self, stdin: int) -> None:
        try:
            super()._feed(stdin)
        finally:
            os.close(stdin)


class _Streams:
    """The streams of a command, between the client and the agent that runs it."""

    def __init__(self, client: Frames, agent: Agent, descriptors: list[int]) -> None:
        self._client = client
        self.agent = agent
        # stdin, stdout and stderr.
        self._open = descriptors

    def say(self, plain: Any) -> None:
        """Tell the client something."""
        self._client.send(plain, _TALK)

    def listen(self, signal: Callable[..., None]) -> None:
        """Hear signals of the client, and its end, which ends what it runs."""
        # A dup: it outlives what the main thread closes, and its number stays ours.
        heard = Frames(socket.socket(fileno=os.dup(self._client.fileno())))

        def hear() -> None:
            poll = select.poll()
            poll.register(heard.fileno(), select.POLLIN)
            with contextlib.closing(heard):
                try:
                    while True:
                        poll.poll()
                        words = heard.receive(_TALK)["signal"]
                        threading.Thread(target=send, args=(words,), daemon=True).start()
                except (Broken, LookupError, TypeError):
                    self.agent.close()

        def send(words: Any) -> None:
            # It may have ended meanwhile.
            with contextlib.suppress(GenvxError, ValueError, TypeError):
                signal(*words)

        threading.Thread(target=hear, daemon=True).start()

    def pass_through(self) -> dict[str, Any]:
        """Pass the streams until the command ends; return what the client is told of that."""
        if len(self._open) != _STREAMS:
            raise Broken("not the streams of a command")
        agent = self.agent
        # Signs of life are wanted only while something runs.
        agent.pulse.watch(agent.channel)
        unread: Any = None
        command = _Command(agent.channel, "", unread, unread, agent.pulse, agent.rest)
        stdin = self._open.pop(0)
        try:
            return {"exit": command.communicate(stdin, *map(writer, self._open))}
        except HostLost as error:
            return {"lost": str(error)}
        except (GenvxError, OSError, EOFError):
            return {"cut": True}  # or the client is gone, and hears nothing
        finally:
            agent.pulse.stop()
            # Its end of output comes before what is said of its end.
            self._close_pipes()

    def close(self) -> None:
        """Close the pipes and the channel; what still runs is ended by its host."""
        self._close_pipes()
        self.agent.close()

    def _close_pipes(self) -> None:
        pipes, self._open = self._open, []
        for descriptor in pipes:
            os.close(descriptor)
