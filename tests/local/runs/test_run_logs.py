"""The log of a run: from where one likes, to its end, and with its head freed."""

from __future__ import annotations

import fcntl
import os
import subprocess

import pytest

from genvx.core.runs.runinfo import LogPiece
from genvx.local.runs.logs import follow, offset_of_last_lines
from genvx.local.runs.trimming import Trimmer


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


def test_the_last_lines_are_not_looked_for_in_a_head_that_was_freed(log):
    os.write(log, b"a" * 100_000 + b"\nlast\n")
    free_head(log, 10)
    first, *_ = read(log)
    assert offset_of_last_lines(log, 1) == 100_001
    assert offset_of_last_lines(log, 1000) == first.at > 90_000


def test_a_part_that_is_freed_while_it_is_read_is_missing_and_not_zeros(log, monkeypatch):
    os.write(log, b"a" * 100_000)
    reads = []

    def pread(descriptor, size, offset, real=os.pread):
        if not reads:
            free_head(log, 10_000)
        reads.append(offset)
        return real(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", pread)
    pieces = read(log)
    assert reads[0] == 0
    assert pieces[0].missing == pieces[0].at > 80_000
    assert set(b"".join(piece.data for piece in pieces)) == set(b"a")


def test_a_log_keeps_its_last_bytes_up_to_its_limit(log):
    trimmer = Trimmer(log, 256 * 1024)
    for number in range(100):
        os.write(log, f"{number:08}\n".encode() * 4096)
        assert trimmer.trim() == ""
        assert os.fstat(log).st_blocks * 512 <= 256 * 1024
    assert os.fstat(log).st_size == 100 * 4096 * 9
    kept = b"".join(piece.data for piece in read(log))
    assert len(kept) > 200 * 1024
    assert kept.endswith(b"00000099\n" * 4096)


def test_a_file_system_that_frees_no_part_of_a_file_is_named_once_and_all_is_kept():
    log = os.memfd_create("log", os.MFD_ALLOW_SEALING)
    os.write(log, b"a" * 300_000)
    fcntl.fcntl(log, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    trimmer = Trimmer(log, 65536)
    assert "the whole log is kept" in trimmer.trim()
    assert trimmer.trim() == ""
    assert sum(len(piece.data) for piece in read(log)) == 300_000
    os.close(log)
