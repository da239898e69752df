"""The directories of one's runs: what was asked, what became of it, the log.

    RUNS/<id>/spec.json    what was asked, written once
              state.json   what became of it, replaced at each change
              end.json     its final state, before the devices are given back
              marks.json   what people have called it since
              stop.json    a request to end it, and why
              notify.json  who is told of it, with the addresses (notify/kept.py)
              gang.json    of a part of a gang: where the parts meet, and their secret
              debug.json   of an open debug port: where it is, and its host key
              host_key     of sshds that lead into the run
              decision     of a part of a gang: a link to "start" or "withdraw", made once
              withdraw.lock   held by who withdraws it from the line
              project.diff how its project differed from its commit (projectdiff.py)
              enter        a script that opens a shell inside of it, or runs a command there
              variables    of a command with a Python or a setup line: those with which it started
              log          all output of the command, in order
              events       a line of JSON for each change
              report       what the command reports: a line of JSON each
              python/      what the command of a trial may import
              work/        where the command starts
              home/        the home of a command in a container
    RUNS/<id>.<rank>/      the same for a part of a gang
    RUNS/.trash/<id>/      a run that was deleted and can be restored

What decides something is replaced by rename and is on the disk before anybody goes on: after a
power failure a file says what it said before or after, never something in between. Whether a run
lives is not decided here (lock.py).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from typing import TYPE_CHECKING, Any, Optional, TypeVar

from genvx.core.runs.runstate import StopReason, name_of
from genvx.core.text import NAME_LIMIT
from genvx.core.value import replace, value
from genvx.core.wire.fields import Fields
from genvx.core.wire.plain import Malformed, dumps, loads
from genvx.core.wire.runcodec import MEETING, OPEN_PORT, SPEC, STATE
from genvx.core.wire.tables import Table, choice, flag, integer, seconds, text, texts
from genvx.local.diskerror import disk_error
from genvx.local.runs.places import WORK

if TYPE_CHECKING:
    from genvx.core.runs.debugport import OpenPort
    from genvx.core.runs.part import Meeting
    from genvx.core.runs.run import RunSpec
    from genvx.core.runs.runstate import RunState
    from genvx.core.wire.tables import Form

    F = TypeVar("F")

SPEC_FILE = "spec.json"
STATE_FILE, _END = "state.json", "end.json"
_MARKS, _STOP = "marks.json", "stop.json"
_GANG, _DECISION = "gang.json", "decision"
_LOCK = "withdraw.lock"
DEBUG = "debug.json"
VARIABLES = "variables"
LOG, EVENTS, ENTER = "log", "events", "enter"
REPORT, PYTHON = "report", "python"
_MOST_BYTES = 64 << 20
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@value
class Marks:
    """What people have called a run since it began."""

    label: str = ""
    tags: tuple[str, ...] = ()


@value
class StopRequest:
    """A request to end a run. by: uid of the user who asks. grace: seconds from TERM to KILL."""

    why: StopReason
    by: int
    grace: float
    force: bool = False

    def hurried(self, again: Optional[StopRequest]) -> StopRequest:
        """Return this request, with the grace of another one if that has less."""
        if again is None or self.force or not (again.force or again.grace < self.grace):
            return self
        return replace(self, grace=again.grace, force=again.force)


_MARKS_TABLE = Table(Marks, "marks", label=text(NAME_LIMIT), tags=texts(NAME_LIMIT, 10_000))
_STOP_TABLE = Table(
    StopRequest,
    "stop",
    why=choice(StopReason),
    by=integer(0, 1 << 32),
    grace=seconds(),
    force=flag(),
)


class RunDirectory:
    """The directory of one run, open.

    What its owner could have written there by hand is checked when it is read.
    """

    def __init__(self, path: str, identifier: str, descriptor: int, *, deleted: bool) -> None:
        self.path = path
        self.id = identifier
        self.deleted = deleted
        self._descriptor = descriptor

    def close(self) -> None:
        """Close it. A second call does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def descriptor(self) -> int:
        """Its descriptor, for a process that goes on with the directory."""
        return self._descriptor

    @property
    def owner(self) -> int:
        """The uid of the user whose directory it is."""
        return os.fstat(self._descriptor).st_uid

    def has(self, name: str) -> bool:
        """Whether there is something of this name in it."""
        with contextlib.suppress(OSError):
            os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
            return True
        return False

    def read(self, name: str, form: Form[F]) -> F:
        """A file of the record. Raises Malformed: it is missing or no such file."""
        return form.read(self._read(name))

    def write(self, name: str, form: Form[F], item: F) -> None:
        """Replace a file of the record. Raises StateError if it cannot be written."""
        try:
            self._replace(name, form.write(item))
        except OSError as error:
            raise disk_error(error, f"write to {self.path}") from None

    def spec(self) -> RunSpec:
        """What was asked.

        Raises:
            Malformed: the file is missing or is no such record.
        """
        return self.read(SPEC_FILE, SPEC)

    def is_called(self, name: str) -> bool:
        """Whether this is its name or its label; of what was asked, only the name is read."""
        if self.marks().label == name:
            return True
        try:
            return Fields(self._read(SPEC_FILE), "run").text("name", NAME_LIMIT) == name
        except Malformed:
            return False

    def write_spec(self, spec: RunSpec) -> None:
        """Write what was asked. Raises OSError."""
        self._replace(SPEC_FILE, SPEC.write(spec.stored))

    def state(self) -> tuple[RunState, str]:
        """The last state that was written, and the id of the boot in which it was.

        Raises:
            Malformed: the file is missing or is no such record.
        """
        plain = self._read(STATE_FILE)
        return STATE.read(plain), Fields(plain, "state").text("boot_id", 64)

    def word(self) -> str:
        """The word of the last state that was written, such as "running"; "" if there is none."""
        try:
            return Fields(self._read(STATE_FILE), "state").string("is", 64)
        except Malformed:
            return ""

    def write_state(self, state: RunState, boot: str) -> None:
        """Replace the state, and note the change among the events.

        Raises:
            OSError: it cannot be written; the old state is still there.
        """
        plain = STATE.write(state) | {"boot_id": boot}
        self._replace(STATE_FILE, plain)
        self.note({"event": name_of(state), **plain})

    def note(self, event: dict[str, Any]) -> None:
        """Add a line to the events, which are for people; a full disk has none."""
        with contextlib.suppress(OSError):
            self._append(EVENTS, dumps(event) + b"\n")

    def decided(self) -> Optional[RunState]:
        """The final state that was written down before the devices were given back; None if none
        was, or that cannot be read.
        """
        try:
            return STATE.read(self._read(_END))
        except Malformed:
            return None

    def write_decided(self, state: RunState) -> None:
        """Write down the final state that the run will have. Raises OSError."""
        self._replace(_END, STATE.write(state))

    def marks(self) -> Marks:
        """What people have called it; nothing where that cannot be read."""
        try:
            return _MARKS_TABLE.read(self._read(_MARKS))
        except Malformed:
            return Marks()

    def write_marks(self, marks: Marks) -> None:
        """Replace what people have called it. Raises StateError if it cannot be written."""
        self.write(_MARKS, _MARKS_TABLE, marks)

    def stop_request(self) -> Optional[StopRequest]:
        """That it is to end; None if nobody has asked for that."""
        try:
            return _STOP_TABLE.read(self._read(_STOP))
        except Malformed:
            return None

    def request_stop(self, request: StopRequest) -> None:
        """Ask for its end. Raises StateError if that cannot be written."""
        self.write(_STOP, _STOP_TABLE, request)

    def meeting(self) -> Meeting:
        """Where it meets the other parts of its gang. Raises Malformed if that cannot be read."""
        return MEETING.read(self._read(_GANG))

    def write_meeting(self, meeting: Meeting) -> None:
        """Replace where it meets the other parts. Raises StateError if it cannot be written."""
        self.write(_GANG, MEETING, meeting)

    def open_port(self) -> Optional[OpenPort]:
        """Its debug port; None where none is open."""
        try:
            return OPEN_PORT.read(self._read(DEBUG))
        except Malformed:
            return None

    def write_open_port(self, port: OpenPort) -> None:
        """Write down where its debug port is. Raises StateError if that cannot be written."""
        self.write(DEBUG, OPEN_PORT, port)

    def decide(self, word: str) -> str:
        """Decide once whether a part of a gang starts; return what was decided first."""
        # A link, because it is made with its content, or not at all if there is one.
        with contextlib.suppress(OSError):
            os.symlink(word, _DECISION, dir_fd=self._descriptor)
        return self.decision()

    def decision(self) -> str:
        """Whether a part of a gang starts; empty while that is open."""
        with contextlib.suppress(OSError):
            return os.readlink(_DECISION, dir_fd=self._descriptor)
        return ""

    def lock_withdrawal(self) -> Optional[int]:
        """A descriptor that is held while the run is withdrawn; None if somebody else has it.

        Raises:
            StateError: it cannot be made.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(_LOCK, flags, 0o600, dir_fd=self._descriptor)
        except OSError as error:
            raise disk_error(error, f"write to {self.path}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno == errno.EWOULDBLOCK:
                return None
            raise disk_error(error, f"lock {self.path}/{_LOCK}") from None
        return descriptor

    def log_bytes(self) -> int:
        """The size of the log; what was cut off its head counts."""
        with contextlib.suppress(OSError):
            return os.stat(LOG, dir_fd=self._descriptor, follow_symlinks=False).st_size
        return 0

    def open_log(self) -> int:
        """A descriptor to read the log from. Raises OSError if there is none."""
        return os.open(LOG, _OPEN_FILE, dir_fd=self._descriptor)

    def create_log(self) -> int:
        """A descriptor that appends to the log, made if need be. Raises OSError."""
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(LOG, flags, 0o600, dir_fd=self._descriptor)

    def open_at(self, name: str, flags: int) -> int:
        """A descriptor of a file in it, by its path below; flags: as of os.open. Raises OSError."""
        flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        return os.open(name, flags, 0o600, dir_fd=self._descriptor)

    def make_work(self) -> None:
        """Make the run's own directory for its command, if need be."""
        self.make(WORK)

    def make(self, name: str) -> None:
        """Make a directory in it, if need be. Raises OSError."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=self._descriptor)

    def write_enter(self, script: bytes) -> None:
        """Write the script by which others enter the run. Raises OSError."""
        # Not synced: after a power failure there is nothing to enter.
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(ENTER, flags, 0o700, dir_fd=self._descriptor)
        try:
            _write(descriptor, script)
        except OSError:
            os.unlink(ENTER, dir_fd=self._descriptor)  # half a script must not be run
            raise
        finally:
            os.close(descriptor)

    def _read(self, name: str) -> Any:
        try:
            descriptor = os.open(name, _OPEN_FILE, dir_fd=self._descriptor)
        except OSError as error:
            raise Malformed(f"{name} cannot be read: {error.strerror}") from None
        with open(descriptor, "rb") as file:
            try:
                data = file.read(_MOST_BYTES + 1)
            except OSError as error:
                raise Malformed(f"{name} cannot be read: {error.strerror}") from None
        if len(data) > _MOST_BYTES:
            raise Malformed(f"{name} is too large")
        return loads(data)

    def _replace(self, name: str, plain: Any) -> None:
        temporary = f".{name}.{os.urandom(6).hex()}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600, dir_fd=self._descriptor)
        try:
            try:
                _write(descriptor, dumps(plain))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            here = self._descriptor
            os.rename(temporary, name, src_dir_fd=here, dst_dir_fd=here)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=self._descriptor)
            raise
        os.fsync(self._descriptor)

    def _append(self, name: str, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o600, dir_fd=self._descriptor)
        try:
            before = os.fstat(descriptor).st_size
            try:
                _write(descriptor, data)
            except OSError:
                os.ftruncate(descriptor, before)  # no part of a line is left on a full disk
                raise
        finally:
            os.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
