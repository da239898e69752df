"""The tables of a history, and how its file is opened."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import stat
from typing import TYPE_CHECKING

from genvx.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path

# Of a history: "gnvx". Any other SQLite file has another number, mostly 0.
APPLICATION = 0x676E7678
VERSION = 1
# Seconds to wait for another program that has the file locked, such as a backup.
_PATIENCE = 2.0

# Times are seconds since the epoch, by the clock of the monitor. `seen` of a host is when it last
# answered: all that is open there (gone is null) was there at that moment, so that a round writes
# one row for a host, not one for each of its leases.
_TABLES = """
CREATE TABLE watch (id INTEGER PRIMARY KEY, begin REAL NOT NULL, seen REAL NOT NULL,
    every REAL NOT NULL);
CREATE TABLE host (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, seen REAL);
CREATE TABLE device (id INTEGER PRIMARY KEY, host INTEGER NOT NULL, uuid TEXT NOT NULL,
    label TEXT NOT NULL, model TEXT NOT NULL, memory INTEGER, weight REAL NOT NULL,
    UNIQUE (host, uuid));
CREATE TABLE hold (id INTEGER PRIMARY KEY, device INTEGER NOT NULL, environment TEXT NOT NULL,
    uid INTEGER NOT NULL, user TEXT NOT NULL, name TEXT NOT NULL, memory INTEGER,
    begin REAL NOT NULL, seen REAL, gone REAL);
CREATE INDEX hold_gone ON hold (gone);
CREATE TABLE wait (id INTEGER PRIMARY KEY, host INTEGER NOT NULL, ticket TEXT NOT NULL,
    environment TEXT NOT NULL, uid INTEGER NOT NULL, user TEXT NOT NULL, name TEXT NOT NULL,
    gpus INTEGER NOT NULL, begin REAL NOT NULL, seen REAL, gone REAL);
CREATE INDEX wait_gone ON wait (gone);
CREATE TABLE run (host INTEGER NOT NULL, id TEXT NOT NULL, rank INTEGER NOT NULL,
    name TEXT NOT NULL, project TEXT NOT NULL, state TEXT NOT NULL, submitted REAL NOT NULL,
    started REAL, ended REAL, gpus INTEGER NOT NULL, exit_code INTEGER,
    PRIMARY KEY (host, id, rank)) WITHOUT ROWID;
CREATE TABLE use (hour INTEGER NOT NULL, hold INTEGER NOT NULL, seconds REAL NOT NULL,
    busy REAL NOT NULL, peak INTEGER NOT NULL, PRIMARY KEY (hour, hold)) WITHOUT ROWID;
CREATE TABLE layout (id INTEGER PRIMARY KEY, devices BLOB NOT NULL UNIQUE);
CREATE TABLE look (at REAL PRIMARY KEY, layout INTEGER NOT NULL, readings BLOB NOT NULL)
    WITHOUT ROWID;
CREATE TABLE hour (hour INTEGER PRIMARY KEY, layout INTEGER NOT NULL, readings BLOB NOT NULL);
"""


def open_to_write(path: Path) -> tuple[sqlite3.Connection, int]:
    """Open the history in a file for its one monitor, and make it if it is not there.

    Return the connection, and a descriptor that keeps other monitors out while it is open.

    Raises:
        StateError: it cannot be written, is no history, or another monitor writes it.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite's own files beside it get the mode of this one.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        why = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise StateError(f"cannot write the history {path}: {why}") from None
    try:
        _require_ours(path, os.fstat(descriptor))
        try:
            # Not the locks that SQLite uses: closing this descriptor early would drop those.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StateError(
                f"another monitor writes {path}; give this one another file, with --history"
            ) from None
        connection = _connect(path, read_only=False)
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    except BaseException:
        os.close(descriptor)
        raise
    return connection, descriptor


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open the history in a file; nothing in it is changed.

    Raises:
        StateError: it cannot be read, or is no history that this genvx knows.
    """
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        raise StateError(f"cannot read the history {path}: {error.strerror}") from None
    connection = _connect(path, read_only=True)
    try:
        _require_version(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _require_ours(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise StateError(f"{path} is no file")
    if found.st_uid != os.geteuid():
        raise StateError(f"the history {path} belongs to another user")
    if found.st_mode & 0o022:
        raise StateError(f"others may write the history {path}; chmod 600 it")


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    mode = "ro" if read_only else "rw"
    try:
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=_PATIENCE,
            isolation_level=None,
        )
    except sqlite3.Error as error:
        raise StateError(f"cannot open the history {path}: {error}") from None


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    try:
        # Before anything is changed: the file may be another program's.
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise StateError(f"cannot read the history {path}: {error}") from None
    if tables:
        _require_version(connection, path)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # A crash of the machine may cost the last rounds, and never the file.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("BEGIN IMMEDIATE")
        # In one transaction, so that a monitor that is killed leaves all of it, or an empty file.
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            for statement in _TABLES.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise StateError(f"cannot write the history {path}: {error}") from None


def _require_version(connection: sqlite3.Connection, path: Path) -> None:
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        raise StateError(f"cannot read the history {path}: {error}") from None
    if application != APPLICATION:
        raise StateError(f"{path} is no history of genvx")
    if version > VERSION:
        raise StateError(f"{path} was written by a newer genvx")
