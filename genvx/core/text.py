"""Which text from outside is accepted, and how it is shown.

Every string from a person, a file or a host is checked on the way in (`require_name`,
`is_printable`) or passes `printable` on the way out, so that no control character reaches a
terminal. Printable is what `str.isprintable` accepts: no controls, no bidirectional overrides, no
lone surrogates.
"""

from __future__ import annotations

import re

from genvx.errors import InvalidInput

NAME_LIMIT = 128
COMMAND_LIMIT = 256
MESSAGE_LIMIT = 2000

# Patterns are compiled when they are first used, which in most calls they are not.
_DEVICE_ID = r"[A-Za-z0-9][A-Za-z0-9/._-]{0,95}"
# Ids become names of files, and words of a command line: no slash, no dot, no dash in front.
_IDENTIFIER = r"[0-9a-f]{4,32}"


def printable(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Show any text on one line, with escapes such as \\x1b for what cannot be printed.

    The result has at most `limit` characters, escapes included.
    """
    head = text if len(text) <= limit else text[: limit - 1] + "…"
    if head.isprintable():
        return head
    shown = "".join(c if c.isprintable() else _escape(c) for c in head)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _escape(character: str) -> str:
    return repr(character)[1:-1] if ord(character) < 0x80 else f"\\u{ord(character):04x}"


def is_printable(text: str, limit: int) -> bool:
    """Whether a text is printable as it is, and has at most `limit` characters."""
    return len(text) <= limit and text.isprintable()


def require_name(text: str) -> str:
    """Return `text` if it can name an environment; raise InvalidInput that says why it cannot."""
    if len(text) > NAME_LIMIT:
        raise InvalidInput(f"a name has at most {NAME_LIMIT} characters; this one has {len(text)}")
    if not text.isprintable():
        raise InvalidInput(
            f"a name has printable characters only, on one line: {printable(text, 60)!r}"
        )
    # Two names that differ only in a space at the end look the same in every table.
    if text != text.strip():
        raise InvalidInput(f"a name does not begin or end with a space: {text!r}")
    return text


def is_device_id(text: str) -> bool:
    """Whether `text` looks like a UUID of NVML (GPU-…, MIG-…) or of a simulated device (SIM-…)."""
    return re.fullmatch(_DEVICE_ID, text) is not None


def is_identifier(text: str) -> bool:
    """Whether `text` looks like an id that genvx gives to leases and environments."""
    return re.fullmatch(_IDENTIFIER, text) is not None
