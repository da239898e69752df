"""What is asked for with --debug-key-file: the public keys in the files, and the port."""

from __future__ import annotations

import os
import sys

from genvx.core.publickey import MOST_KEYS, parse_keys
from genvx.core.runs.debugport import DebugPort
from genvx.core.text import printable
from genvx.errors import InvalidInput

# As many keys as there may be, each as long as it may be, and comments around them.
_MOST_BYTES = 1 << 20


def asked(files: list[str] | None, port: int | None, bind: str | None) -> DebugPort | None:
    """Read the files; return the debug port, or None if none is asked for.

    files: paths of .pub files; - is stdin.

    Raises:
        InvalidInput: a file cannot be read, or has something else than public keys.
    """
    if not files:
        if port is not None or bind is not None:
            raise InvalidInput("--debug-port and --debug-bind go with --debug-key-file K.pub")
        return None
    keys: dict[str, str] = {}
    for path in files:
        for line in _keys(path):
            keys.setdefault(line.split()[1], line)  # the same key may have two comments
    if len(keys) > MOST_KEYS:
        raise InvalidInput(f"--debug-key-file: at most {MOST_KEYS} keys, not {len(keys)}")
    return DebugPort(tuple(keys.values()), port or 0, bind or "")


def key_beside(files: list[str] | None) -> str:
    """The path of the private key, if that is beside the only public key; otherwise empty."""
    if files is not None and len(files) == 1 and files[0].endswith(".pub"):
        path = files[0][: -len(".pub")]
        if os.path.isfile(path):
            return path
    return ""


def _keys(path: str) -> tuple[str, ...]:
    shown = "stdin" if path == "-" else printable(path, 300)
    try:
        if path == "-":
            data = sys.stdin.buffer.read(_MOST_BYTES + 1)
        else:
            with open(os.path.expanduser(path), "rb") as file:
                data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InvalidInput(f"--debug-key-file {shown}: {error.strerror}") from None
    if len(data) > _MOST_BYTES:
        raise InvalidInput(f"--debug-key-file {shown}: it is too large for public keys")
    try:
        return parse_keys(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise InvalidInput(f"--debug-key-file {shown}: it is no text") from None
    except InvalidInput as error:
        advice = ""
        if "private key" in str(error) and path != "-":
            advice = f"; give the public one: {shown}.pub"
        raise InvalidInput(f"--debug-key-file {shown}: {error}{advice}") from None
