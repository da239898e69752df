"""Patterns of .gitignore and the like, with the meaning that they have for git.

Names are bytes, as they are for git: `?` matches one byte of a letter that has two.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Optional

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Callable

# ASCII only, as it is for git.
_CLASSES: Mapping[bytes, Callable[[int], bool]] = {
    b"alpha": lambda c: chr(c).isalpha(),
    b"digit": lambda c: chr(c).isdigit(),
    b"alnum": lambda c: chr(c).isalnum(),
    b"upper": lambda c: chr(c).isupper(),
    b"lower": lambda c: chr(c).islower(),
    b"space": lambda c: c in b" \t\n\r\v\f",
    b"punct": lambda c: 32 < c < 127 and not chr(c).isalnum(),
    b"xdigit": lambda c: c in b"0123456789abcdefABCDEF",
    b"blank": lambda c: c in b" \t",
    b"cntrl": lambda c: c < 32 or c == 127,
    b"print": lambda c: 32 <= c < 127,
    b"graph": lambda c: 32 < c < 127,
}
_SLASH = ord("/")


class _Broken(Exception):
    """A pattern that git lets match nothing."""


class Pattern(NamedTuple):
    """A line of such a file. whole: whether the path is matched, not only its last name."""

    brings_back: bool
    directories_only: bool
    whole: bool
    expression: re.Pattern[bytes]


class Rules(NamedTuple):
    """The patterns of one file, which lies in the directory `place`: empty, or ending in a slash.

    The last pattern that matches decides, and so does the deepest of several files.
    """

    place: bytes
    patterns: tuple[Pattern, ...]

    def verdict(self, name: bytes, *, directory: bool) -> Optional[bool]:
        """Whether a name is ignored (True), or brought back (False); None if nothing matches."""
        below = name[len(self.place) :]
        last = below.rpartition(b"/")[2]
        for each in reversed(self.patterns):
            if (directory or not each.directories_only) and each.expression.fullmatch(
                below if each.whole else last
            ):
                return not each.brings_back
        return None


def verdict(stack: tuple[Rules, ...], name: bytes, *, directory: bool) -> Optional[bool]:
    """What the files of a directory and of those above it say of a name in it; the nearest last."""
    for rules in reversed(stack):
        found = rules.verdict(name, directory=directory)
        if found is not None:
            return found
    return None


def parse(text: bytes) -> tuple[Pattern, ...]:
    """Read the patterns of a file."""
    if text.startswith(b"\xef\xbb\xbf"):
        text = text[3:]
    found = []
    for line in text.split(b"\n"):
        line = _without_spaces(line[:-1] if line.endswith(b"\r") else line).partition(b"\0")[0]
        if not line or line.startswith(b"#"):
            continue
        brings_back = line.startswith(b"!")
        line = line[1:] if brings_back else line
        directories_only = line.endswith(b"/")
        line = line[:-1] if directories_only else line
        whole = b"/" in line
        try:
            expression = _expression(line[1:] if line.startswith(b"/") else line)
        except _Broken:
            continue
        found.append(Pattern(brings_back, directories_only, whole, expression))
    return tuple(found)


def _without_spaces(line: bytes) -> bytes:
    """A line without the spaces at its end that are not escaped."""
    kept = line.rstrip(b" ")
    escapes = len(kept) - len(kept.rstrip(b"\\"))
    return line[: len(kept) + 1] if escapes % 2 else kept


def _expression(pattern: bytes) -> re.Pattern[bytes]:
    out, at = b"", 0
    parts = [b""]  # of the component: what is between its stars
    while at < len(pattern):
        byte = pattern[at : at + 1]
        if byte == b"*":
            end = at
            while pattern[end : end + 1] == b"*":
                end += 1
            after = pattern[end : end + 1]
            # Two or more stars stand for directories, if they are a component of their own.
            begins = at == 0 or pattern[at - 1] == _SLASH
            deep = end - at > 1 and begins
            if deep and after == b"/":
                out, end = out + b"(?:.*/)?", end + 1
            elif deep and (not after or pattern[end : end + 2] == b"\\/"):
                out += b".*"
            else:
                parts.append(b"")
            at = end
        elif byte == b"?":
            parts[-1], at = parts[-1] + b"[^/]", at + 1
        elif byte == b"[":
            members, at = _set(pattern, at + 1)
            parts[-1] += b"[" + b"".join(b"\\x%02x" % each for each in members) + b"]"
        else:
            at += byte == b"\\"
            if at == len(pattern):
                raise _Broken
            if pattern[at] == _SLASH:
                out, parts = out + _component(parts, len(out)) + b"/", [b""]
            else:
                parts[-1] += re.escape(pattern[at : at + 1])
            at += 1
    return re.compile(out + _component(parts, len(out)), re.DOTALL)


def _component(parts: list[bytes], number: int) -> bytes:
    """A component that has stars between these parts. number: different for each of a pattern."""
    if len(parts) == 1:
        return parts[0]
    first, *middle, last = parts
    out = first
    for index, part in enumerate(middle):
        # The first place where a part fits is as good as any other. Without this, a pattern with
        # many stars tries all of their combinations, which never ends for some names.
        name = b"g%d_%d" % (number, index)
        out += b"(?=(?P<%b>[^/]*?%b))(?P=%b)" % (name, part, name)
    return out + b"[^/]*" + last


def _set(pattern: bytes, at: int) -> tuple[list[int], int]:
    """The bytes that a set in brackets matches, and where the pattern goes on behind it."""
    negated = pattern[at : at + 1] in (b"!", b"^")
    at += negated
    members: set[int] = set()
    before: Optional[int] = None  # the byte with which a range can begin
    first = True
    while first or pattern[at : at + 1] != b"]":
        first = False
        byte, before_now = pattern[at : at + 1], before
        if byte == b"[" and pattern[at + 1 : at + 2] == b":":
            end = pattern.find(b"]", at + 2)
            if end < 0:
                raise _Broken
            if end > at + 2 and pattern[end - 1 : end] == b":":
                name = pattern[at + 2 : end - 1]
                if name not in _CLASSES:
                    raise _Broken
                members.update(each for each in range(128) if _CLASSES[name](each))
                before, at = None, end + 1
                continue
        if byte == b"-" and before_now is not None and pattern[at + 1 : at + 2] not in (b"", b"]"):
            last, at = _literal(pattern, at + 1)
            members.update(range(before_now, last + 1))
            before = None
        else:
            before, at = _literal(pattern, at)
            members.add(before)
    chosen = set(range(256)) - members if negated else members
    chosen.discard(_SLASH)
    if not chosen:
        raise _Broken
    return sorted(chosen), at + 1


def _literal(pattern: bytes, at: int) -> tuple[int, int]:
    """The byte at a place in a set, which may be escaped, and the place behind it."""
    at += pattern[at : at + 1] == b"\\"
    if at >= len(pattern):
        raise _Broken
    return pattern[at], at + 1
