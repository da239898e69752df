"""The processes below a program on a host: all are found and ended, however they are dying."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from genvx.fleet.executing.worker import below as below_worker
from tests.helpers import until

# A process whose first thread has ended: it is shown as a zombie, and lives on with its child.
HALF = """
import ctypes, subprocess, threading
threading.Thread(target=lambda: subprocess.call(["sleep", "300"])).start()
ctypes.CDLL(None).pthread_exit(None)
"""
# What a guard does, around such a process.
GUARD = """
import subprocess, sys
from genvx.engines.onhost.below import adopt, end_all_below
adopt()
half = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
print(half.pid, flush=True)
input()
end_all_below()
"""


def child(pid):
    answer = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], stdout=subprocess.PIPE)
    return int(answer.stdout or 0)


def state(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def gone(pid):
    try:
        return state(pid) == "Z"
    except OSError:
        return True


def test_a_process_whose_first_thread_has_ended_is_ended_with_all_that_it_has_started():
    guard = subprocess.Popen(
        [sys.executable, "-c", GUARD, HALF],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    below = 0
    with guard:
        try:
            half = int(guard.stdout.readline())
            until(lambda: state(half) == "Z", "its first thread ends")
            below = until(lambda: child(half), "it has a child")
            guard.communicate("\n", timeout=30)
            assert guard.returncode == 0
            assert gone(half)
            until(lambda: gone(below), "its child ends")
        finally:
            guard.kill()
            if below and not gone(below):
                os.kill(below, signal.SIGKILL)


def test_a_worker_finds_a_process_whose_first_thread_has_ended_and_what_that_has_started():
    with subprocess.Popen([sys.executable, "-c", HALF]) as half:
        below = 0
        try:
            until(lambda: state(half.pid) == "Z", "its first thread ends")
            below = until(lambda: child(half.pid), "it has a child")
            assert {half.pid, below} <= set(below_worker(os.getpid()))
        finally:
            half.kill()
            if below:
                os.kill(below, signal.SIGKILL)
    assert half.pid not in below_worker(os.getpid())
