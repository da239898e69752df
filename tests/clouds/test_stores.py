"""The same promises of every store: one in a bucket, one that ignores conditions, this machine."""

from __future__ import annotations

import os

import pytest

from genvx.cli.remotes.shelving import this_machine
from genvx.core.wire.runoperations import ShowRun
from genvx.core.wire.treeoperations import PullRun
from genvx.errors import InvalidInput, UnknownRun
from genvx.fleet.shelves.store import Store
from genvx.local.runs.taking import landing_of
from tests.clouds.shelves import Careless, Made, files_in, store_at

BIG = os.urandom(20 << 20)
ODD = {
    b"a": b"x" * 10,
    b"deep/er/file": b"",
    b"with space +%?#&": b"1",
    "ümläut\n'\"".encode(): b"2",
    b"not \xff utf-8": b"3",
    b"-rf": b"4",
    b"CON": b"5",
}


@pytest.fixture(params=["s3", "careless", "here"])
def store(request, tmp_path, state, monkeypatch):
    if request.param == "here":
        monkeypatch.setenv("GENVX_RUNS_DIR", str(tmp_path / "runs"))
        yield this_machine()
    elif request.param == "s3":
        yield request.getfixturevalue("in_bucket")
    else:
        server = Careless()
        yield store_at(server.url, tmp_path, path_style=True, checksum="when_required")
        server.shutdown()
        server.server_close()


def got(store, run, directory, **asked):
    with landing_of(str(directory), os.environ) as landing:
        told, landed = store.get(PullRun(run, **asked), landing)
    return files_in(directory), told, landed


def test_a_run_is_put_found_shown_marked_fetched_deleted_restored_and_purged(store, tmp_path):
    assert isinstance(store, Store)
    made = Made(files=ODD)
    assert store.put(made).new
    (run,) = store.list()
    assert (run.id, run.spec, run.state, run.pulled.host) == (
        made.run.id,
        made.run.spec,
        made.run.state,
        "gpu-1",
    )
    assert store.info(ShowRun(run.id, 5)).tail == "hello\n"
    assert store.label(run.id, "best", ("x", "y")).label == "best"
    assert store.label(run.id, None, (), ("x",)).tags == ("y",)
    found, _, _ = got(store, run.id, tmp_path / "there", everything=True)
    assert found == {"log": b"hello\n"} | {
        f"work/{os.fsdecode(name)}": data for name, data in ODD.items()
    }
    store.delete(run.id)
    assert store.list() == [] or not store.list()
    assert [each.label for each in store.list(deleted=True)] == ["best"]
    with pytest.raises(InvalidInput, match="in the trash"):
        store.put(made)
    store.restore(run.id)
    with pytest.raises(UnknownRun):
        store.purge(run.id)
    store.delete(run.id)
    store.purge(run.id)
    assert not store.list(deleted=True)
    assert store.put(made).new


def test_what_is_there_is_not_sent_again_and_a_changed_file_of_the_same_size_is(store, tmp_path):
    first = Made(files={b"model": BIG, b"a": b"1"})
    put = store.put(first)
    assert put.size == len(BIG) + 1 + len(b"hello\n")
    again = Made(files={b"model": BIG, b"a": b"1"})
    assert not store.put(again).new
    assert again.sent == []
    changed = Made(files={b"model": BIG, b"a": b"2"})
    put = store.put(changed)
    assert (put.new, put.size, len(changed.sent)) == (True, 1, 1)
    found, _, landed = got(store, "0123abcd", tmp_path / "there", everything=True)
    assert found["work/model"] == BIG
    assert found["work/a"] == b"2"
    _, _, landed = got(store, "0123abcd", tmp_path / "there", everything=True)
    assert (landed.changed, landed.size) == (0, 0)


def test_a_run_that_is_not_there_is_said_so(store, tmp_path):
    for act in (store.delete, store.restore, store.purge):
        with pytest.raises(UnknownRun):
            act("0123abcd")
    with pytest.raises(UnknownRun):
        got(store, "0123abcd", tmp_path / "there")
    with pytest.raises(UnknownRun):
        store.label("../../etc", "x")
