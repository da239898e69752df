"""The log of a run: from where one likes, to its end, and with its head freed."""

from __future__ import annotations

import os
import subprocess

import pytest

from genvx.core.runinfo import LogPiece
from genvx.local.runs.logs import follow, offset_of_last_lines


@pytest.fixture
def log(tmp_path):
    descriptor = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize(
    ("content", "lines", "shown"),
    [
        (b"a\nb\nc\n", 2, b"b\nc\n"),
        (b"a\nb\nc", 2, b"b\nc"),
        (b"a\nb\nc\n", 9, b"a\nb\nc\n"),
        (b"a\nb\n", 0, b""),
        (b"", 3, b""),
        (b"\n\n\n", 2, b"\n\n"),
        (b"x" * 200_000 + b"\ny\n", 2, b"x" * 200_000 + b"\ny\n"),
        (b"one\n" * 50_000, 20_000, b"one\n" * 20_000),
    ],
)
def test_the_last_lines_are_found(log, content, lines, shown):
    os.write(log, content)
    assert content[offset_of_last_lines(log, lines) :] == shown


def free_head(log, keep):
    """Free all but the last bytes of a log, by whole blocks, as fallocate -p does."""
    end = (os.fstat(log).st_size - keep) // 4096 * 4096
    subprocess.run(
        ["fallocate", "-p", "-o", "0", "-l", str(end), f"/proc/self/fd/{log}"],
        pass_fds=(log,),
        check=True,
    )


def read(log, offset=0, over=lambda: True):
    return list(follow(log, offset, over, lambda seconds: False))


def test_a_log_that_is_over_is_read_to_its_end(log):
    os.write(log, b"a" * 600_000)
    pieces = read(log, 5)
    assert b"".join(piece.data for piece in pieces) == b"a" * 599_995
    assert [piece.at for piece in pieces] == [5, 262_149, 524_293]


def test_what_is_written_just_before_the_end_is_not_lost(log):
    """The end is asked for before the log is read."""
    asked = iter((False, True))

    def over():
        os.write(log, b"last words\n")
        return next(asked)

    assert b"".join(piece.data for piece in read(log, over=over)) == b"last words\n" * 2


def test_whoever_waits_can_be_told_to_stop(log):
    assert list(follow(log, 0, lambda: False, lambda seconds: True)) == []


def test_a_head_that_was_freed_is_a_gap_and_offsets_stay_true(log):
    os.write(log, b"a" * 100_000 + b"end\n")
    free_head(log, 10_000)
    assert os.fstat(log).st_blocks * 512 < 50_000
    first, *_ = read(log)
    assert first.missing == first.at > 80_000
    assert read(log, 100_000) == [LogPiece(100_000, b"end\n")]
