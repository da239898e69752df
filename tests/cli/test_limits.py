"""A machine that has no more to give is one clear line, not a fault of genvx."""

from __future__ import annotations

import resource
import subprocess
import threading

import pytest

from genvx.core.limits import exhausted
from genvx.fleet.fleet import Fleet
from genvx.ssh.deadline import Deadline
from genvx.testing.host import FakeHost
from tests.helpers import genvx_argv, genvx_env, until


def limited(kind, value, *arguments):
    return subprocess.run(
        genvx_argv(*arguments),
        capture_output=True,
        text=True,
        env=genvx_env(),
        preexec_fn=lambda: resource.setrlimit(kind, (value, value)),
        timeout=50,
    )


@pytest.mark.parametrize("megabytes", [20, 45, 60, 80])
def test_little_memory_is_told_in_one_line_or_is_enough(state, megabytes):
    size = megabytes << 20
    answer = limited(resource.RLIMIT_AS, size, "remote", "-H", "127.0.0.1:1", "devices")
    assert "fault" not in answer.stderr
    assert "Traceback" not in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


def test_few_descriptors_are_told(state):
    hosts = ",".join(f"127.0.0.1:{port}" for port in range(1, 20))
    answer = limited(resource.RLIMIT_NOFILE, 12, "remote", "-H", hosts, "devices")
    assert "fault" not in answer.stderr
    assert "Traceback" not in answer.stderr
    assert answer.returncode in (1, 4)


def test_a_machine_that_starts_few_threads_asks_few_hosts_at_once(monkeypatch):
    start, running = threading.Thread.start, []

    def few(thread):
        if thread.name.startswith("genvx h") and sum(each.is_alive() for each in running) >= 2:
            raise RuntimeError("can't start new thread")
        running.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", few)
    fleet = Fleet([FakeHost(f"h{number}") for number in range(20)])
    assert len(fleet.snapshot().succeeded) == 20


def test_a_machine_that_starts_no_thread_is_told_so(monkeypatch):
    def none(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none)
    with pytest.raises(RuntimeError) as caught:
        Fleet([FakeHost("a")]).snapshot()
    assert "ulimit -u" in (exhausted(caught.value) or "")


def test_a_deadline_that_could_not_be_watched_does_not_harm_the_next(monkeypatch):
    def none(thread):
        raise RuntimeError("can't start new thread")

    ended = threading.Event()
    until(lambda: "genvx deadlines" not in {each.name for each in threading.enumerate()})
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none)
        with pytest.raises(RuntimeError), Deadline(0.01):
            pass
    with Deadline(0.01) as deadline:
        deadline.closes(ended.set)
        assert ended.wait(10)
