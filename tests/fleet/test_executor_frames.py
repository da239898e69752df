"""What a client and a worker say to each other."""

from __future__ import annotations

import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genvx.errors import ProtocolError
from genvx.fleet.executing.frames import VALUE, FrameReader, frame

CONTENTS = st.lists(
    st.tuples(st.binary(max_size=300), st.lists(st.binary(max_size=300), max_size=3)), max_size=4
)


def written(body, buffers):
    return b"".join(frame(VALUE, [body], [memoryview(each) for each in buffers]))


@given(CONTENTS, st.integers(1, 200))
def test_frames_are_read_as_they_were_written_however_they_come(contents, step):
    data = b"".join(written(body, buffers) for body, buffers in contents)
    read, write = os.pipe()
    try:
        reader, found = FrameReader(), []
        for at in range(0, len(data), step):
            os.write(write, data[at : at + step])
            # A frame that is on its way is read part by part.
            os.set_blocking(read, False)
            while True:
                try:
                    found += reader.read(read) or []
                except BlockingIOError:
                    break
    finally:
        os.close(read)
        os.close(write)
    assert [(bytes(f.body), [bytes(b) for b in f.buffers]) for f in found] == contents


def test_what_was_read_along_with_the_greeting_counts():
    reader = FrameReader(written(b"early", []))
    assert [bytes(each.body) for each in reader.complete()] == [b"early"]


@pytest.mark.parametrize(
    "head",
    [
        struct.pack(">cIQ", b"?", 0, 0),
        struct.pack(">cIQ", VALUE, 1 << 31, 0),
        struct.pack(">cIQ", VALUE, 0, 1 << 60),
    ],
)
def test_a_worker_that_says_nonsense_is_refused_before_memory_is_taken(head):
    with pytest.raises(ProtocolError):
        FrameReader(head).complete()
