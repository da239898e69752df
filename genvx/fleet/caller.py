"""Caller calls the agent on one host: a call, its reply, and one deadline over both."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from genvx.core.text import printable
from genvx.core.value import replace
from genvx.core.wire.asking import call_of, reply_form
from genvx.core.wire.call import CALL_WORD
from genvx.core.wire.ongoing import Hold
from genvx.core.wire.protocol import ALIVE
from genvx.core.wire.replyreader import MOST_NOISE, ReplyReader
from genvx.errors import AgentError, GenvxError, HostError, HostUnreachable, ProtocolError
from genvx.fleet.delivery.bootstrap import (
    SILENT,
    NotStarted,
    NotWhole,
    agent_command,
    agent_parcel,
    never_ran,
    not_started,
)
from genvx.fleet.delivery.parts import enough_for
from genvx.fleet.delivery.probe import probe_command, probed
from genvx.fleet.remote import RemoteCommand, new_token
from genvx.fleet.replies import read_reply
from genvx.ssh.deadline import Deadline
from genvx.ssh.ending import close_channel

if TYPE_CHECKING:
    from genvx.core.wire.operation import Operation
    from genvx.core.wire.reply import Reply
    from genvx.fleet.hosts.hostspec import HostSpec
    from genvx.ssh.connections import Connections
    from genvx.ssh.transport import Channel

R = TypeVar("R")

# Seconds between looks for signs that another program reads our call, and the bytes of stderr in
# which they are looked for.
_LOOK = 0.5
_MOST_ERRORS = 8192


class Caller:
    """Caller calls the agent of a host over its connections.

    spec: the host's line of the hostfile, and later the Python that starts there. agent_kept:
    whether the agent is stored on the host; None before the first reply.
    """

    def __init__(self, spec: HostSpec, timeout: float, connections: Connections) -> None:
        self.spec = spec
        self.agent_kept: bool | None = None
        self._timeout = timeout
        self._connections = connections

    def call(
        self,
        operation: Operation[R],
        *,
        one_reply: bool = False,
        patience: float = 0.0,
        window: int | None = None,
    ) -> RemoteCommand[R]:
        """Call an operation and wait for its reply; try another Python if the first does not start.

        one_reply: close the channel after the reply; otherwise it stays open for what follows.
        patience: seconds that this reply may take in addition to the usual timeout. window: as
        Link.channel.

        Raises:
            GenvxError: the error that the agent replied. HostError: there was no reply in time.
        """
        first = enough_for(operation)
        while True:
            try:
                return self._call(operation, one_reply, patience, window, first=first)
            except NotStarted:  # only where no Python is named, so once
                self.spec = replace(self.spec, python=self._python())
            except NotWhole:
                if not first:
                    raise
                first = False

    def _python(self) -> str:
        """Find a Python on the host that starts; raise AgentError if there is none."""
        token = new_token()
        line = probe_command(token)
        if self.spec.step is not None:
            line = self.spec.step.line(line)
        with Deadline(self._timeout) as deadline:
            link, channel = self._connections.channel(
                deadline, lambda channel: channel.exec_command(line)
            )
            said = b""
            try:
                channel.settimeout(deadline.left())
                while len(said) < MOST_NOISE and (data := channel.recv(65536)):
                    said += data
            except (EOFError, OSError) as error:
                raise self._connections.let_go(link, error, deadline) from None
            finally:
                close_channel(channel)
        return probed(said, token)

    def _call(
        self,
        operation: Operation[R],
        one_reply: bool,
        patience: float,
        window: int | None,
        *,
        first: bool,
    ) -> RemoteCommand[R]:
        call, form = call_of(operation, new_token()), reply_form(operation)
        line = agent_command(self.spec, call.token, first=first)
        with Deadline(self._timeout + patience) as deadline:
            link, channel = self._connections.channel(
                deadline, lambda channel: channel.exec_command(line), window
            )
            try:
                channel.settimeout(deadline.left())
                # Our end of stdin stays open: a host without the agent asks for it and reads it
                # from there.
                _send(channel, call.to_bytes())
                reader = ReplyReader(call.token)
                errors = bytearray()
                reply = self._read(channel, reader, errors, deadline, first=first)
                if one_reply:
                    close_channel(channel)
                value = read_reply(form, reply.result())
                # Watched only now: until the reply, the deadline ends a host that falls silent.
                if not one_reply:
                    link.pulse.watch(channel, sign=ALIVE if isinstance(operation, Hold) else b"")
                return RemoteCommand(
                    channel, call.token, form, value, link.pulse, reader.rest, bytes(errors)
                )
            except BaseException as error:
                close_channel(channel)
                # An error of genvx, such as one that the far end replied, concerns the call; the
                # connection is kept. Others close it, unless something else runs on it.
                if isinstance(error, GenvxError) and not deadline.expired:
                    raise
                if isinstance(error, Exception):
                    meaning = self._connections.let_go(link, error, deadline)
                    if deadline.expired:
                        meaning = HostUnreachable(f"{meaning}: {SILENT}", kind="timeout")
                    raise meaning from None
                raise

    def _read(
        self,
        channel: Channel,
        reader: ReplyReader,
        errors: bytearray,
        deadline: Deadline,
        *,
        first: bool,
    ) -> Reply:
        """Read the reply; collect in `errors` what comes on stderr meanwhile."""
        sent = False
        while True:
            channel.settimeout(min(_LOOK, deadline.left()))
            try:
                data = channel.recv(65536)
            except TimeoutError:
                if deadline.expired:
                    raise
                _drain(channel, errors)
                if CALL_WORD in errors or CALL_WORD in reader.noise:
                    # Another program echoes the call, and goes on reading: a shell that a start-up
                    # file opened, for example. No reply will come; the deadline need not pass.
                    raise AgentError(never_ran()) from None
                continue
            if not data:
                raise self._no_reply(channel, reader, errors)
            reply = reader.feed(data)
            if reply is not None:
                self.agent_kept = not reader.agent_homeless
                return reply
            if reader.rest_needed:
                raise NotWhole("the agent there says that it is not whole")
            if reader.agent_needed and not sent:
                sent = True
                _send(channel, agent_parcel(first=first))

    def _no_reply(self, channel: Channel, reader: ReplyReader, errors: bytearray) -> HostError:
        """Make the error for a far end that ended without a reply, by its exit code and output."""
        # sshd sends the exit status in a message of its own, often just after the end of output.
        channel.status_within(1.0)
        _drain(channel, errors)
        said = bytes(errors) or reader.noise
        lines = [line for line in said.decode("utf-8", "replace").splitlines() if line]
        last = printable(lines[-1].strip(), 300) if lines else "it said nothing"
        code = channel.exit_status if channel.exit_status_ready() else -1
        error = not_started(self.spec, code, "\n".join(lines))
        if error is not None:
            return error
        if code == -1:
            return ProtocolError(f"the connection ended before the reply: {last}")
        if code == 0 or CALL_WORD in said:
            # The agent never exits with 0 without a reply, so another program ran.
            return AgentError(f"the far end gave no reply ({last}): {never_ran()}")
        if "no call on stdin" in last:
            return AgentError(
                "a start-up file there (~/.bashrc, ~/.zshenv or the like) reads what is meant for "
                "genvx; let it do that in interactive shells only"
            )
        hint = "" if lines else "; a start-up file there may end the command of genvx"
        return AgentError(f"the far end gave no reply and exit code {code}: {last}{hint}")


def _drain(channel: Channel, errors: bytearray) -> None:
    """Read what has come on stderr, at most the first 8 KiB: a host may send without end."""
    while channel.recv_stderr_ready() and len(errors) < _MOST_ERRORS:
        errors += channel.recv_stderr(8192)


def _send(channel: Channel, data: bytes) -> None:
    try:
        channel.sendall(data)
    except (EOFError, OSError):
        # The far end ended without reading. Its output and exit code say why, so reading goes on.
        pass
