"""Keeps the main thread out of paramiko: another thread does what it asks of a connection.

Ctrl-C raises KeyboardInterrupt in the main thread, between any two of its instructions. In the
midst of paramiko it leaves a lock held or a message cut, and the connection is of no use any more,
not even for cleaning up. A thread that is not the main one is never interrupted, so what it has
begun it brings to an end; and the main thread, which only waits, hears Ctrl-C at once. Handlers of
other signals that raise are no different.
"""

from __future__ import annotations

import _thread
import functools
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

# Seconds that the end of an act is awaited after Ctrl-C, so that what follows comes after it on the
# connection. An act takes so long only where the host takes nothing more, or does not answer.
_MOMENT = 0.1
# Seconds that a thread stays for the next act, which often follows at once.
_IDLE = 0.1


def apart(
    *, moment: float = _MOMENT, undo: Callable[..., object] | None = None
) -> Callable[[F], F]:
    """Have a function do its work in another thread where the main thread calls it.

    moment: seconds that its end is awaited after Ctrl-C; it goes on after that. undo: called, in
    another thread, with what it returns and its arguments, if nobody gets what it returns because
    of a Ctrl-C.
    """

    def outside(act: F) -> F:
        @functools.wraps(act)
        def asked(*args: Any, **options: Any) -> Any:
            if threading.get_ident() != threading.main_thread().ident or sys.is_finalizing():
                return act(*args, **options)
            return _Work(act, args, options, undo).done_by_another(moment)

        return cast("F", asked)

    return outside


class _Work:
    """One call of a function, in another thread."""

    def __init__(
        self,
        act: Callable[..., Any],
        args: tuple[Any, ...],
        options: dict[str, Any],
        undo: Callable[..., object] | None = None,
    ) -> None:
        self._call: Callable[[], Any] | None = functools.partial(act, *args, **options)
        # Taken out by whoever undoes it: the thread that does the work, or one that comes later.
        self._undo = [(undo, args)] if undo else []
        self._result: Any = None
        self._error: BaseException | None = None
        self.is_given = False
        self._over = False
        self._left = False
        # A lock of C: to wait for it can be interrupted anywhere, and harms nobody. An Event has a
        # lock inside, which an interrupted waiter may keep.
        self._end = _thread.allocate_lock()
        self._end.acquire()

    def done_by_another(self, moment: float) -> Any:
        """Have it done; return what it returns, or raise what it raises."""
        try:
            _give(self)
            self._end.acquire()
        except BaseException:
            self._leave(moment)
            raise
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                # The traceback knows this frame: in a circle, what else it knows, such as a
                # channel, would live until it is collected.
                del error
        result, self._result = self._result, None
        return result

    def _leave(self, moment: float) -> None:
        self._left = True
        # Each side first says where it is, and then looks where the other is; so one of them, or
        # both, see that the result is nobody's.
        waits = self.is_given and moment
        over = self._over or (waits and self._end.acquire(timeout=moment))
        if over and self._undo:
            _give(_Work(self._undone, (), {}))

    def _undone(self) -> None:
        try:
            undo, args = self._undo.pop()
        except IndexError:
            return  # there is nothing to undo, or the other side does it
        result, self._result = self._result, None
        if self._error is None:
            undo(result, *args)

    def do(self) -> None:
        """Do it, in the other thread."""
        call, self._call = self._call, None
        assert call is not None, "done once"
        try:
            self._result = call()
        except BaseException as error:
            self._error = error
        self._over = True
        if self._left:
            self._undone()

    def tell(self) -> None:
        """Wake the main thread."""
        self._end.release()


class _Hand(threading.Thread):
    """A thread that does one work after the other."""

    def __init__(self) -> None:
        # A daemon: a program that ends must not wait for what it has left.
        super().__init__(name="genvx hand", daemon=True)
        self._work: _Work | None = None
        self._given = _thread.allocate_lock()
        self._given.acquire()

    def give(self, work: _Work) -> None:
        """Have it do a work; only for a hand that has none."""
        self._work = work
        work.is_given = True  # true in any case: nothing interrupts us before the next call
        self._given.release()

    def run(self) -> None:
        """Do works until there is none for a while."""
        while self._is_given():
            work, self._work = self._work, None
            assert work is not None, "given"
            work.do()
            # Idle first: the main thread, once woken, may have the next work.
            _idle.append(self)
            work.tell()
            # What it returned must not live until the next one is given.
            del work

    def _is_given(self) -> bool:
        if self._given.acquire(timeout=_IDLE):
            return True
        try:
            _idle.remove(self)
        except ValueError:
            # It is about to be given a work. If a Ctrl-C comes between, it stays, and harms nobody.
            return self._given.acquire()
        return False


_idle: list[_Hand] = []
# A forked child has none of these threads.
os.register_at_fork(after_in_child=_idle.clear)


def _give(work: _Work) -> None:
    try:
        hand = _idle.pop()
    except IndexError:
        hand = _Hand()
        try:
            hand.start()
        except RuntimeError:
            # No more threads can be had, now or because the program ends.
            work.do()
            work.tell()
            return
    hand.give(work)
