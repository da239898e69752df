from __future__ import annotations

import contextlib
import socket
import threading

from genvx.ssh.readahead import ReadAhead


def test_a_socket_is_closed_once_its_reader_has_left():
    """Its descriptor would be the next connection's, and the reader would sleep on that."""
    reading, shut, order = threading.Event(), threading.Event(), []

    class Slow:
        def recv(self, size):
            reading.set()
            shut.wait()
            order.append("the reader has left")
            return b""

        def shutdown(self, how):
            shut.set()

        def close(self):
            order.append("closed")

    ahead = ReadAhead(Slow())
    reader = threading.Thread(target=ahead.recv, args=(1,))
    reader.start()
    reading.wait()
    ahead.close()
    reader.join()
    assert order == ["the reader has left", "closed"]


def test_what_was_read_ahead_is_given_in_pieces():
    ours, theirs = socket.socketpair()
    ahead = ReadAhead(ours)
    with theirs:
        theirs.sendall(b"abcdef")
        assert [ahead.recv(2), ahead.recv(3), ahead.recv(9)] == [b"ab", b"cde", b"f"]
    ahead.close()


def test_a_reader_whom_a_peer_floods_does_not_keep_the_socket_from_being_closed():
    ours, theirs = socket.socketpair()
    ahead = ReadAhead(ours)
    flood, read = threading.Event(), []

    def feed():
        with contextlib.suppress(OSError):
            while True:
                theirs.sendall(b"x" * 4096)

    def drain():
        while data := ahead.recv(128):
            read.append(len(data))
            flood.set()

    threads = [threading.Thread(target=each, daemon=True) for each in (feed, drain)]
    for thread in threads:
        thread.start()
    assert flood.wait(20)
    ahead.close()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert ahead.recv(1) == b""
    theirs.close()
