"""The process that keeps connections: it listens, answers commands, and ends when nobody asks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import queue
import select
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from genvx.core.text import printable
from genvx.core.wire.plain import dumps
from genvx.fleet.ask import HostGroup
from genvx.fleet.hosts.hostspec import HostSpec
from genvx.keeping import asking, nursery, places
from genvx.keeping.carrier import carry
from genvx.keeping.carriers import Carriers
from genvx.keeping.files import Unkeepable
from genvx.keeping.frames import Broken, Frames
from genvx.keeping.kept import Asked, Kept, reason
from genvx.keeping.log import begin as begin_log
from genvx.keeping.log import log
from genvx.keeping.rooms import Room

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.wire.reply import Reply
    from genvx.errors import GenvxError

# Hosts that one keeper has: each costs a descriptor and a thread.
_MOST_HOSTS = 512
# Seconds for a command to say what it wants, or to take what it is sent.
_TALK = 10.0
_BEAT = 0.5
# Seconds for saying good-bye to hosts.
_POLITE = 1.0
# Seconds after which we look whether the socket is still there.
_LOOK = 30.0
_TIMES = ("timeout", "host_lost_after", "idle", "age")


def keep(directory: str, environ: Mapping[str, str]) -> None:
    """Be the keeper of this directory and environment, until nobody has asked for a while.

    It ends at once if there is one.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.excepthook = lambda args: log(args.exc_value or args.exc_type())
    begin_log()
    marked = places.mark(environ)
    base = f"{directory}/{places.stem(marked)}"
    lock = os.open(f"{base}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    # While there is one thread. Carriers may outlive us: they do not have the lock.
    Keeper(f"{base}.sock", marked, nursery.begin(carry, [lock])).run()


class Keeper:
    """Keeper serves the commands that have its mark, on a socket with this path."""

    def __init__(self, path: str, marked: list[Any], making: socket.socket) -> None:
        """making: the socket of the nursery."""
        self._carriers = Carriers(making)
        self._path = path
        self._marked = marked
        self._lock = threading.Lock()
        self._rooms: dict[tuple[str | None, float], Room] = {}
        self._busy = 0
        self._used = time.monotonic()
        self._idle = places.IDLE
        self._stopped = False
        # Written to when a command has been answered, so that the loop below sees what is next.
        self._woken, self._wake = os.pipe()

    def run(self) -> None:
        """Serve until nobody has asked for the idle time, or somebody stops it."""
        # The lock is ours: what is here now is of a keeper that was killed.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Not for longer: a ProxyCommand inherits it.
        before = os.umask(0o177)
        listener.bind(self._path)
        os.umask(before)
        ours = os.lstat(self._path).st_ino
        listener.listen(64)
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while not self._stopped and _inode(self._path) == ours:
            left = self._let_go()
            if left <= 0:
                break
            carriers = self._carriers.sockets()
            for descriptor in carriers:
                poll.register(descriptor, select.POLLIN)
            ready = poll.poll(min(left, _LOOK) * 1000)
            for descriptor in carriers:
                poll.unregister(descriptor)
            for descriptor, _ in ready:
                if descriptor == self._woken:
                    os.read(self._woken, 4096)
                elif descriptor in carriers:
                    self._carriers.hear(carriers[descriptor])
                else:
                    self._accept(listener)
        # Commands that come now find nobody, and go their own way.
        if _inode(self._path) == ours:
            os.unlink(self._path)
        self._carriers.close()
        closing = [threading.Thread(target=room.close, daemon=True) for room in self._all_rooms()]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join(_POLITE)
        os._exit(0)  # hosts that hang are not waited for

    def _all_rooms(self) -> list[Room]:
        with self._lock:
            return list(self._rooms.values())

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except OSError as error:
            log(error)
            time.sleep(1)  # no descriptors: the next accept would fail at once, again and again
            return
        with self._lock:
            self._busy += 1
        try:
            threading.Thread(target=self._serve, args=(Frames(sock),), daemon=True).start()
        except RuntimeError as error:
            sock.close()
            self._served()
            log(error)

    def _served(self) -> None:
        with self._lock:
            self._busy -= 1
            self._used = time.monotonic()
        os.write(self._wake, b".")

    def _let_go(self) -> float:
        """Close what nobody uses any more; return the seconds until there may be more of it."""
        left = self._carriers.end_idle(self._idle)
        now = time.monotonic()
        with self._lock:
            if self._busy:
                return _TALK
            oldest = self._used
            for key, room in list(self._rooms.items()):
                for name, kept in list(room.hosts.items()):
                    if now - kept.used >= self._idle:
                        del room.hosts[name]
                        threading.Thread(target=kept.close, daemon=True).start()
                    else:
                        oldest = min(oldest, kept.used)
                if not room.hosts:
                    del self._rooms[key]
            ours = (self._used if not self._rooms else oldest) + self._idle - now
            return max([ours, *left])

    def _serve(self, frames: Frames) -> None:
        try:
            frames.require_ours()
            frames.send({"genvx": self._marked}, _TALK)
            asked = frames.receive(_TALK)
            if asked == {"do": "stop"}:
                self._stopped = True
                frames.send({"done": os.getpid()}, _TALK)
            elif asked == {"do": "status"}:
                frames.send({"done": self._status()}, _TALK)
            elif "carry" in asked:
                self._idle = float(asked["idle"])
                if not self._carriers.hand_over(frames.fileno(), asked):
                    frames.send({"cold": True}, _TALK)
            else:
                self._ask(frames, asked)
        except Broken:
            pass  # it is gone, or is none of ours
        except (LookupError, TypeError, ValueError, AttributeError, OSError, RuntimeError) as error:
            log(error)
        finally:
            frames.close()
            self._served()

    def _status(self) -> dict[str, Any]:
        kept = [each for room in self._all_rooms() for each in list(room.hosts.values())]
        return {
            "pid": os.getpid(),
            "hosts": sorted({each.name for each in kept if each.connected}),
            "idle": self._idle,
        }

    def _ask(self, frames: Frames, asked: Any) -> None:
        operation, arguments = asked["ask"]
        if operation not in asking.QUESTIONS:
            raise ValueError(f"{printable(str(operation), 40)} is not asked here")
        timeout, lost, idle, age = (float(asked[name]) for name in _TIMES)
        self._idle = idle
        if age:  # who takes old answers is about to act
            self._carriers.announce(asked)
        hosts = self._kept(asked, lost, idle)
        for each in asked["hosts"]:
            if each["name"] not in hosts:
                frames.send({"host": each["name"]}, _TALK)
        if hosts:
            group = HostGroup(
                [Asked(kept) for kept in hosts.values()],  # type: ignore[type-var]
                fanout=int(asked["fanout"]),
                timeout=timeout,
            )
            answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

            def gather() -> None:
                try:
                    for answer in group.stream(
                        lambda each: each.kept.answer(operation, arguments, timeout, age)
                    ):
                        answers.put(answer)
                finally:
                    answers.put(None)

            threading.Thread(target=gather, daemon=True).start()
            while (answer := self._next(answers, frames)) is not None:
                frames.send(_said(*answer), _TALK)
        frames.send({"done": True}, _TALK)

    def _next(self, answers: queue.SimpleQueue[Any], frames: Frames) -> Any:
        while True:
            try:
                return answers.get(timeout=_BEAT)
            except queue.Empty:
                frames.send({"beat": True}, _TALK)

    def _kept(self, asked: Any, lost: float, idle: float) -> dict[str, Kept]:
        """The hosts of a question that are kept, by name."""
        config, found = asked["config"], {}
        with self._lock:
            room = self._rooms.get((config, lost))
            if room is not None and not room.files.unchanged:
                del self._rooms[config, lost]
                threading.Thread(target=room.close, daemon=True).start()
                room = None
            if room is None:
                try:
                    room = self._rooms[config, lost] = Room(config, lost)
                except Unkeepable:
                    return {}
            for each in asked["hosts"]:
                key = dumps(each)
                kept = room.hosts.get(key)
                if kept is None and sum(len(r.hosts) for r in self._rooms.values()) < _MOST_HOSTS:
                    spec = HostSpec(**{field: each[field] for field in asking.FIELDS})
                    kept = room.hosts[key] = Kept(spec, room.session, room.files, idle)
                if kept is not None:
                    kept.used = time.monotonic()
                    found[kept.name] = kept
        return found


def _said(name: str, answer: tuple[Reply, bool] | None, error: GenvxError | None) -> dict[str, Any]:
    """What a command is told of a host; only its name if it had better ask itself."""
    said: dict[str, Any] = {"host": name}
    if answer is not None and not answer[0].attached:
        reply, old = answer
        said["reply"] = [reply.value, reply.error, reply.message]
        if old:
            said["old"] = True
    elif error is not None:
        met = reason(error)
        if met is not None:
            said["unreachable"] = list(met)
    return said


def _inode(path: str) -> int:
    try:
        return os.lstat(path).st_ino
    except OSError:
        return 0
