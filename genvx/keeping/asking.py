"""The side of a command: it finds its keeper, and asks that about hosts.

Nothing here raises for what is odd about a keeper. The command then goes its own way.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Any

from genvx.core.wire.reply import Reply
from genvx.errors import GenvxError, HostUnreachable
from genvx.keeping import places
from genvx.keeping.frames import Broken, Frames

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from genvx.core.wire.call import Call
    from genvx.fleet.hosts.hostspec import HostSpec

# Seconds in which a keeper greets us. One that is stopped would else hold up each command.
_GREETING = 0.5
# A keeper that waits for hosts says so twice a second.
_SILENCE = 3.0
# Seconds that it may take for a host beyond the timeout.
_GRACE = 4.0
# What the keeper needs to know of a host; what a hostfile offers of it is decided here.
FIELDS = (
    *("name", "address", "user", "port", "key", "ssh_config", "connect_timeout"),
    *("proxy_jump", "proxy_command", "python", "runs"),
)
# Questions that change nothing, so that they can be asked again whatever became of them.
QUESTIONS = frozenset({"snapshot", "policy", "use", "runs", "run-find", "run-info"})


class Missing(Exception):
    """Missing: there is no keeper, and one may be started."""


def reach(environ: Mapping[str, str]) -> Frames:
    """Connect to the keeper for commands like this one.

    Raises:
        Missing: there is none. Broken: there is one that cannot be used.
    """
    directory = places.directory(environ)
    if directory is None:
        raise Missing
    marked = places.mark(environ)
    frames = connect(f"{directory}/{places.stem(marked)}.sock")
    try:
        if frames.receive(_GREETING) != {"genvx": marked}:
            raise Broken("a keeper of other commands")
    except BaseException:
        frames.close()
        raise
    return frames


def connect(path: str) -> Frames:
    """Connect to a keeper, by the path of its socket; raises as `reach`."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    frames = Frames(sock)
    try:
        sock.settimeout(_GREETING)
        sock.connect(path)
        frames.require_ours()
    except (FileNotFoundError, ConnectionRefusedError):
        frames.close()
        raise Missing from None
    except OSError as error:
        frames.close()
        raise Broken(str(error)) from None
    except BaseException:
        frames.close()
        raise
    return frames


def tell(environ: Mapping[str, str], what: str) -> Iterator[Any]:
    """Tell each keeper of ours to "stop", or ask each for its "status"; yield what they say.

    For one that does not answer it is None.
    """
    directory = places.directory(environ)
    for name in sorted(os.listdir(directory)) if directory is not None else ():
        if not name.endswith(".sock"):
            continue
        try:
            frames = connect(f"{directory}/{name}")
        except Missing:
            continue  # it was killed
        except Broken:
            yield None
            continue
        try:
            frames.receive(_GREETING)
            frames.send({"do": what}, _SILENCE)
            yield frames.receive(_SILENCE)["done"]
        except (Broken, LookupError, TypeError):
            yield None
        finally:
            frames.close()


def keepable(spec: HostSpec) -> bool:
    """Whether a keeper may have a connection to a host.

    It is never given a secret, and does not know in which directory a command was typed. A node of
    an allocation is another one tomorrow.
    """
    if spec.step is not None:
        return False
    paths = (spec.key, spec.ssh_config)
    return not (spec.password_env or spec.password_command or spec.password) and all(
        path is None or path.startswith(("/", "~")) for path in paths
    )


def ask(
    frames: Frames,
    specs: Sequence[HostSpec],
    call: Call,
    *,
    config: str | None,
    timeout: float,
    fanout: int,
    host_lost_after: float,
    idle: float,
    age: float = 0.0,
) -> Iterator[tuple[str, Reply | GenvxError, bool]]:
    """Ask the keeper what hosts reply to a call; yield the reply or the failure of each as it
    comes, and whether it is old.

    Hosts that the keeper cannot ask are left out. age: replies may be so many seconds old.
    """
    asked = {
        "ask": [call.operation, call.arguments],
        "hosts": [{field: getattr(spec, field) for field in FIELDS} for spec in specs],
        "config": config,
        "timeout": timeout,
        "fanout": fanout,
        "host_lost_after": host_lost_after,
        "idle": idle,
        "age": age,
    }
    waiting = {spec.name for spec in specs}
    # Longer than all hosts may take, one after the other where they are more than `fanout`.
    end = time.monotonic() + (len(specs) // max(1, fanout) + 1) * (timeout + _GRACE)
    try:
        frames.send(asked, _SILENCE)
        while waiting and time.monotonic() < end:
            said = frames.receive(_SILENCE)
            name = said.get("host")
            if name not in waiting:
                if "done" in said:
                    return
                continue
            waiting.discard(name)
            answer = _answer(said)
            if answer is not None:
                yield name, answer, "old" in said
    except (Broken, AttributeError, TypeError, ValueError):
        return  # ended, stopped or confused: the rest is asked without it


def _answer(said: Any) -> Reply | GenvxError | None:
    if "reply" in said:
        value, error, message = said["reply"]
        return Reply(value=value, error=error, message=str(message))
    if "unreachable" in said:
        kind, message = said["unreachable"]
        return HostUnreachable(str(message), kind=str(kind))
    return None
