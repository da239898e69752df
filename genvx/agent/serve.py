"""Answers one call.

What only some operations need is imported by those: start-up is most of what a question costs.

Replies go to a duplicate of descriptor 1, which then points at stderr: what a library prints never
gets between us and the client.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import sys
from typing import TYPE_CHECKING, Any, Callable, Optional

from genvx._version import __version__
from genvx.agent import arguments
from genvx.core.limits import exhausted
from genvx.core.text import COMMAND_LIMIT, NAME_LIMIT, printable
from genvx.core.wire import codec
from genvx.core.wire.fields import Fields, Malformed
from genvx.core.wire.protocol import PROTOCOL, Call, Reply, call_from_word, read_call
from genvx.errors import AgentError, GenvxError, InvalidInput, ProtocolError
from genvx.local import processes
from genvx.local.host import LocalHost

if TYPE_CHECKING:
    from genvx.agent.client import Client
    from genvx.core.queue import Standing
    from genvx.local.running.hold import LocalHold
    from genvx.local.turns import Turn

_LONGEST_ARGUMENT = 512 * 1024

# So long a client has to take what was offered to it.
_ANSWER = 30.0

# How often we look whether a shell has joined.
_LOOK = 0.05


def serve(word: str = "", read_before: bytes = b"") -> int:
    """Read the call, answer it, and return the exit code of the process.

    word: the call, where stdin is a terminal. read_before: the call, if whoever started us has
    taken it from stdin.
    """
    # Our command line is a program in base64, which tells nobody anything.
    processes.call_ourselves("genvx-agent")
    try:
        if read_before:
            call = read_call(io.BytesIO(read_before).read)
        elif word:
            call = call_from_word(word)
        else:
            call = read_call(lambda size: os.read(0, size))
    except ProtocolError as error:
        sys.stderr.write(f"genvx: {error}\n")
        return error.exit_code
    # A far end that was started in a directory that is gone, or in somebody's home, must not depend
    # on it.
    _go_home()
    return _Server(call, LocalHost()).answer()


def _go_home() -> None:
    try:
        os.chdir(os.path.expanduser("~"))
    except OSError:
        os.chdir("/")


class _Server:
    def __init__(self, call: Call, host: LocalHost) -> None:
        self._call = call
        self._host = host
        self._out = os.dup(1)
        os.dup2(2, 1)

    def answer(self) -> int:
        """Run the operation; whatever goes wrong becomes a reply."""
        operations: dict[str, Callable[[Fields], int]] = {
            "snapshot": self._snapshot,
            "doctor": self._doctor,
            "policy": self._policy,
            "release": self._release,
            "attach": self._attach,
            "detach": self._detach,
            "smi": self._smi,
            "lock": self._lock,
            "signal": self._signal,
            "hold": self._hold,
            "reserve": self._reserve,
            "run": self._run,
            "shell": self._shell,
            "port": self._port,
        }
        try:
            if self._call.protocol != PROTOCOL:
                raise AgentError(
                    f"genvx {__version__} there speaks protocol {PROTOCOL}, genvx "
                    f"{self._call.version} here speaks {self._call.protocol}; install the same "
                    "version on both"
                )
            operation = operations.get(self._call.operation)
            if operation is None:
                raise AgentError(
                    f"genvx {__version__} there has no operation {self._call.operation!r} of genvx "
                    f"{self._call.version} here; install the same version on both"
                )
            return operation(Fields(self._call.arguments, "the call"))
        except GenvxError as error:
            return self._fail(error)
        except Malformed as error:
            return self._fail(ProtocolError(str(error)))
        except OSError as error:
            reason = exhausted(error) or printable(str(error), 300)
            return self._fail(AgentError(f"the far end failed: {reason}"))
        except Exception as error:  # the door of the far end: a fault is a reply, not a traceback
            short = exhausted(error)
            if short is not None:
                return self._fail(AgentError(f"the far end failed: {short}"))
            fault = f"{type(error).__name__}: {printable(str(error), 300)}"
            return self._fail(AgentError(f"a fault of genvx {__version__} there: {fault}"))

    def _reply(self, value: Any) -> None:
        self._send(Reply(value=value))

    def _send(self, reply: Reply) -> None:
        data = reply.to_bytes(self._call.token)
        while data:
            data = data[os.write(self._out, data) :]

    def _fail(self, error: GenvxError) -> int:
        reply = Reply.of_error(error)
        if self._call.operation != "shell":
            self._send(reply)
            return error.exit_code
        from genvx.local import answers

        try:
            answers.leave(self._host.state, self._call.token, reply)
        except (GenvxError, OSError):
            # Nowhere to leave it: the person at the terminal reads it directly.
            sys.stderr.write(f"genvx: {error}\n")
        return error.exit_code

    # Questions

    def _snapshot(self, fields: Fields) -> int:
        holders = fields.has("holders") and fields.flag("holders")
        self._reply(codec.SNAPSHOT.write(self._host.snapshot(holders=holders)))
        return 0

    def _doctor(self, fields: Fields) -> int:
        self._reply([codec.FINDING.write(finding) for finding in self._host.doctor()])
        return 0

    def _policy(self, fields: Fields) -> int:
        from genvx.core.wire import policycodec

        self._reply(policycodec.ENTITLEMENT.write(self._host.entitlement()))
        return 0

    def _smi(self, fields: Fields) -> int:
        """This host, and which processes on an environment's devices are its own."""
        from genvx.shown import mine

        env = self._host.mine(fields.identifier("environment"))
        snapshot = self._host.snapshot()
        own = mine.processes_of(env, snapshot)
        pids = {uuid: [process.pid for process in found] for uuid, found in own.items()}
        self._reply({"snapshot": codec.SNAPSHOT.write(snapshot), "own": pids})
        return 0

    # Acts

    def _release(self, fields: Fields) -> int:
        kill = fields.has("kill") and fields.flag("kill")
        environment = self._host.release(fields.string("environment", NAME_LIMIT), kill=kill)
        self._reply(codec.ENVIRONMENT.write(environment))
        return 0

    def _attach(self, fields: Fields) -> int:
        """Give an environment more devices."""
        wanted = codec.REQUIREMENTS.read(fields.raw("requirements"))
        grant = self._host.attach(fields.identifier("environment"), wanted)
        self._reply(codec.GRANT.write(grant))
        return 0

    def _detach(self, fields: Fields) -> int:
        """Take devices away from an environment: those that are named, or all."""
        named = fields.strings("devices", NAME_LIMIT, arguments.MOST)
        grant = self._host.detach(fields.identifier("environment"), named)
        self._reply(codec.GRANT.write(grant))
        return 0

    def _signal(self, fields: Fields) -> int:
        lease = fields.identifier("lease") if fields.has("lease") else ""
        self._host.signal(fields.identifier("environment"), fields.string("signal", 16), lease)
        self._reply(None)
        return 0

    def _acquire(self, fields: Fields, command: str) -> LocalHold:
        if fields.has("environment"):
            return self._host.join(fields.identifier("environment"), command=command)
        return self._host.acquire(
            codec.REQUIREMENTS.read(fields.raw("requirements")),
            name=fields.string("name", NAME_LIMIT + 1),
            command=command,
            time=arguments.seconds(fields),
        )

    def _hold(self, fields: Fields) -> int:
        """Hold devices until the client closes stdin, is gone, is silent for too long, or its
        shell has joined.
        """
        command = fields.text("command", COMMAND_LIMIT)
        from genvx.agent.client import JOINS, TAKES, Client

        silence = fields.optional_integer("silence_ms", 1, 1 << 50)
        client = Client(self._out, math.inf if silence is None else silence / 1000)
        waits = fields.has("patience_ms")
        acquire = self._wait if waits else lambda f, c, _: self._acquire(f, c)
        with acquire(fields, command, client) as hold:
            self._reply(codec.GRANT.write(hold.grant))
            if waits and not client.says(TAKES, _ANSWER):
                return 0  # what is offered and not taken goes to the next
            # Whoever joins has the same end; a hold that nothing runs under just lets go.
            if client.says(JOINS, hold.grant.seconds):
                self._hand_over(client)
        return 0

    def _hand_over(self, client: Client) -> None:
        """Wait for the shell that is to join under the token of our call, and tell the client what
        became of it.

        Once the client closes stdin nobody joins any more: its terminal has ended.
        """
        from genvx.local import answers, shells

        reply, over = None, False
        while reply is None and not over:
            over = client.wait(_LOOK)
            reply = answers.collect(self._host.state, self._call.token)
        if reply is None:
            reply = Reply(value={"start_up": shells.first_file()})
        # Whoever has closed both ends does not read this.
        with contextlib.suppress(BrokenPipeError):
            self._send(reply)

    def _reserve(self, fields: Fields) -> int:
        """Take devices for a time, whoever lives or dies."""
        seconds = arguments.seconds(fields)
        if seconds is None:
            raise InvalidInput("what nobody holds needs a time at which it ends")
        grant = self._host.reserve(
            codec.REQUIREMENTS.read(fields.raw("requirements")),
            seconds,
            name=fields.string("name", NAME_LIMIT + 1),
            command=fields.text("command", COMMAND_LIMIT),
        )
        self._reply(codec.GRANT.write(grant))
        return 0

    def _wait(self, fields: Fields, command: str, client: Client) -> LocalHold:
        """Wait in line while the client listens, and tell it how it stands."""

        def tell(standing: Standing) -> None:
            if client.wants_news(standing):
                self._reply({"place": standing.place, "reason": standing.reason})

        return self._host.wait(
            codec.REQUIREMENTS.read(fields.raw("requirements")),
            name=fields.string("name", NAME_LIMIT + 1),
            environment=fields.identifier("environment") if fields.has("environment") else None,
            command=command,
            patience=fields.integer("patience_ms") / 1000,
            tell=tell,
            stop=client,
            time=arguments.seconds(fields),
            keeps=not fields.has("keeps") or fields.flag("keeps"),
        )

    def _command(self, fields: Fields) -> list[str]:
        """The argv to run: as given, a line for sh, or the user's shell reading stdin."""
        if fields.has("line"):
            return ["sh", "-c", fields.string("line", _LONGEST_ARGUMENT)]
        if fields.has("argv"):
            argv = list(fields.strings("argv", _LONGEST_ARGUMENT, arguments.MOST))
            if not argv or any("\0" in word for word in argv):
                raise InvalidInput("a command has at least one word, and none with a NUL")
            from genvx.local.running.hold import find_command

            find_command(argv, self._host.environ)
            return argv
        from genvx.local import shells

        return [shells.user_shell(self._host.environ)]

    def _run(self, fields: Fields) -> int:
        argv = self._command(fields)
        variables = arguments.variables(fields)
        cwd = arguments.directory(fields)
        hold = self._acquire(fields, " ".join(argv))
        self._reply(codec.GRANT.write(hold.grant))
        return hold.supervise(
            argv, stdout=self._out, watch_client=True, variables=variables, cwd=cwd
        )

    def _lock(self, fields: Fields) -> int:
        """Run a command in an environment when its turn comes, and tell whom it waits for."""
        argv = self._command(fields)
        patience = fields.optional_integer("patience_ms", 0, 1 << 50)
        from genvx.agent.client import Unread
        from genvx.local.turns import take_turn

        told = [""]

        def tell(turn: Turn) -> None:
            told[0] = str(turn)
            again()

        def again() -> None:
            # Whoever hears nothing for long takes us for lost.
            self._reply({"place": 1, "reason": told[0]})

        hold = self._acquire(fields, " ".join(argv))
        with hold:
            turn = take_turn(
                self._host,
                hold.grant.environment,
                command=" ".join(argv),
                patience=math.inf if patience is None else patience / 1000,
                tell=tell,
                stop=Unread(self._out, again),
            )
            try:
                self._reply(codec.GRANT.write(hold.grant))
                # Whatever the command leaves behind keeps the turn, as it keeps the lease.
                os.set_inheritable(turn.descriptor, True)
                return hold.supervise(argv, stdout=self._out, watch_client=True)
            finally:
                turn.leave()

    def _port(self, fields: Fields) -> int:
        """A port that nobody listens on just now, for a job that will."""
        import socket

        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind(("", 0))
            self._reply(probe.getsockname()[1])
        return 0

    def _shell(self, fields: Fields) -> int:
        """Join an environment and become the shell, or run a command, in the terminal that stdin
        and stdout are.
        """
        prompted = fields.has("prompt")
        name = fields.exact_text("prompt", 300) if prompted else ""
        from genvx.local import answers, shells

        argv: Optional[list[str]] = (
            self._command(fields) if arguments.names_command(fields) else None
        )
        shown = " ".join(argv) if argv else os.path.basename(shells.user_shell(os.environ))
        hold = self._host.join(fields.identifier("environment"), command=shown)
        answers.leave(self._host.state, self._call.token, Reply())
        os.dup2(self._out, 1)
        os.close(self._out)
        from genvx.agent import program

        path = program.leave()
        if argv is not None:
            return hold.supervise(argv, variables=shells.with_path(self._host.environ, path))
        return hold.enter_shell(prompt=prompted, host=name, login=True, path=path)
