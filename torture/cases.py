"""Malformed input: what is well-formed, with edits. Deterministic; whoever calls has the chance."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# What has broken parsers, terminals and shells before.
TOKENS = (
    b"\x00", b"\x1b[2J", b"\x1b]0;owned\x07", b"\x9b31m", b"\r", b"\n", b"\r\n", b"\t", b"\x7f",
    b"\xff", b"\xc3\x28", b"\xed\xa0\x80", "\u202e".encode(), "\u2028".encode(), "\ufeff".encode(),
    b"\\ud800", b"\\u001b[31m", b"\\u202e", b'"', b"'", b"`touch owned`", b"$(touch owned)",
    b"; touch owned", b"|", b"&", b"%s", b"%n", b"{}", b"[", b"]", b"[" * 3000, b"{" * 300,
    b'{"a":' * 900, b"0", b"-1", b"1e999", b"NaN", b"Infinity", b"null", b"true", b"[]", b'""',
    b"9" * 400, b"9223372036854775808", b"4294967296", b"-0", b"0x10", b"1_000", b"..", b"/",
    b"../../etc/passwd", b"~", b"*", b"*" * 60, b"?", b"!", b"#", b"=", b",", b":", b"@",
    b"-oProxyCommand=x", b" " * 5000, b"a" * 5000, b"[1-", b"[0-99999999]", b"[1-3]" * 12,
    b"Include", b"%h", "é日本".encode(), "٣".encode(), "１".encode(),
)  # fmt: skip

OPERATIONS = ("insert", "replace", "delete", "repeat", "cut", "swap")


@dataclass(frozen=True)
class Edit:
    """operation: one of OPERATIONS. place: from 0 to 1 of the length. payload: what is put in."""

    operation: str
    place: float
    length: int
    payload: bytes


def edited(data: bytes, edits: Sequence[Edit]) -> bytes:
    """The data after all edits, at most 64 KiB of it."""
    for edit in edits:
        at = int(edit.place * len(data))
        end = at + edit.length
        match edit.operation:
            case "insert":
                data = data[:at] + edit.payload + data[at:]
            case "replace":
                data = data[:at] + edit.payload + data[end:]
            case "delete":
                data = data[:at] + data[end:]
            case "repeat":
                data = data[:at] + data[at:end] * 3 + data[end:]
            case "cut":
                data = data[:at]
            case _:
                data = data[at:] + data[:at]
    return data[: 1 << 16]


def random_edits(chance: random.Random) -> list[Edit]:
    return [
        Edit(
            chance.choice(OPERATIONS),
            chance.random(),
            chance.choice((0, 1, 2, 8, 40)),
            chance.choice(TOKENS) if chance.random() < 0.8 else chance.randbytes(4),
        )
        for _ in range(chance.choice((1, 1, 1, 2, 3, 6)))
    ]


# In place of any value of a JSON document.
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 1 << 62, 1 << 70, 10**300, 0.5, "", "x", "x" * 5000, "\x1b[2J",
    "\u202eevil", "\ud800", "SIM-1", "../../x", "00ff00ff", "unhealthy", [], [[]], {}, {"a": 1},
    [1] * 5000, [None], ["\x1b[2J"] * 3, {"\x1b[2J": "\x1b[2J"},
)  # fmt: skip


def places(plain: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON document, as the keys that lead there."""
    found = [path] if path else []
    if isinstance(plain, dict):
        for key, value in plain.items():
            found += places(value, (*path, key))
    elif isinstance(plain, list):
        for index, value in enumerate(plain[:4]):
            found += places(value, (*path, index))
    return found


def with_value(plain: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of a JSON document with another value in one place; as it is, where that is gone."""
    if not path:
        return value
    if isinstance(plain, dict) and path[0] in plain:
        return {**plain, path[0]: with_value(plain[path[0]], path[1:], value)}
    if isinstance(plain, list) and isinstance(path[0], int) and path[0] < len(plain):
        changed = list(plain)
        changed[path[0]] = with_value(plain[path[0]], path[1:], value)
        return changed
    return plain
