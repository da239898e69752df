"""Whether a server answers."""

from __future__ import annotations

import http.client
import socket

# Seconds for one question. A server that loads a model may take a connection and say nothing yet.
_PATIENCE = 5.0


def answers(address: str, port: int, path: str) -> bool:
    """Whether a server answers at an address of this machine: to a GET of a path with a code below
    400; with no path, whether it takes connections.
    """
    if not path:
        try:
            socket.create_connection((address, port), timeout=_PATIENCE).close()
        except OSError:
            return False
        return True
    connection = http.client.HTTPConnection(address, port, timeout=_PATIENCE)
    try:
        connection.request("GET", path, headers={"Host": f"localhost:{port}"})
        return connection.getresponse().status < http.client.BAD_REQUEST
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
