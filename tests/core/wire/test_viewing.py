"""The frames of those who view a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genvx.core.wire.plain import Malformed
from genvx.core.wire.viewing import MOST_KEYS, Frames, Size, keys, size


@given(st.binary(max_size=3 * MOST_KEYS), st.integers(1, 4000), st.integers(1, 4000))
def test_frames_are_read_however_the_stream_is_cut(typed, cut, rows):
    stream = size(rows, 80) + keys(typed) + size(24, rows)
    frames = Frames()
    found = [each for part in (stream[:cut], stream[cut:]) for each in frames.feed(part)]
    assert found[0] == Size(rows, 80)
    assert b"".join(found[1:-1]) == typed
    assert found[-1] == Size(24, rows)


@pytest.mark.parametrize("data", [b"X\0\0", b"K\xff\xff", b"S\0\x05"])
def test_what_is_no_frame_is_refused(data):
    with pytest.raises(Malformed):
        list(Frames().feed(data))
