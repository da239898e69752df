"""OpenSSH's patterns for names: `*` for any text, `?` for any character, `!` for negation.

Regular expressions are not used: a pattern with forty stars would keep one busy for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def matches_any(patterns: Iterable[str], name: str) -> bool:
    """Return whether a pattern matches the name, and none that begins with `!` does."""
    hit = False
    for pattern in patterns:
        negated = pattern.startswith("!")
        if matches(pattern[negated:], name):
            if negated:
                return False
            hit = True
    return hit


def matches(pattern: str, name: str) -> bool:
    """Return whether a pattern matches the whole name.

    The time grows with the product of the two lengths.
    """
    at = here = 0
    star = -1
    after_star = 0
    while here < len(name):
        if at < len(pattern) and pattern[at] == "*":
            star, after_star = at, here
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", name[here]):
            at += 1
            here += 1
        elif star >= 0:
            # Let the last star take one character more. Earlier stars need not be tried again:
            # what they could take in addition, the last one can take as well.
            after_star += 1
            at, here = star + 1, after_star
        else:
            return False
    return not pattern[at:].strip("*")
