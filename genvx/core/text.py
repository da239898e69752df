"""What text from outside may look like, and how it is shown.

Every string that a person, a file or a host gave passes `require_printable` on the way in or
`printable` on the way out, so that no control character reaches a terminal. What counts as
printable is `str.isprintable`: no controls, no bidirectional overrides, no lone surrogates.
"""

from __future__ import annotations

import re

from genvx.errors import InvalidInput

NAME_LIMIT = 128
COMMAND_LIMIT = 256
MESSAGE_LIMIT = 2000

_DEVICE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9/._-]{0,95}")
_IDENTIFIER = re.compile(r"[0-9a-f]{4,32}")


def printable(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Show any text on one line: what cannot be printed becomes an escape such as \\x1b; at most
    `limit` characters, escapes included.
    """
    head = text if len(text) <= limit else text[: limit - 1] + "…"
    if head.isprintable():
        return head
    shown = "".join(c if c.isprintable() else _escape(c) for c in head)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _escape(character: str) -> str:
    return repr(character)[1:-1] if ord(character) < 0x80 else f"\\u{ord(character):04x}"


def is_printable(text: str, limit: int) -> bool:
    return len(text) <= limit and text.isprintable()


def require_name(text: str) -> str:
    """Return `text` if it can name an environment; raise InvalidInput that says why it cannot."""
    if len(text) > NAME_LIMIT:
        raise InvalidInput(f"a name has at most {NAME_LIMIT} characters; this one has {len(text)}")
    if not text.isprintable():
        raise InvalidInput(
            f"a name has printable characters only, on one line: {printable(text, 60)!r}"
        )
    if text != text.strip():
        raise InvalidInput(f"a name does not begin or end with a space: {text!r}")
    return text


def is_device_id(text: str) -> bool:
    """Whether `text` has the shape of a UUID of NVML (GPU-…, MIG-…) or of a simulated device
    (SIM-…).
    """
    return _DEVICE_ID.fullmatch(text) is not None


def is_identifier(text: str) -> bool:
    """Whether `text` has the shape of an id that genvx gives to leases and environments."""
    return _IDENTIFIER.fullmatch(text) is not None
