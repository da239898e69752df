"""Leaving a terminal that goes on: ^] three times within a second."""

from __future__ import annotations

from genvx.fleet.terminals.leaving import Leaving


def typed(*keys: tuple[float, bytes]) -> list[tuple[bytes, bool]]:
    times = [at for at, _ in keys]
    leaving = Leaving(lambda: times.pop(0))
    return [leaving.feed(key) for _, key in keys]


def test_the_third_within_a_second_leaves_and_no_other_key_is_kept_back():
    assert typed((0.0, b"a\x1d"), (0.4, b"\x1d"), (0.9, b"\x1db")) == [
        (b"a\x1d", False),
        (b"\x1d", False),
        (b"", True),
    ]


def test_what_is_typed_in_between_or_slowly_leaves_nothing():
    every = [(0.0, b"\x1d\x1d"), (0.1, b"x\x1d"), (0.2, b"\x1d"), (1.5, b"\x1d"), (2.9, b"\x1d")]
    assert typed(*every) == [(key, False) for _, key in every]
