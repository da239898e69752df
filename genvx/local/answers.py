"""Answers of remote shells, which are files that wait to be collected.

A remote call in a terminal has no channel for a reply: its output is for the person, and any exit
code may be the shell's own. So before it becomes the shell, it leaves its reply here, under the
token of the call: that it has joined the environment, or why not. The far end that holds the
environment collects the reply. If there is none, the call never ran.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Optional

from genvx.core.wire.fields import Fields
from genvx.core.wire.plain import Malformed, dumps, loads
from genvx.core.wire.reply import Reply
from genvx.local import processes

if TYPE_CHECKING:
    from genvx.local.state.directory import StateDirectory

_KEPT_NS = 120 * 10**9
_MOST_BYTES = 16384
_NAME = re.compile(r"\.[0-9a-f]{4,32}\.answer")
# An answer that is being written; the number is the seconds since boot at which that began.
_UNFINISHED = re.compile(r"\.[0-9a-f]{4,32}\.([0-9]{1,12})\.new")


def leave(state: StateDirectory, token: str, reply: Reply) -> None:
    """Leave a reply for `collect`. Raises OSError or StateError if the state cannot be written."""
    content = dumps(
        {
            "boot_id": processes.boot_id(),
            "left_boottime_ns": processes.boottime_ns(),
            "error": reply.error,
            "message": reply.message[:2000],
        }
    )
    with state.own() as directory:
        _forget_old(directory)
        # Written under another name and renamed: neither the collector nor a clean-up may see half
        # of it.
        unfinished = f".{token}.{processes.boottime_ns() // 10**9}.new"
        descriptor = os.open(
            unfinished,
            os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC,
            0o600,
            dir_fd=directory,
        )
        try:
            os.write(descriptor, content)
        finally:
            os.close(descriptor)
        os.rename(unfinished, _name(token), src_dir_fd=directory, dst_dir_fd=directory)


def collect(state: StateDirectory, token: str) -> Optional[Reply]:
    """Take the reply that was left under `token`; return None if there is none."""
    with state.own() as directory:
        descriptor = _open(directory, _name(token))
        if descriptor is None:
            # Nothing is deleted here: the answer may appear at this very moment.
            return None
        fields = _read(descriptor)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_name(token), dir_fd=directory)
    if fields is None:
        return None
    return Reply(error=fields.optional_text("error", 64), message=fields.text("message", 2000))


def _name(token: str) -> str:
    return f".{token}.answer"


def _open(directory: int, name: str) -> Optional[int]:
    try:
        return os.open(
            name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory
        )
    except OSError:
        return None


def _read(descriptor: int) -> Optional[Fields]:
    """The content of an opened answer, which is closed; None for garbage."""
    try:
        return Fields(loads(os.read(descriptor, _MOST_BYTES)), "the answer")
    except (Malformed, OSError):
        return None
    finally:
        os.close(descriptor)


def _forget_old(directory: int) -> None:
    """Delete answers that nobody collected, because the client died or was cut off."""
    names = os.listdir(directory)
    boot, now = processes.boot_id(), processes.boottime_ns()
    for name in names:
        unfinished = _UNFINISHED.fullmatch(name)
        if unfinished is not None:
            fresh = 0 <= now - int(unfinished[1]) * 10**9 < _KEPT_NS
        elif _NAME.fullmatch(name) is not None:
            descriptor = _open(directory, name)
            # One that cannot be opened may have been collected meanwhile; it is left alone.
            fresh = descriptor is None or _is_fresh(_read(descriptor), boot, now)
        else:
            continue
        if not fresh:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=directory)


def _is_fresh(fields: Optional[Fields], boot: str, now: int) -> bool:
    try:
        return (
            fields is not None
            and fields.exact_text("boot_id", 64) == boot
            and now - fields.integer("left_boottime_ns") < _KEPT_NS
        )
    except Malformed:
        return False
