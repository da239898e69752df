"""The program of a worker, which is sent as text to a Python on a host that has no genvx.

It calls functions in its main thread, one at a time, and reads what its client says in another.
Both speak on descriptors of their own: descriptor 1 is that of errors, and descriptor 0 is empty,
so whatever a function prints or reads, it is not part of the talk.
"""

from __future__ import annotations

import atexit
import ctypes
import faulthandler
import fcntl
import json
import os
import pickle
import queue
import select
import shutil
import signal
import struct
import sys
import threading
import time
import traceback
import types
from typing import TYPE_CHECKING, Any

from genvx.fleet.executing.workcopy import (
    delete_after_us,
    delete_if_left,
    own_directory,
    parcel_of,
    write_files,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Frame = tuple[bytes, bytearray, list[bytearray]]

# As in frames.py: a kind, the number of buffers and the length of the body; the buffers' lengths,
# the body and the buffers follow.
HEAD = struct.Struct(">cIQ")
SIZE = struct.Struct(">Q")
# Buffers of at least this size travel beside the pickle, uncopied.
LARGE = 65536
# Bytes of a project that are read at once.
PART = 1 << 20
# Seconds between SIGTERM and SIGKILL for what functions have left behind.
GRACE = 1.0
SET_NAME, SET_SUBREAPER = 15, 36


class Worker:
    """A worker.

    silence: the seconds after which a silent client is gone; None trusts the kernel. as_json:
    whether results go as JSON.
    """

    def __init__(
        self, inlet: int, outlet: int, pickler: Any, *, silence: float | None, as_json: bool
    ) -> None:
        self.inlet = inlet
        self.outlet = outlet
        self.pickler = pickler
        self.silence = silence
        self.as_json = as_json
        self.pid = os.getpid()
        self.libc = ctypes.CDLL(None)
        # A copy of the client's project, which ends with us.
        self.copy: str | None = None
        self.parcel: tuple[str, int] | None = None
        self.frames: queue.SimpleQueue[Frame] = queue.SimpleQueue()

    def serve(self) -> None:
        """Answer calls until the client ends us or is gone."""
        self.libc.prctl(SET_NAME, b"genvx-worker")
        # What functions leave behind becomes our child, and is found at the end.
        self.libc.prctl(SET_SUBREAPER, 1)
        os.register_at_fork(after_in_child=self.let_go)
        threading.Thread(target=self.listen, name="genvx worker", daemon=True).start()
        while True:
            kind, body, buffers = self.frames.get()
            if kind == b"E":
                break
            self.answer(kind, body, buffers)
            del body, buffers
        # Threads that functions have left would be waited for at an ordinary exit.
        atexit._run_exitfuncs()
        self.end()

    def let_go(self) -> None:
        """Keep a forked child out of the talk."""
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (self.inlet, self.outlet):
            os.dup2(null, descriptor, inheritable=False)
        os.close(null)

    # What comes

    def listen(self) -> None:
        """Read what the client says; end everything when it is gone."""
        try:
            while True:
                frame = read_frame(self.exactly)
                if frame[0] != b"P":
                    self.frames.put(frame)
                if frame[0] == b"E":
                    # Its end is not our end: a client that has said this closes nothing yet.
                    self.silence = None
                del frame
        except EOFError as error:
            if str(error):
                os.write(2, f"{error}\n".encode())
            self.end()

    def exactly(self, size: int) -> bytearray:
        """Read so many bytes."""
        data = bytearray(size)
        view = memoryview(data)
        poll = select.poll()
        poll.register(self.inlet, select.POLLIN)
        while view:
            if self.silence is not None and not poll.poll(self.silence * 1000):
                raise EOFError(f"nothing was heard of the client for {self.silence:g} s")
            count = os.readv(self.inlet, [view])
            if not count:
                raise EOFError
            view = view[count:]
        return data

    def unpack(self, project: dict[str, Any]) -> None:
        """Write the client's project into a directory of our own, and work there."""
        path, shared = self.parcel = parcel_of(project["token"], project["size"])
        self.copy = own_directory()
        delete_after_us(self.copy, path, shared)
        try:
            complete = os.fstat(shared).st_size == project["size"]
            self.say(b"W", [b"0" if complete else b"1"])
            if not complete:
                self.receive(shared, project["size"])
            # Others may read it now, too, and nobody deletes it while one does.
            fcntl.flock(shared, fcntl.LOCK_SH)
            with open(shared, "rb", closefd=False) as file:
                file.seek(0)
                write_files(
                    lambda: read_frame(lambda size: bytearray(file.read(size))),
                    os.fsencode(self.copy),
                    project["entries"],
                    project["bodies"],
                )
        except EOFError:
            self.end()
        except BaseException:
            self.delete_copy()
            raise
        place = os.path.join(self.copy, project["place"]) if project["place"] else self.copy
        os.chdir(place)
        sys.path[:0] = list(dict.fromkeys((place, self.copy)))

    def receive(self, shared: int, size: int) -> None:
        """Write what the client sends into the shared file."""
        os.ftruncate(shared, 0)
        os.lseek(shared, 0, os.SEEK_SET)
        while size:
            data = memoryview(self.exactly(min(size, PART)))
            size -= len(data)
            while data:
                data = data[os.write(shared, data) :]

    def delete_copy(self) -> None:
        """Delete our copy, and what it was made of if nobody else needs that."""
        if self.copy is not None:
            shutil.rmtree(self.copy, ignore_errors=True)
        if self.parcel is not None:
            delete_if_left(*self.parcel)

    # What goes

    def say(self, kind: bytes, pieces: Sequence[bytes], buffers: Sequence[memoryview] = ()) -> None:
        """Write a frame; a forked child, which has none to say, ends instead."""
        if os.getpid() != self.pid:
            os._exit(0)
        size = sum(len(piece) for piece in pieces)
        head = HEAD.pack(kind, len(buffers), size)
        sizes = [SIZE.pack(buffer.nbytes) for buffer in buffers]
        written: list[Any] = [head, *sizes, *pieces, *buffers]
        if size < LARGE and not buffers:
            written = [b"".join(written)]
        for piece in written:
            view = memoryview(piece)
            while view:
                view = view[os.write(self.outlet, view) :]

    # What is done

    def answer(self, kind: bytes, body: bytearray, buffers: Sequence[bytearray]) -> None:
        """Make a call and send its result."""
        try:
            call = pickle.loads(body, buffers=buffers)
        except BaseException as error:
            missing = error.name if isinstance(error, ModuleNotFoundError) else None
            return self.fail("unread", error, missing=missing)
        function, arguments, keywords = call
        try:
            if kind == b"M":
                value = [function(*each) for each in arguments]
            else:
                value = function(*arguments, **keywords)
        except BaseException as error:
            self.flush()
            return self.fail("raised", error)
        del call, function, arguments, keywords
        self.flush()
        kind, written, beside = b"J", list[bytes](), list[memoryview]()
        try:
            if self.as_json:
                written = [json.dumps(value).encode()]
            else:
                kind, (written, beside) = b"V", self.pickled(value)
        except BaseException as error:
            return self.fail("unsent", error)
        self.say(kind, written, beside)

    def fail(self, how: str, error: BaseException, missing: str | None = None) -> None:
        """Send why there is no result."""
        # The first frame is ours.
        trace = error.__traceback__ and error.__traceback__.tb_next
        lines = traceback.format_exception(type(error), error, trace)
        about = {
            "how": how,
            "kind": type(error).__name__,
            "message": text_of(error),
            "traceback": "".join(lines),
            "missing": missing,
        }
        pieces: list[bytes] = []
        if how == "raised" and isinstance(error, Exception) and not self.as_json:
            try:
                whole = Pieces()
                self.pickler(whole, protocol=5).dump(error)
                pieces = whole.written
            except BaseException:
                pieces = []  # the client makes an error of the text
        words = json.dumps(about).encode()
        self.say(b"X", pieces, [memoryview(words)])

    def pickled(self, value: object) -> tuple[list[bytes], list[memoryview]]:
        """Pickle a value: pieces of the pickle, and buffers beside it."""
        pieces, buffers = Pieces(), list[memoryview]()

        def beside(buffer: pickle.PickleBuffer) -> bool:
            try:
                view = buffer.raw()
            except BufferError:
                return True
            if view.nbytes < LARGE:
                return True
            buffers.append(view)
            return False

        self.pickler(pieces, protocol=5, buffer_callback=beside).dump(value)
        return pieces.written, buffers

    def flush(self) -> None:
        """Send on what was printed before the result is known."""
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BaseException:
                pass  # a function has replaced or closed it
        self.libc.fflush(None)

    # The end

    def end(self) -> None:
        """End all that functions have left, and this process."""
        self.flush()
        try:
            if not end_those(below(self.pid), signal.SIGTERM, GRACE):
                end_those(below(self.pid), signal.SIGKILL, GRACE)
            self.delete_copy()
        finally:
            os._exit(0)


def read_frame(exactly: Callable[[int], bytearray]) -> Frame:
    """Read a frame: its kind, its body and its buffers. exactly: reads so many bytes."""
    kind, count, size = HEAD.unpack(exactly(HEAD.size))
    sizes = exactly(SIZE.size * count)
    body = exactly(size)
    return kind, body, [exactly(length) for (length,) in SIZE.iter_unpack(sizes)]


class Pieces:
    """A file that keeps what is written as it is: large bytes are not copied."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Keep it; what may be changed is copied."""
        self.written.append(data if type(data) is bytes else bytes(data))


def text_of(error: BaseException) -> str:
    """The message of an exception."""
    try:
        return str(error)
    except BaseException:
        return "<no text>"


def below(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have started."""
    parents: dict[int, list[int]] = {}
    dead = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    words = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(words[1]), []).append(int(name))
            # One whose first thread has ended is a zombie whose other threads and children live.
            if words[0] in (b"Z", b"X") and int(words[17]) <= 1:
                dead.add(int(name))
    found, left = list[int](), [pid]
    while left:
        children = parents.get(left.pop(), [])
        found += children
        left += children
    return [each for each in found if each not in dead]


def end_those(pids: list[int], number: signal.Signals, grace: float) -> bool:
    """Send a signal; return whether all have ended in time."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:
            pass  # it has ended
    end = time.monotonic() + grace
    while pids:
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
        alive = set(below(os.getpid()))
        pids = [pid for pid in pids if pid in alive]
    return True


def begin(inlet: int, outlet: int, setup: dict[str, Any]) -> None:
    """Be a worker. setup: what the client has sent at first."""
    try:
        os.setpgid(0, 0)  # the Ctrl-C of a terminal is the client's, who then ends us
    except OSError:
        pass  # we lead a session
    # The client's end reaches us by the end of what we read; we then end what we have started, too.
    signal.signal(signal.SIGHUP, lambda number, frame: None)
    faulthandler.enable()
    streams: Any = (sys.stdout, sys.stderr)
    for stream in streams:
        stream.reconfigure(line_buffering=True)
    # Not "", the directory in which we happen to be: what lies there would replace modules.
    sys.path[:] = [path for path in sys.path if path]
    given = [os.path.abspath(path) for path in setup["path"]]
    sys.path[:0] = [path for path in given if path not in sys.path]
    package: Any = types.ModuleType("cloudpickle")
    package.__path__ = []
    sys.modules["cloudpickle"] = package
    for name, text in setup["modules"]:
        module: Any = package
        if name != "cloudpickle":
            module = sys.modules[name] = types.ModuleType(name)
            setattr(package, name.rpartition(".")[2], module)
        module.__package__ = "cloudpickle"
        exec(compile(text, f"<{name}>", "exec"), module.__dict__)
    pickler = package.Pickler
    worker = Worker(inlet, outlet, pickler, silence=setup["silence"], as_json=setup["as_json"])
    if setup["project"] is not None:
        worker.unpack(setup["project"])
    worker.serve()
