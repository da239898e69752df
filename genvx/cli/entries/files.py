"""The files of our entries: the key, the entries, and the line of ~/.ssh/config for them."""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from genvx.errors import StateError
from genvx.shown.console import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def home() -> Path:
    """Return the directory of these files; make it when it is first needed.

    Raises:
        StateError: it cannot be made.
    """
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    path = Path(base) / "genvx" / "ssh"
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StateError(f"cannot make {path}: {error.strerror}") from None
    return path


def key() -> Path:
    """Return the key that our own sshds accept; make it when it is first needed."""
    path = home() / "id_ed25519"
    if not path.with_suffix(".pub").exists():
        from genvx.sandbox.files import make_key

        with _alone():
            # The public one is written last, so where it is, both are whole.
            if not path.with_suffix(".pub").exists():
                make_key(str(path), "genvx")
    return path


def file() -> Path:
    """Return the path of the file with our entries."""
    return home() / "config"


def keep(names: Sequence[str], entry: str = "") -> bool:
    """Replace all entries of our file with one of these names; return whether there was one.

    An entry begins with its comment, and ends where the next begins.
    """
    with _alone():
        path = file()
        text = _text(path)
        blocks = [block for block in re.split(r"(?m)^(?=# )", text) if block.strip()]
        gone = [block for block in blocks if set(_words(block, "Host")) & set(names)]
        kept = [*(block for block in blocks if block not in gone), entry]
        _replace(path, "".join(kept))
        _forget(gone, kept)
    return bool(gone)


def _words(block: str, option: str) -> list[str]:
    lines: list[str] = re.findall(rf"(?m)^ *{option} (.*)$", block)
    return [word for line in lines for word in line.split()]


def _forget(gone: Sequence[str], kept: Sequence[str]) -> None:
    """Forget the host keys of entries that are gone, unless another needs them. Otherwise there
    would be one more for each run.
    """
    path = home() / "known_hosts"
    stays = {alias for block in kept for alias in _words(block, "HostKeyAlias")}
    dropped = {alias for block in gone for alias in _words(block, "HostKeyAlias")} - stays
    lines = _text(path).splitlines(keepends=True)
    left = [line for line in lines if line.split(" ")[0] not in dropped]
    if left != lines:
        _replace(path, "".join(left))


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8") if path.exists() else ""
    except UnicodeDecodeError:
        raise StateError(f"{path} is not UTF-8 text") from None


def include() -> None:
    """Make ~/.ssh/config include our file, in the first line: in a Host block it would apply to
    that host only.
    """
    path = Path(os.path.expanduser("~/.ssh/config"))
    line = f'Include "{file()}"'
    try:
        text = _text(path)
        if line in text.splitlines():
            return
        path.parent.mkdir(mode=0o700, exist_ok=True)
        # resolve(): ~/.ssh/config is often a link into a repository; the rename would replace it.
        _replace(path.resolve(), f"{line}\n\n{text}" if text else f"{line}\n")
    except (OSError, StateError) as error:
        say(f"genvx: cannot change {path} ({error}); add this as its first line: {line}")


@contextmanager
def _alone() -> Iterator[None]:
    """Keep other processes of this user from changing these files in the block.

    An editor and a script may write entries at the same time, and one of them would be lost.
    """
    descriptor = os.open(home() / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.{os.urandom(6).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)
