"""The small process that starts commands on a node of an allocation, and what asks it to.

What a step of Slurm starts ends with the step, and the steps of commands end with their
connections. So the job has a step of its own on each node for as long as it lasts, which listens on
a socket; the step of a command hands it the command with its streams, and waits. What goes on in
the background, such as the supervisor of a run, then ends with the job.

The socket has an abstract name, of which nothing is left on the node. Anybody can take such a name,
and a job has a number that others can guess; so each name ends at random, and only a socket of ours
is given a command.

This is a program of its own: its text is sent in commands, for any Python 3 that a node has, with
the words hold JOB, or relay JOB LINE. So it imports nothing of genvx, and is short.
"""

from __future__ import annotations

import array
import base64
import ctypes
import json
import os
import select
import signal
import socket
import struct
import sys
import time

_MOST = 1 << 24
# Seconds in which the process that lasts begins to listen, after the job has begun.
_PATIENCE = 30.0


def prefix(job: str) -> str:
    """Return what the names of sockets begin with, for a job on this node."""
    # One machine may be several nodes. A name has room for 107 bytes.
    node = os.environ.get("SLURMD_NODENAME", "")[:40]
    return f"genvx-step-{os.getuid()}-{job}-{node}-"


def places(job: str) -> list[str]:
    """Return the names of sockets that may be ours, of which others may have made some."""
    start, found = f" @{prefix(job)}", []
    with open("/proc/net/unix", encoding="ascii", errors="replace") as file:
        for line in file:
            at = line.find(start)
            if at >= 0:
                found.append(line[at + 2 :].rstrip("\n"))
    return found


def is_ours(connection: socket.socket) -> bool:
    """Return whether a process of ours is at the other end."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    uid: int = struct.unpack("3i", data)[1]
    return uid == os.getuid()


def hold(job: str) -> None:
    """Start what is handed in, until the job ends."""
    # Children are nobody's to wait for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # PR_SET_CHILD_SUBREAPER. Slurm may know what belongs to a step by its parents alone, and who
    # has lost them would outlive the job.
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(f"\0{prefix(job)}{os.urandom(8).hex()}")
    listener.listen(64)
    while True:
        connection, _ = listener.accept()
        # Others may connect as often as they like, and get no process for it.
        if is_ours(connection) and os.fork() == 0:
            try:
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                serve(connection)
            finally:
                os._exit(0)
        connection.close()


def serve(connection: socket.socket) -> None:
    """Start one command with the streams that come with it; say its exit code at its end."""
    size = array.array("i").itemsize
    _, sent, _, _ = connection.recvmsg(1, socket.CMSG_SPACE(3 * size))
    streams = array.array("i")
    for _, _, data in sent:
        streams.frombytes(data[: len(data) - len(data) % size])
    data = b""
    while len(data) < _MOST:
        part = connection.recv(65536)
        if not part:
            break
        data += part
    asked = json.loads(base64.b64decode(data))
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            for number in range(3):
                os.dup2(streams[number], number)
            os.closerange(3, 1024)
            try:
                os.chdir(asked["cwd"])
            except OSError:
                pass
            run(asked["line"], asked["environ"])
        finally:
            os._exit(127)
    # The end of a stream is seen when nobody has it.
    for number in streams:
        os.close(number)
    status = os.waitpid(pid, 0)[1]
    code = os.WTERMSIG(status) + 128 if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    connection.sendall(bytes([code]))


def reach(job: str, patience: float = _PATIENCE) -> socket.socket:
    """Connect to the process that lasts; exit with a line where there is none.

    patience: seconds in which it may begin to listen.
    """
    end = time.monotonic() + patience
    while True:
        for name in places(job):
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            # Somebody else's may never accept.
            connection.setblocking(False)
            try:
                connection.connect("\0" + name)
                if is_ours(connection):
                    connection.setblocking(True)
                    return connection
            except OSError:
                pass  # it is gone, or busy: the next look finds out
            connection.close()
        if time.monotonic() > end:
            # Without it a command would end with its connection, and a run in the background would
            # be gone without a word.
            os.write(2, b"genvx: what starts commands in job %s is gone\n" % job.encode())
            os._exit(255)
        time.sleep(0.05)


def relay(job: str, line: str) -> None:
    """Hand a line to the process that lasts, and exit as it does."""
    connection = reach(job)
    text = base64.b64decode(line).decode("utf-8", "surrogateescape")
    asked = {"line": text, "environ": dict(os.environ), "cwd": os.getcwd()}
    # Our own stdout is a terminal, because Slurm holds back the lines of others until they end.
    pipes = [os.pipe(), os.pipe()]
    streams = array.array("i", [0, pipes[0][1], pipes[1][1]])
    connection.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
    for _, write in pipes:
        os.close(write)
    connection.sendall(base64.b64encode(json.dumps(asked).encode("ascii")))
    connection.shutdown(socket.SHUT_WR)
    # Who has a stream keeps it open.
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os._exit(pass_on(connection, {pipes[0][0]: 1, pipes[1][0]: 2}))


def pass_on(connection: socket.socket, ways: dict[int, int]) -> int:
    """Write what comes from pipes until the command has ended and they are empty; return its exit
    code. ways: where each leads.
    """
    code = None
    ended = connection.fileno()
    while code is None or ways:
        waiting = [*ways] if code is not None else [*ways, ended]
        # What goes on in the background may keep a pipe open for ever.
        ready = select.select(waiting, [], [], None if code is None else 0)[0]
        if not ready:
            break
        for each in ready:
            if each == ended:
                answer = connection.recv(1)
                code = answer[0] if answer else 129
                continue
            data = os.read(each, 65536)
            target = ways[each]
            if not data:
                del ways[each]
            while data:
                data = data[os.write(target, data) :]
    return 129 if code is None else code


def run(line: str, environ: dict[str, str]) -> None:
    """Become the user's shell, which runs a line, as with sshd."""
    # Python ignores these, and what it starts would.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    shell = environ.get("SHELL") or "/bin/sh"
    os.execve(shell, [os.path.basename(shell), "-c", line], environ)


def main() -> None:
    """Do what the words say."""
    if sys.argv[2] == "hold":
        hold(sys.argv[3])
    else:
        relay(*sys.argv[3:])
