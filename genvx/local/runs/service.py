"""The port on which a run serves, chosen before its command starts."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from genvx.core.runs.service import Service


def choose_port(service: Service) -> int:
    """Return the port for a run that serves.

    Another program may take it before the command does: then the command fails, and says so.

    Raises:
        InvalidInput: the port is taken, or only root may have it.
    """
    import socket  # a supervisor is small, and few serve

    try:
        # On all addresses, because we do not know on which the command will listen.
        with socket.create_server(("", service.port)) as listener:
            return int(listener.getsockname()[1])
    except OSError as error:
        port = f"port {service.port}" if service.port else "a port"
        why = {
            errno.EADDRINUSE: "another program has it; without --port any that is free is taken",
            errno.EACCES: "only root may have it; choose one from 1024 on",
        }.get(error.errno or 0, error.strerror)
        raise InvalidInput(f"the run cannot serve on {port} of this host: {why}") from None
