"""What a client and a worker say to each other."""

from __future__ import annotations

import os
import pickle
import struct
from concurrent.futures import Future

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genvx.errors import GenvxError, ProtocolError
from genvx.fleet.executing.calls import Call
from genvx.fleet.executing.frames import FAILED, VALUE, Frame, FrameReader, frame

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


class Trap:
    def __reduce__(self):
        return os._exit, (1,)


def test_a_pickle_is_not_read_where_results_are_json():
    trap = bytearray(pickle.dumps(Trap()))
    about = bytearray(
        b'{"how":"raised","kind":"K","message":"m\\u001b","traceback":"t","missing":null}'
    )
    for answer in (Frame(VALUE, trap, []), Frame(FAILED, trap, [about])):
        _, error = Call(Future(), abs, (), {}).outcome(answer, "h", "python3", as_json=True)
        assert isinstance(error, GenvxError)
        assert str(error).isprintable()


@pytest.mark.parametrize("about", [b"", b"[" * 100_000, b"[]", b'{"how": 1}', b"\xff"])
def test_a_failure_that_cannot_be_read_is_an_error_of_the_host(about):
    answer = Frame(FAILED, bytearray(), [bytearray(about)])
    _, error = Call(Future(), abs, (), {}).outcome(answer, "h", "python3", as_json=False)
    assert isinstance(error, ProtocolError)
