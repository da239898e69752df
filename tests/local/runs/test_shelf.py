"""What is left of a run when whoever made or deleted it is killed in the middle."""

from __future__ import annotations

import os
import time

import pytest

from genvx.errors import StateError
from genvx.local.runs.shelf import RunShelf
from tests.local.runs.test_gang_records import spec


def test_what_a_client_left_half_made_is_deleted_or_put_back_when_it_is_old(short_tmp, monkeypatch):
    shelf = RunShelf(str(short_tmp))
    with shelf.create(spec(0, "m")) as directory:
        run = directory.id
    for name in ("aaaaaaaa/.spec.json.0123456789ab", "bbbbbbbb/mine", ".cccccccc.moved/spec.json"):
        (short_tmp / name).parent.mkdir()
        (short_tmp / name).touch()
    before = sorted(os.listdir(shelf.root))
    assert list(shelf.newest()) == [run]
    assert sorted(os.listdir(shelf.root)) == before  # it may be made just now
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 2 * 3600 * 10**9)
    assert list(shelf.newest()) == [run]
    assert sorted(os.listdir(shelf.root)) == sorted([run, "bbbbbbbb", "cccccccc"])
    assert sorted(shelf.newest()) == sorted([run, "cccccccc"])


def test_a_run_whose_deletion_was_cut_short_is_still_there_and_can_be_purged_again(
    short_tmp, monkeypatch
):
    shelf = RunShelf(str(short_tmp))
    with shelf.create(spec(0, "m")) as directory:
        name = directory.id
        directory.make_work()
    shelf.delete(name)

    def broken(path):
        raise OSError("no more of it")

    with monkeypatch.context() as patch:
        patch.setattr("genvx.local.runs.shelf.shutil.rmtree", broken)
        with pytest.raises(StateError):
            shelf.purge(name)
    assert list(shelf.newest(deleted=True)) == [name]
    shelf.purge(name)
    assert list(shelf.newest(deleted=True)) == []
