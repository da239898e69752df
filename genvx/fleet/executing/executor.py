"""Executor: functions that are called on GPUs of a fleet, as concurrent.futures has it."""

from __future__ import annotations

import atexit
import concurrent.futures
import itertools
import os
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, TypeVar

from genvx.core.command import require_variables
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import requirements_of
from genvx.errors import InvalidInput
from genvx.fleet.executing.calls import Call
from genvx.fleet.executing.crew import Crew
from genvx.fleet.executing.launching import Wants, require_cloudpickle
from genvx.fleet.executing.parcel import Parcel
from genvx.fleet.executing.recruiting import Recruiter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from genvx.fleet.ask import HostGroup

T = TypeVar("T")

# What people see in lists of environments.
_COMMAND = "executor"
_crews: weakref.WeakSet[Crew] = weakref.WeakSet()


class Executor(concurrent.futures.Executor):
    """Executor calls functions in workers, each of which holds devices and keeps its process.

    `Fleet.executor` makes one. Within the block, at its end, and at the end of the program it does
    what ProcessPoolExecutor does; after Ctrl-C, `stop`.
    """

    def __init__(
        self,
        fleet: HostGroup,
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
        results: str = "pickle",
        initializer: Callable[..., object] | None = None,
        initargs: Sequence[Any] = (),
        project: str | os.PathLike[str] | None = None,
        follow_links: bool = False,
        yes: bool = False,
        stop: threading.Event | None = None,
    ) -> None:
        """`Fleet.executor` has the arguments."""
        for what, given, least in (("workers", workers, 1), ("retries", retries, 0)):
            if given is not None and (type(given) is not int or given < least):
                raise InvalidInput(f"{what} is a number from {least} on, not {given!r}")
        if results not in ("pickle", "json"):
            raise InvalidInput(f"results is 'pickle' or 'json', not {results!r}")
        if initializer is not None and not callable(initializer):
            raise InvalidInput("initializer is a function")
        for what, text in (("python", python), ("cwd", cwd)):
            if text is not None and (not text or "\0" in text):
                raise InvalidInput(f"{what} is a path on the host, not {text!r}")
        require_cloudpickle()
        requirements = requirements_of(gpus, memory, visible_as)
        ask = Ask(requirements, name, command=_COMMAND, lasts=time, patience=wait)
        variables = dict(require_variables(env or {}))
        as_json = results == "json"
        parcel = None
        if project is not None:
            parcel = Parcel(os.fspath(project), cwd or "", follow_links=follow_links, large=yes)
        wants = Wants(python, cwd if parcel is None else None, variables, as_json, parcel)
        recruiter = Recruiter(fleet, ask, wants, stop or threading.Event())
        if workers is None:
            workers = sys.maxsize if requirements.gpus else len(fleet.hosts)

        def prepare() -> Call:
            assert initializer is not None
            return Call(concurrent.futures.Future(), initializer, initargs, {})

        self._crew = Crew(
            recruiter.first(),
            recruiter,
            limit=workers,
            retries=retries,
            as_json=as_json,
            prepare=None if initializer is None else prepare,
        )
        _crews.add(self._crew)
        # Again each time, to be the first at the exit: paramiko closes connections there, too.
        atexit.unregister(_at_exit)
        atexit.register(_at_exit)
        # An executor that nobody has any more ends when its calls are done.
        self._forgotten = weakref.finalize(self, _close, self._crew)
        self._forgotten.atexit = False

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of the hosts of the workers that there are, one for each."""
        return self._crew.hosts

    def submit(
        self, fn: Callable[..., T], /, *args: Any, **kwargs: Any
    ) -> concurrent.futures.Future[T]:
        """Call `fn(*args, **kwargs)` in a worker; return the future of its result.

        The arguments are read when a worker takes the call: do not change them before.

        Raises:
            RuntimeError: the executor is shut down, or belongs to the parent of this process.
        """
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._submit(Call(future, fn, args, kwargs))
        return future

    def submit_chunk(
        self, fn: Callable[..., T], chunk: Sequence[tuple[Any, ...]]
    ) -> concurrent.futures.Future[list[T]]:
        """Call `fn` with each of these arguments, one after the other, in one worker.

        Return the future of the list of results. Raises: as `submit`.
        """
        future: concurrent.futures.Future[list[T]] = concurrent.futures.Future()
        self._submit(Call(future, fn, chunk, {}, chunk=True))
        return future

    def _submit(self, call: Call) -> None:
        if self._crew.pid != os.getpid():
            raise RuntimeError("this executor belongs to the parent of this process")
        self._crew.submit(call)

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        **more: Any,
    ) -> Iterator[T]:
        """Call `fn` with each of the items, in workers; yield the results in their order.

        timeout: seconds from now in which they are there; TimeoutError. chunksize: how many items
        travel together, which is faster for functions that take no time. What `fn` raises is raised
        where its result would be; calls that wait are cancelled then.
        """
        if type(chunksize) is not int or chunksize < 1:
            raise InvalidInput(f"chunksize is a number from 1 on, not {chunksize!r}")
        if chunksize == 1:
            return super().map(fn, *iterables, timeout=timeout, **more)
        chunks = _chunks(zip(*iterables, strict=False), chunksize)
        lists: Iterator[Any] = _ByChunk(self).map(fn, chunks, timeout=timeout, **more)
        return itertools.chain.from_iterable(lists)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls, and end the workers when their calls are done.

        wait: until then. cancel_futures: drop the calls that no worker has taken.
        """
        if self._crew.pid != os.getpid():
            return
        self._crew.close(cancel=cancel_futures)
        if wait:
            self._wait()

    def stop(self) -> None:
        """End all workers now, with all that they have started, and wait until that is done.

        Calls that run fail with WorkerDied; those that wait are cancelled.
        """
        if self._crew.pid == os.getpid():
            self._crew.stop()
            self._crew.wait()

    def _wait(self) -> None:
        try:
            self._crew.wait()
        except BaseException:
            # Ctrl-C while we wait: no worker goes on without us.
            self._crew.stop()
            self._crew.wait()
            raise

    def __repr__(self) -> str:
        return f"<Executor on {', '.join(self.hosts) or 'no host'}>"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None and not isinstance(error, Exception):
            self.stop()  # Ctrl-C, or the end of the program
        else:
            self.shutdown(wait=True)


class _ByChunk(concurrent.futures.Executor):
    """Submits chunks of calls, whose results come as lists."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def submit(
        self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> concurrent.futures.Future[Any]:
        return self._executor.submit_chunk(fn, *args)


def _chunks(items: Iterable[tuple[Any, ...]], size: int) -> Iterator[list[tuple[Any, ...]]]:
    left = iter(items)
    while chunk := list(itertools.islice(left, size)):
        yield chunk


def _close(crew: Crew) -> None:
    if crew.pid == os.getpid():
        crew.close()


def _at_exit() -> None:
    """Do what was submitted, as concurrent.futures does; nothing is left behind."""
    ours = [crew for crew in _crews if crew.pid == os.getpid()]
    for crew in ours:
        crew.close()
    try:
        for crew in ours:
            crew.wait()
    except BaseException:
        for crew in ours:
            crew.stop()
        for crew in ours:
            crew.wait()
        raise


def _forget() -> None:
    for crew in tuple(_crews):
        crew.forget()


# A child that holds our ends open would keep workers alive after us.
os.register_at_fork(after_in_child=_forget)
