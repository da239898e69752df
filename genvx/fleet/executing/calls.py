"""A call on its way to a worker, and what comes back."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING, Any

from genvx.core.text import printable
from genvx.errors import CallFailed, InvalidInput, ProtocolError
from genvx.fleet.executing.frames import CALL, CHUNK, FAILED, JSON, frame

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Future

    from genvx.fleet.executing.frames import Frame

# Buffers of at least this size travel beside the pickle, uncopied.
_LARGE = 65536
_LONGEST_TRACE = 100_000


class Call:
    """Call is a function and its arguments, and the future of its result.

    chunk: whether `args` are those of several calls, whose results come as one list. tries: how
    often it was begun.
    """

    def __init__(
        self,
        future: Future[Any],
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        *,
        chunk: bool = False,
    ) -> None:
        self.future = future
        self.tries = 0
        self._given = (function, args, kwargs)
        self._chunk = chunk
        named = getattr(function, "__qualname__", None) or type(function).__name__
        self.name = printable(str(named), 100)

    def begin(self) -> bool:
        """Begin a try; return False if the call was cancelled before the first."""
        if not self.future.running() and not self.future.set_running_or_notify_cancel():
            return False
        self.tries += 1
        return True

    def cancel(self) -> bool:
        """Cancel the call, unless it was begun; return whether it is cancelled."""
        if not self.future.cancel():
            return False
        self.future.set_running_or_notify_cancel()
        return True

    def frame(self) -> list[bytes | memoryview]:
        """Return what is sent to a worker.

        Raises:
            InvalidInput: it cannot be pickled.
        """
        import cloudpickle

        pieces, buffers = _Pieces(), list[memoryview]()

        def beside(buffer: pickle.PickleBuffer) -> bool:
            # Whether it stays in the pickle.
            try:
                view = buffer.raw()
            except BufferError:
                return True
            if view.nbytes < _LARGE:
                return True
            buffers.append(view)
            return False

        try:
            cloudpickle.Pickler(pieces, protocol=5, buffer_callback=beside).dump(self._given)
        except Exception as error:  # whatever a class of the caller's raises when it is pickled
            raise InvalidInput(
                f"{self.name} cannot be sent to a worker: {printable(str(error), 300)}"
            ) from error
        return frame(CHUNK if self._chunk else CALL, pieces.written, buffers)

    def outcome(
        self, answer: Frame, host: str, python: str, *, as_json: bool
    ) -> tuple[Any, BaseException | None]:
        """Return the result in an answer, or an error: the traceback of the worker is its cause.

        Where the call could not be read there, or its result cannot be sent, the error is an
        InvalidInput; where the exception cannot be made here, a CallFailed.

        host, python: of the worker, for people. as_json: whether nothing is unpickled.
        """
        # Errors are returned, not raised: our frames in their tracebacks would tell nothing.
        if answer.kind == FAILED:
            try:
                return None, self._error(answer, host, python, as_json=as_json)
            except ProtocolError as fault:
                return None, fault
        if (answer.kind == JSON) is not as_json:
            return None, ProtocolError(f"{host}: the worker answered with another kind of result")
        try:
            if as_json:
                return json.loads(answer.body), None
            return pickle.loads(answer.body, buffers=answer.buffers), None
        except Exception as cause:  # whatever a class raises when it is unpickled
            why = printable(str(cause), 300)
            error = InvalidInput(f"the result of {self.name} on {host} cannot be read here: {why}")
            error.__cause__ = cause
            return None, error

    def settle(self, answer: Frame, host: str, python: str, *, as_json: bool) -> None:
        """Give the result in an answer to whoever waits for it, or the error."""
        value, error = self.outcome(answer, host, python, as_json=as_json)
        if error is not None:
            self.fail(error)
        elif not self.future.done():
            self.future.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Tell whoever waits for the result why there is none."""
        if not self.future.done() and self.begin():
            self.future.set_exception(error)

    def _error(self, answer: Frame, host: str, python: str, *, as_json: bool) -> BaseException:
        about = _About(answer)
        if about.how == "unread":
            if about.missing:
                return InvalidInput(
                    f"{host} has no module {about.missing!r}, which {self.name} needs: install it "
                    f"for {python} there, or name a Python that has it (python=), its project "
                    "here (project=), or its directory on the host (cwd=)"
                )
            return InvalidInput(
                f"{self.name} cannot be read on {host}: {about.kind}: {about.message}"
            )
        if about.how == "unsent":
            return InvalidInput(
                f"the result of {self.name} on {host} cannot be sent back: {about.message}"
            )
        error = None if as_json else self._raised(answer)
        if error is None:
            error = CallFailed(f"{self.name} on {host} raised {about.kind}: {about.message}")
        error.__cause__ = RemoteTraceback(f'\n"""\n{about.traceback}"""')
        return error

    def _raised(self, answer: Frame) -> BaseException | None:
        """The exception itself; None if it did not travel, or cannot be made here."""
        if not answer.body:
            return None
        try:
            error = pickle.loads(answer.body)
        except Exception:  # its class is not here, or cannot be made of its own arguments
            return None
        return error if isinstance(error, Exception) else None


class _About:
    """What a worker says of a failure, made printable."""

    def __init__(self, answer: Frame) -> None:
        try:
            said = json.loads(bytes(answer.buffers[0]))
            self.how, self.missing = said["how"], said["missing"]
            self.kind = printable(str(said["kind"]), 100)
            self.message = printable(str(said["message"]), 1000)
            lines = str(said["traceback"])[-_LONGEST_TRACE:].split("\n")
            self.traceback = "\n".join(printable(line, 1000) for line in lines)
        except (ValueError, KeyError, IndexError, TypeError, RecursionError):
            raise ProtocolError("the worker's answer cannot be read") from None
        if self.missing is not None:
            self.missing = printable(str(self.missing), 100)


class RemoteTraceback(Exception):
    """RemoteTraceback is the cause of an exception that a function has raised: where, there."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return self.text


class _Pieces:
    """A file for pickle that keeps what is written as it is: large bytes are not copied."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.written.append(data if type(data) is bytes else bytes(data))
        return len(data)
