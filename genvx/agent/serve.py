"""Answers one call.

What only some operations need is imported by those: start-up is most of what a question costs.

Replies go to a duplicate of descriptor 1, which then points at stderr: what a library prints never
gets between us and the client.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, Any, Callable, Optional

from genvx._version import __version__
from genvx.core import codec
from genvx.core.fields import Fields, Malformed
from genvx.core.protocol import PROTOCOL, Call, Reply, call_from_word, read_call
from genvx.core.text import COMMAND_LIMIT, NAME_LIMIT, printable
from genvx.errors import AgentError, GenvxError, InvalidInput, ProtocolError
from genvx.local import processes
from genvx.local.host import LocalHost

if TYPE_CHECKING:
    from genvx.agent.client import Client
    from genvx.core.queue import Standing
    from genvx.local.hold import LocalHold

_MOST_ARGUMENTS = 10_000
_LONGEST_ARGUMENT = 512 * 1024
_LONGEST_PATH = 4096

# So long a client has to take what was offered to it.
_ANSWER = 30.0

# How often we look whether a shell has joined.
_LOOK = 0.05


def serve(arguments: list[str], read_before: bytes = b"") -> int:
    """Read the call, answer it, and return the exit code of the process.

    read_before: the call, if whoever started us has taken it from stdin.
    """
    # Our command line is a program in base64, which tells nobody anything.
    processes.call_ourselves("genvx-agent")
    try:
        if read_before:
            call = read_call(io.BytesIO(read_before).read)
        elif arguments:
            call = call_from_word(arguments[0])
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
            return self._fail(AgentError(f"the far end failed: {printable(str(error), 300)}"))
        except Exception as error:  # the door of the far end: a fault is a reply, not a traceback
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
        from genvx.core import policycodec

        self._reply(policycodec.ENTITLEMENT.write(self._host.entitlement()))
        return 0

    # Acts

    def _release(self, fields: Fields) -> int:
        kill = fields.has("kill") and fields.flag("kill")
        environment = self._host.release(fields.string("environment", NAME_LIMIT), kill=kill)
        self._reply(codec.ENVIRONMENT.write(environment))
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
            time=_seconds(fields),
        )

    def _hold(self, fields: Fields) -> int:
        """Hold devices until the client closes stdin or is gone, or its shell has joined."""
        command = fields.text("command", COMMAND_LIMIT)
        from genvx.agent.client import JOINS, TAKES, Client

        client = Client(self._out)
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
        seconds = _seconds(fields)
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
            command=command,
            patience=fields.integer("patience_ms") / 1000,
            tell=tell,
            stop=client,
            time=_seconds(fields),
            keeps=not fields.has("keeps") or fields.flag("keeps"),
        )

    def _command(self, fields: Fields) -> list[str]:
        """The argv to run: as given, a line for sh, or the user's shell reading stdin."""
        if fields.has("line"):
            return ["sh", "-c", fields.string("line", _LONGEST_ARGUMENT)]
        if fields.has("argv"):
            argv = list(fields.strings("argv", _LONGEST_ARGUMENT, _MOST_ARGUMENTS))
            if not argv or any("\0" in word for word in argv):
                raise InvalidInput("a command has at least one word, and none with a NUL")
            from genvx.local.hold import find_command

            find_command(argv, self._host.environ)
            return argv
        from genvx.local import shells

        return [shells.user_shell(self._host.environ)]

    def _run(self, fields: Fields) -> int:
        argv = self._command(fields)
        variables = _variables(fields)
        cwd = _directory(fields)
        hold = self._acquire(fields, " ".join(argv))
        self._reply(codec.GRANT.write(hold.grant))
        return hold.supervise(
            argv, stdout=self._out, watch_client=True, variables=variables, cwd=cwd
        )

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

        argv: Optional[list[str]] = self._command(fields) if _names_command(fields) else None
        shown = " ".join(argv) if argv else os.path.basename(shells.user_shell(os.environ))
        hold = self._host.join(fields.identifier("environment"), command=shown)
        answers.leave(self._host.state, self._call.token, Reply())
        os.dup2(self._out, 1)
        os.close(self._out)
        if argv is not None:
            return hold.supervise(argv)
        return hold.enter_shell(prompt=prompted, host=name, login=True)


def _seconds(fields: Fields) -> Optional[int]:
    """How long the environment is to last."""
    return fields.optional_integer("seconds", 1, 1 << 40)


def _variables(fields: Fields) -> dict[str, str]:
    """The environment variables that the client gives the command."""
    if not fields.has("variables"):
        return {}
    from genvx.core.command import require_variables

    given = fields.raw("variables")
    if not isinstance(given, dict) or len(given) > _MOST_ARGUMENTS:
        raise InvalidInput(f"at most {_MOST_ARGUMENTS} variables")
    return require_variables(given)


def _directory(fields: Fields) -> Optional[str]:
    """The directory that the command is to start in; a relative one is below the home."""
    if not fields.has("cwd"):
        return None
    path = fields.string("cwd", _LONGEST_PATH)
    if "\0" in path or not os.path.isdir(path):
        raise InvalidInput(f"no such directory: {printable(path, 200)}")
    return path


def _names_command(fields: Fields) -> bool:
    return fields.has("argv") or fields.has("line")
