"""Values of a configuration file: texts, numbers, durations, and YAML as JSON."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from genvx.core.text import printable
from genvx.fleet.remotes.yamltext import Items, Text
from genvx.sweeps.nni.section import is_null

if TYPE_CHECKING:
    from genvx.fleet.remotes.yamltext import Node

_MOST_TEXT = 4096
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9_]{0,20})", re.ASCII)
# Also 1e-4, which is a text for YAML 1.1 and a number for everybody who writes it.
_REAL = re.compile(
    r"[-+]?(?:[0-9][0-9_]{0,20}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][-+]?[0-9]{1,3})?", re.ASCII
)
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*([smhd]?)", re.ASCII)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off")
_INDEX = re.compile(r"[0-9]{1,3}", re.ASCII)


def text(name: str, node: Node, *, lines: bool = False) -> str:
    """Return a text. lines: whether it may have several lines, and be long."""
    if not isinstance(node, Text):
        node.place.fail(f"{name} is one value, not a list or a mapping")
    found = node.value.strip()
    if not found:
        node.place.fail(f"{name} needs a value")
    if len(found) > _MOST_TEXT * (16 if lines else 1):
        node.place.fail(f"{name} is too long")
    shown = found.replace("\n", "").replace("\t", "") if lines else found
    if not shown.isprintable():
        node.place.fail(f"{name} has characters that cannot be printed: {printable(found, 60)!r}")
    return found


def secret(name: str, node: Node) -> str:
    """Return a text that is never shown: not in an error, either."""
    if not isinstance(node, Text) or not node.value or len(node.value) > 1024:
        node.place.fail(f"{name} is a text of at most 1024 characters")
    return node.value


def whole(name: str, node: Node, least: int, most: int) -> int:
    """Return a whole number within bounds."""
    written = text(name, node)
    found = int(written.replace("_", "")) if _WHOLE.fullmatch(written) else None
    if found is None or not least <= found <= most:
        node.place.fail(
            f"{name} is a whole number from {least} to {most}, not {printable(written, 40)}"
        )
    return found


def flag(name: str, node: Node) -> bool:
    """Return a truth value."""
    found = text(name, node).lower()
    if found not in (*_TRUE, *_FALSE):
        node.place.fail(f"{name} is true or false, not {printable(found, 40)!r}")
    return found in _TRUE


def duration(name: str, node: Node) -> float:
    """Return the seconds of a duration such as 10m, 0.5h, or a number of seconds."""
    found = _DURATION.fullmatch(text(name, node))
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if not 0 < seconds <= 36_500 * 86_400:
        node.place.fail(
            f"{name} is a duration such as 10m or 0.5h, not {printable(text(name, node), 40)!r}"
        )
    return seconds


def indices(name: str, node: Node, most: int) -> tuple[int, ...]:
    """Return the indices of GPUs: of a list, a number, or a text such as "0,3"."""
    if isinstance(node, Items):
        words = [text(name, each) for each in node.items]
    else:
        words = [word.strip() for word in text(name, node).split(",")]
    if not words or not all(_INDEX.fullmatch(word) and int(word) < most for word in words):
        node.place.fail(f'{name} are indices below {most}, such as [0, 3], 0 or "0,3"')
    found = tuple(int(word) for word in words)
    if len(set(found)) < len(found):
        node.place.fail(f"{name} has an index twice")
    return found


def plain(node: Node) -> Any:
    """Return a value as JSON, with the types that YAML 1.1 gives to what has no quotes."""
    if isinstance(node, Items):
        return [plain(each) for each in node.items]
    if not isinstance(node, Text):
        return {key.value: plain(each) for key, each in node.pairs}
    if is_null(node):
        return None
    word = node.value
    if node.quoted:
        return word
    if word.lower() in (*_TRUE, *_FALSE):
        return word.lower() in _TRUE
    if _WHOLE.fullmatch(word):
        return int(word.replace("_", ""))
    if _REAL.fullmatch(word) and not (word.isdigit() and word[0] == "0"):
        return float(word.replace("_", ""))
    if word.lower().lstrip("+-") in (".inf", ".nan"):
        return float(word.replace(".", ""))
    return word


__all__ = ["duration", "flag", "indices", "plain", "secret", "text", "whole"]
