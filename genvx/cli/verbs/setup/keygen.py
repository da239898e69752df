"""genvx keygen: a pair of SSH keys, such as for the debug port of a run."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from typing import Annotated

from genvx.cli.parse.declaring import Argument
from genvx.core.text import printable
from genvx.errors import InvalidInput, StateError
from genvx.shown.console import say

_DEFAULT = "~/.ssh/genvx-debug"
# A git that takes longer waits for something, such as a dead file system.
_PATIENCE = 10.0

File = Annotated[
    str,
    Argument(
        metavar="FILE",
        help=f"Where the private key goes (default: {_DEFAULT}); the public one is FILE.pub.",
    ),
]


def keygen(file: File = _DEFAULT) -> None:
    """Make a pair of SSH keys, for the debug port of a run.

    Prints the path of the private key, which stays with you. Give the public key, FILE.pub, to the
    person who starts the run. No file is overwritten. In a git worktree that does not ignore the
    private key, no keys are made.

    Example: genvx keygen my-debug-key
    """
    from genvx.core.publickey import parse_key
    from genvx.fleet.detaching.submission import submitter
    from genvx.keypair import new_key

    path = os.path.abspath(os.path.expanduser(file))
    _require_new(file, path)
    _require_unseen_by_git(path)
    private, line = new_key(printable(submitter(), 100))
    if file == _DEFAULT:
        with suppress(FileExistsError):
            os.mkdir(os.path.dirname(path), 0o700)
    _write(path, private, 0o600)
    try:
        _write(f"{path}.pub", f"{line}\n".encode(), 0o644)
    except BaseException:
        # Also after Ctrl-C: a private key alone would be in the way of the next try.
        os.unlink(path)
        raise
    print(path)
    quoted, key = shlex.quote(path), parse_key(line)
    say(f"genvx: this is the private key, which stays with you; the public one is {path}.pub")
    say(f"genvx: fingerprint: {key.fingerprint} ({key.family})")
    say(
        "genvx: to start a run that it opens: "
        f"genvx remote run -d --debug-key-file {quoted}.pub -- COMMAND"
    )
    say("genvx: to enter that run: the ssh command that is printed when it starts")


def _require_new(file: str, path: str) -> None:
    shown = printable(file, 300)
    if not path.isprintable() or not file:
        raise InvalidInput(f"not the name of a file: {shown!r}")
    if path.endswith(".pub"):
        raise InvalidInput(f"name the private key: {shown} would be the public one")
    if os.path.isdir(path):
        raise InvalidInput(f"{shown} is a directory; name a file in it")
    for each in (path, f"{path}.pub"):
        if os.path.lexists(each):
            raise InvalidInput(f"{each} is there already; name another file")
    parent = os.path.dirname(path)
    if file != _DEFAULT and not os.path.isdir(parent):
        raise InvalidInput(f"no such directory: {parent}")


def _require_unseen_by_git(path: str) -> None:
    """Refuse a private key that the next `git add` would take.

    Raises:
        InvalidInput: it would be in a git worktree that does not ignore it.
    """
    place = os.path.realpath(os.path.dirname(path))
    above = place
    while not os.path.lexists(os.path.join(above, ".git")):
        if above == os.path.dirname(above):
            return
        above = os.path.dirname(above)
    import subprocess

    try:
        answer = subprocess.run(
            ["git", "-C", place, "check-ignore", "-q", "--", os.path.basename(path)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired):
        code = None
    else:
        code = answer.returncode
    if code == 0:
        return
    why = "git does not ignore it" if code == 1 else "git does not say whether it ignores it"
    raise InvalidInput(
        f"{path} would be in the git worktree {above}, and {why}: a private key is not to be "
        "committed; name a file elsewhere, such as ~/.ssh/NAME, or have .gitignore name it"
    )


def _write(path: str, data: bytes, mode: int) -> None:
    try:
        # Exclusive: another program may make the file at this moment.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise StateError(f"cannot make {path}: {error.strerror}") from None
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(descriptor, mode)  # whatever the umask is
    except OSError as error:
        os.unlink(path)
        raise StateError(f"cannot write {path}: {error.strerror}") from None
