"""Refusals wait for their client, once, and not for ever."""

from __future__ import annotations

import pytest

from genvx.core.protocol import Reply
from genvx.errors import NoCapacity
from genvx.local import processes, refusals
from genvx.local.state import StateDirectory


@pytest.fixture
def state_directory(short_tmp):
    found = StateDirectory(str(short_tmp / "s"))
    yield found
    found.close()


def left(short_tmp):
    return sorted(p.name for p in short_tmp.rglob("*.refused"))


def test_a_refusal_is_collected_once(state_directory, short_tmp):
    refusals.leave(state_directory, "aabb", Reply.of_error(NoCapacity("full")))
    reply = refusals.collect(state_directory, "aabb")
    with pytest.raises(NoCapacity, match="full"):
        reply.result()
    assert refusals.collect(state_directory, "aabb") is None
    assert left(short_tmp) == []


@pytest.mark.parametrize("change", ["later", "rebooted"])
def test_one_whose_client_never_asked_is_forgotten(state_directory, short_tmp, monkeypatch, change):
    refusals.leave(state_directory, "aaaa", Reply.of_error(NoCapacity("old")))
    refusals.leave(state_directory, "bbbb", Reply.of_error(NoCapacity("fresh")))
    assert left(short_tmp) == [".aaaa.refused", ".bbbb.refused"]
    if change == "later":
        now = processes.boottime_ns()
        monkeypatch.setattr(processes, "boottime_ns", lambda: now + 10**12)
    else:
        monkeypatch.setattr(processes, "boot_id", lambda: "another boot")
    refusals.leave(state_directory, "cccc", Reply.of_error(NoCapacity("new")))
    assert left(short_tmp) == [".cccc.refused"]


def test_garbage_in_its_place_is_no_refusal(state_directory, short_tmp):
    with state_directory.own() as directory:
        path = f"{state_directory.path_of(directory)}/.aabb.refused"
    with open(path, "wb") as file:
        file.write(b"[" * 10_000)
    assert refusals.collect(state_directory, "aabb") is None
    assert left(short_tmp) == []
