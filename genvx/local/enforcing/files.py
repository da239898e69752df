"""What `genvx enforce` keeps: a journal of what it did, and what it has to know in its next round.

Both are in one directory of the user who runs it. A disk that is full stops no round.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Optional

from genvx.core.enforcing.action import Action, Rule
from genvx.core.enforcing.history import Charge, ChargeKey, History, Quiet
from genvx.core.text import printable
from genvx.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Mapping

JOURNAL = "journal.jsonl"
_BEFORE = "journal.1.jsonl"
_HISTORY = "history.json"
_LOCK = "lock"
_MOST_BYTES = 4 << 20  # of a journal, after which it is renamed, and the one before is deleted
_MOST_HISTORY = 64 << 20
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


def usual_directory(environ: Mapping[str, str]) -> str:
    """Return the directory in which they are."""
    home = environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return os.path.join(home, "genvx", "enforce")


class Files:
    """The files in a directory.

    Raises:
        StateError: the directory cannot be made.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._lock = -1

    def take(self) -> None:
        """Keep others from enforcing at the same time.

        Raises:
            StateError: somebody does, or the directory cannot be written.
        """
        try:
            os.makedirs(self.directory, 0o700, exist_ok=True)
            self._lock = os.open(self._path(_LOCK), _WRITE, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError("another genvx enforce of yours is running here") from None
        except OSError as error:
            raise StateError(f"cannot write {self.directory}: {error.strerror}") from None

    def close(self) -> None:
        """Let others enforce."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def note(self, action: Action, result: str) -> None:
        """Add a line about an action to the journal.

        Raises:
            OSError: it cannot be written.
        """
        path = self._path(JOURNAL)
        descriptor = os.open(path, _WRITE | os.O_APPEND, 0o600)
        try:
            if os.fstat(descriptor).st_size >= _MOST_BYTES:
                os.rename(path, self._path(_BEFORE))
                os.close(descriptor)
                descriptor = os.open(path, _WRITE | os.O_APPEND, 0o600)
            os.write(descriptor, (json.dumps(entry(action, result)) + "\n").encode())
        finally:
            os.close(descriptor)

    def load(self, root: str, boot_id: str) -> History:
        """Return what earlier rounds have left about the machine with this state directory; nothing
        of another boot, and nothing that cannot be read.
        """
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            descriptor = os.open(self._path(_HISTORY), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with open(descriptor, encoding="utf-8") as file:
                document = json.loads(file.read(_MOST_HISTORY))
            if boot_id and (document["root"], document["boot_id"]) == (root, boot_id):
                return _history(document)
        return History()

    def save(self, history: History, root: str, boot_id: str) -> None:
        """Keep what the next round has to know, should it be another process's.

        Raises:
            OSError: it cannot be written; what was there before is still there.
        """
        partial = self._path(f"{_HISTORY}.{os.getpid()}")
        try:
            with open(os.open(partial, _WRITE | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                json.dump({"root": root, "boot_id": boot_id, **_document(history)}, file)
            os.rename(partial, self._path(_HISTORY))
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(partial)
            raise


def entry(action: Action, result: str) -> dict[str, Any]:
    """Return an action as the journal has it."""
    return {
        "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),  # noqa: TID251
        "action": action.kind.value,
        "rule": action.rule.value,
        "user": printable(action.user, 64),
        "uid": action.uid,
        "pid": action.pid or None,
        "starttime": action.starttime or None,
        "command": printable(action.command, 256),
        "environment": action.environment or None,
        "name": printable(action.name, 128),
        "gpus": list(action.devices),
        "why": f"{action.subject} {action.why}",
        "result": result,
    }


def _document(history: History) -> dict[str, Any]:
    return {
        "charges": [
            {
                "rule": key.rule.value,
                "uid": key.uid,
                "process": key.process,
                "device": key.device,
                "told_ns": charge.told_ns,
                "devices": charge.devices,
                "target": charge.target,
                "asked_ns": charge.asked_ns,
            }
            for key, charge in history.charges.items()
        ],
        "quiet": [
            {
                "uid": uid,
                "environment": identifier,
                "since_ns": quiet.since_ns,
                "memory": dict(quiet.memory),
                "told_ns": quiet.told_ns,
            }
            for (uid, identifier), quiet in history.quiet.items()
        ],
    }


def _history(document: Mapping[str, Any]) -> History:
    return History(
        {
            ChargeKey(
                Rule(each["rule"]), int(each["uid"]), _pair(each["process"]), str(each["device"])
            ): Charge(
                int(each["told_ns"]),
                tuple(map(str, each["devices"])),
                _pair(each["target"]),
                _time(each["asked_ns"]),
            )
            for each in document["charges"]
        },
        {
            (int(each["uid"]), str(each["environment"])): Quiet(
                int(each["since_ns"]),
                {str(uuid): int(size) for uuid, size in each["memory"].items()},
                _time(each["told_ns"]),
            )
            for each in document["quiet"]
        },
    )


def _pair(found: Any) -> Optional[tuple[int, int]]:
    if found is None:
        return None
    pid, starttime = found
    return (int(pid), int(starttime))


def _time(found: Any) -> Optional[int]:
    return None if found is None else int(found)
