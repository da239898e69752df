"""Asking git about a directory: which files belong to it, and how they differ from their commit.

A repository may have come from anybody, and its own settings name programs: nothing that they name
is started here. What the user's own settings name, such as the filters of git-lfs, is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from typing import Union

from genvx.core.projects.manifest import shown_name
from genvx.core.projects.project import MOST_DIFF
from genvx.core.text import printable
from genvx.core.value import value
from genvx.errors import InvalidInput

_QUIET = [
    *("-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false"),
    *("-c", "core.hooksPath=/dev/null"),
]
# Nothing is fetched: a repository may say how it is reached, and by which program. Of these two,
# old versions of git know the second.
_ALONE = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "", "GIT_TERMINAL_PROMPT": "0"}
_FILES = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]
# A repository inside has settings of its own, so git is not sent there.
_INSIDE = "--ignore-submodules=dirty"
_STATUS = ["status", "--porcelain=v2", "--branch", "-z", "--no-renames"]
_STATUS += ["--untracked-files=normal", _INSIDE]
# As patches are written in a repository without any settings; no program of a repository is asked
# to show a file.
_DIFF = [
    *("diff-index", "--patch", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames"),
    *("--src-prefix=a/", "--dst-prefix=b/", "--relative", _INSIDE, "HEAD", "--", "."),
]
# Of a name with other characters, `-c` would set something else.
_FILTER = re.compile(rb"filter\.([A-Za-z0-9_./-]{1,200})\.[a-z]+", re.IGNORECASE)
_HEADS = b"diff --git "
_UNKNOWN = b"[Git could not show the rest.]\n"
_CUT = b"\n[The diff goes on; the first 256 KiB are kept.]\n"


@value
class Base:
    """The commit on which files are based, whether they differ from it, and the diff.

    diff: as `git diff`, of the files that git knows; the names of new ones follow. Cut behind
    MOST_DIFF bytes, with a line that says so.
    """

    commit: str = ""
    dirty: bool = False
    diff: bytes = b""


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
    """How the files of a directory differ from their commit; nothing outside of a work tree.

    Raises:
        InvalidInput: git refuses, or the settings of the repository cannot be kept from acting.
    """
    if not is_there() or not _in_work_tree(directory):
        return Base()
    harmless = _without_filters(directory)
    commit, changed, new = "", False, []
    for line in _git(directory, *harmless, *_STATUS, "--", ".").split(b"\0"):
        if line.startswith(b"# branch.oid "):
            commit = line.split()[2].decode("ascii", "replace")
        elif line.startswith(b"? "):
            new.append(line[2:])
        changed = changed or bool(line and not line.startswith(b"#"))
    if commit.startswith("("):
        return Base("", changed)
    return Base(commit, changed, _diff(directory, harmless, new) if changed else b"")


def _diff(directory: bytes, harmless: list[str], new: list[bytes]) -> bytes:
    """What was changed since the commit. harmless: settings. new: files that git does not know."""
    found, size = [], 0
    with _started(directory, *harmless, *_DIFF) as process:
        output = process.stdout
        assert output is not None
        head, begins = b"", True
        while size <= MOST_DIFF and (line := output.readline(MOST_DIFF + 1)):
            if begins and line.startswith(_HEADS):
                head = line
                continue
            # A file of which only the times are others has a head, and nothing else.
            found += [head, line]
            size += len(head) + len(line)
            head, begins = b"", line.endswith(b"\n")
        output.close()  # ends a git that has more to say
    if process.returncode and size <= MOST_DIFF:
        found.append(_UNKNOWN)
    found += [f"New, and not known to git: {shown_name(name)}\n".encode() for name in new]
    diff = b"".join(found)
    if len(diff) <= MOST_DIFF:
        return diff
    return diff[: MOST_DIFF - len(_CUT)].rpartition(b"\n")[0] + _CUT


def _without_filters(directory: bytes) -> list[str]:
    """Settings by which no filter is run that the repository itself names.

    To compare a file that was changed, git runs the filter of it, which is a command line.
    """
    asked = ["config", "--includes", "--show-scope", "--name-only", "-z"]
    done = _run(directory, *asked, "--get-regexp", r"^filter\.")
    if done.returncode == 1:
        return []  # there is none
    if done.returncode:
        raise _refusal(done.stderr.decode("utf-8", "replace"))
    words = done.stdout.split(b"\0")
    found: list[str] = []
    for scope, key in zip(words[::2], words[1::2]):
        if scope in (b"system", b"global", b"command"):
            continue  # the user's own
        match = _FILTER.fullmatch(key)
        if match is None:
            shown = printable(key.decode("utf-8", "replace"), 100)
            raise InvalidInput(f"the repository has a filter that genvx cannot leave out: {shown}")
        name = match[1].decode("ascii")
        for what in ("clean=", "smudge=", "process=", "required=false"):
            found += ["-c", f"filter.{name}.{what}"]
    return found


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
    try:
        return subprocess.run(
            ["git", *_QUIET, *words],
            cwd=directory,
            env=_environ(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError as error:  # such as a directory that may be read, but not entered
        raise _refusal(error.strerror or str(error)) from None


def _started(directory: bytes, *words: Union[str, bytes]) -> subprocess.Popen[bytes]:
    """Start git; its output need not be read to the end."""
    return subprocess.Popen(
        ["git", *_QUIET, *words],
        cwd=directory,
        env=_environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _environ() -> dict[str, str]:
    # Variables such as GIT_DIR would have git answer for another repository. Its messages are read
    # here, so they are in English.
    ours = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    kept = {name: text for name, text in os.environ.items() if name.startswith("GIT_CONFIG")}
    return {**ours, **kept, **_ALONE, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}
