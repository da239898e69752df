"""Answers of terminals wait to be collected, once, and not for ever."""

from __future__ import annotations

import json
import os
import time

import pytest

from genvx.core.wire.reply import Reply
from genvx.errors import NoCapacity
from genvx.local import answers
from genvx.local.state.directory import StateDirectory


@pytest.fixture
def state_directory(short_tmp):
    found = StateDirectory(str(short_tmp / "s"))
    yield found
    found.close()


def left(short_tmp):
    return sorted(p.name for p in short_tmp.rglob("*.answer"))


def test_an_answer_is_collected_once(state_directory, short_tmp):
    answers.leave(state_directory, "aabb", Reply.of_error(NoCapacity("full")))
    reply = answers.collect(state_directory, "aabb")
    with pytest.raises(NoCapacity, match="full"):
        reply.result()
    assert answers.collect(state_directory, "aabb") is None
    assert left(short_tmp) == []


def test_an_answer_that_all_is_well_is_one_too(state_directory, short_tmp):
    answers.leave(state_directory, "aabb", Reply())
    reply = answers.collect(state_directory, "aabb")
    assert reply is not None
    assert reply.result() is None
    assert left(short_tmp) == []


@pytest.mark.parametrize("change", ["later", "rebooted"])
def test_one_that_nobody_collects_is_forgotten(state_directory, short_tmp, monkeypatch, change):
    answers.leave(state_directory, "aaaa", Reply.of_error(NoCapacity("old")))
    answers.leave(state_directory, "bbbb", Reply.of_error(NoCapacity("fresh")))
    assert left(short_tmp) == [".aaaa.answer", ".bbbb.answer"]
    if change == "later":
        now = time.clock_gettime_ns
        monkeypatch.setattr(time, "clock_gettime_ns", lambda clock: now(clock) + 10**12)
    else:
        for path in short_tmp.rglob("*.answer"):
            path.write_text(json.dumps(json.loads(path.read_bytes()) | {"boot_id": "another"}))
    answers.leave(state_directory, "cccc", Reply.of_error(NoCapacity("new")))
    assert left(short_tmp) == [".cccc.answer"]


def test_one_that_is_being_written_is_neither_collected_nor_tidied(
    state_directory, short_tmp, monkeypatch
):
    """Whoever looks or leaves one at the same moment would take half of it for garbage."""
    seen = []

    def write(descriptor, content):
        monkeypatch.undo()
        seen.append(answers.collect(state_directory, "aabb"))
        answers.leave(state_directory, "cccc", Reply())
        return os.write(descriptor, content)

    monkeypatch.setattr(os, "write", write)
    answers.leave(state_directory, "aabb", Reply())
    assert seen == [None]
    assert left(short_tmp) == [".aabb.answer", ".cccc.answer"]
    assert answers.collect(state_directory, "aabb") is not None


def test_one_that_comes_while_somebody_looks_is_there_for_the_next_look(
    state_directory, monkeypatch
):
    real = os.open

    def just_too_late(name, *more, **options):
        try:
            return real(name, *more, **options)
        except FileNotFoundError:
            monkeypatch.undo()
            answers.leave(state_directory, "aabb", Reply())
            raise

    with state_directory.own():
        pass  # made before
    monkeypatch.setattr(os, "open", just_too_late)
    assert answers.collect(state_directory, "aabb") is None
    assert answers.collect(state_directory, "aabb") is not None


def test_garbage_in_its_place_is_no_answer(state_directory, short_tmp):
    with state_directory.own() as directory:
        path = f"{state_directory.path_of(directory)}/.aabb.answer"
    with open(path, "wb") as file:
        file.write(b"[" * 10_000)
    assert answers.collect(state_directory, "aabb") is None
    assert left(short_tmp) == []
