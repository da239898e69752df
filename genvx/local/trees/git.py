"""Asking git about a directory: which files belong to it, and on which commit they are based."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from typing import Union

from genvx.core.text import printable
from genvx.core.value import value
from genvx.errors import InvalidInput

# The settings of a repository may name programs that git would start for this question.
_QUIET = ["-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false"]
_FILES = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]


@value
class Base:
    """The commit on which files are based, and whether they differ from it."""

    commit: str = ""
    dirty: bool = False


def is_there() -> bool:
    """Whether git is installed."""
    return shutil.which("git") is not None


def listed(directory: bytes) -> frozenset[bytes]:
    """The names below a directory that git would track; a repository in it is one name.

    It need not be in a work tree: the .gitignore files count all the same.

    Raises:
        InvalidInput: git refuses.
    """
    if _in_work_tree(directory):
        return _names(_git(directory, *_FILES))
    with tempfile.TemporaryDirectory(prefix="genvx-git-") as empty:
        _git(directory, "init", "--quiet", "--bare", "--template=", empty)
        work = [b"--git-dir", os.fsencode(empty), b"--work-tree", directory]
        return _names(_git(directory, *work, "-c", "core.bare=false", *_FILES))


def base(directory: bytes) -> Base:
    """On which commit the files of a directory are based; nothing outside of a work tree."""
    if not is_there() or not _in_work_tree(directory):
        return Base()
    status = ["status", "--porcelain=v2", "--branch", "-z", "--untracked-files=normal", "--", "."]
    lines = _git(directory, *status).split(b"\0")
    commit, changed = "", False
    for line in lines:
        if line.startswith(b"# branch.oid "):
            commit = line.split()[2].decode("ascii", "replace")
        changed = changed or bool(line and not line.startswith(b"#"))
    return Base("" if commit.startswith("(") else commit, changed)


def _in_work_tree(directory: bytes) -> bool:
    """Whether a directory is in the work tree of a repository that does not ignore it."""
    asked = _run(directory, "rev-parse", "--is-inside-work-tree")
    if asked.returncode == 0 and asked.stdout.strip() == b"true":
        return _run(directory, "check-ignore", "--quiet", ".").returncode != 0
    said = asked.stderr.decode("utf-8", "replace")
    if asked.returncode == 0 or "not a git repository" in said:
        return False
    raise _refusal(said)


def _names(output: bytes) -> frozenset[bytes]:
    return frozenset(output.split(b"\0")) - {b""}


def _git(directory: bytes, *words: Union[str, bytes]) -> bytes:
    done = _run(directory, *words)
    if done.returncode:
        raise _refusal(done.stderr.decode("utf-8", "replace"))
    return done.stdout


def _refusal(said: str) -> InvalidInput:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    advice = [line for line in lines if line.startswith("git config")]
    why = printable("; ".join([*lines[:1], *advice[:1]]), 400) or "it said nothing"
    return InvalidInput(f"git cannot say which files belong to the project: {why}")


def _run(directory: bytes, *words: Union[str, bytes]) -> subprocess.CompletedProcess[bytes]:
    # Variables such as GIT_DIR would have git answer for another repository. Its messages are read
    # here, so they are in English.
    ours = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    kept = {name: text for name, text in os.environ.items() if name.startswith("GIT_CONFIG")}
    try:
        return subprocess.run(
            ["git", *_QUIET, *words],
            cwd=directory,
            env={**ours, **kept, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError as error:  # such as a directory that may be read, but not entered
        raise _refusal(error.strerror or str(error)) from None
