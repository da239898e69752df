"""The policy.toml of this machine: read anew for each grant, if its owner can be trusted."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Any

from genvx.core.policies.policy import Policy
from genvx.core.policies.policytext import parse
from genvx.errors import InvalidInput, StateError
from genvx.local.state.saying import state_error

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "policy.toml"
_MOST_BYTES = 256 * 1024
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def read(root: str) -> Policy:
    """Read the policy of a state directory; without a file it has no limits.

    Raises:
        StateError: the file cannot be read, cannot be trusted, or has a mistake. Nothing is granted
        then, because nobody knows what is allowed.
    """
    path = os.path.join(root, NAME)
    try:
        # O_NONBLOCK and O_NOFOLLOW: where everybody may write, the name may be a pipe or a link of
        # another user, on which an open must not hang.
        descriptor = os.open(path, _OPEN)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return Policy()
        raise state_error(error, f"read {path}") from None
    try:
        status = os.fstat(descriptor)
        trusted = (0, os.stat(root).st_uid)
        if not stat.S_ISREG(status.st_mode) or status.st_uid not in trusted:
            if os.stat(root).st_mode & stat.S_IWOTH:
                return Policy()  # anyone could have put it there
            raise StateError(f"{path} is not a file of root's; ask the administrator")
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise StateError(f"{path} can be written by others than its owner; chmod 644 it")
        data = os.read(descriptor, _MOST_BYTES + 1)
    except OSError as error:
        raise state_error(error, f"read {path}") from None
    finally:
        os.close(descriptor)
    if len(data) > _MOST_BYTES:
        raise StateError(f"{path} is larger than {_MOST_BYTES} bytes")
    try:
        return parse(data.decode("utf-8"), _load)
    except UnicodeDecodeError:
        raise StateError(f"{path} is not UTF-8 text") from None
    except InvalidInput as error:
        raise StateError(f"{os.path.dirname(path)}/{error}") from None


def _load(text: str) -> Mapping[str, Any]:
    import importlib

    for library in ("tomllib", "tomli"):  # tomli is tomllib for Python before 3.11
        try:
            parser = importlib.import_module(library)
        except ImportError:
            continue
        loaded: Mapping[str, Any] = parser.loads(text)
        return loaded
    raise StateError(
        "policy.toml cannot be read by this Python; use Python 3.11 or newer, or pip install tomli"
    )
