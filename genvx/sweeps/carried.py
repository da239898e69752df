"""The hosts of a sweep that another machine runs: what of them travels there, and is read there.

Keys, passwords, proxies and paths of this machine stay here: the other one logs in as its own
ssh does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.core.device import VisibleAs
from genvx.core.prelude import Prelude
from genvx.core.text import NAME_LIMIT, printable
from genvx.core.value import value
from genvx.core.wire.fields import Fields
from genvx.core.wire.plain import Malformed, dumps, loads
from genvx.core.wire.runcodec import LONGEST_PATH, MOST_WORDS
from genvx.core.wire.tables import (
    Table,
    choice,
    flag,
    integer,
    integers,
    many,
    optional,
    string,
    strings,
)
from genvx.errors import InvalidInput, StateError
from genvx.fleet.hosts.direct import require_direct
from genvx.fleet.hosts.hostspec import HostSpec
from genvx.ssh.config.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from genvx.ssh.config.settings import Settings

_MOST_BYTES = 64 << 20
_MOST_HOSTS = 100_000
_PORTS = 65535


@value
class CarriedHost:
    """CarriedHost is a host as it travels.

    hostname, login, listens: its name, user and port as ssh_config here has them, for a machine
    whose own does not know the name. prelude: its key and text. per_gpu: how many trials share a
    GPU; 0 is as the sweep says. The rest is that of a HostSpec.
    """

    name: str
    address: str
    user: str | None
    port: int | None
    hostname: str
    login: str
    listens: int
    python: str | None = None
    gpus: tuple[int, ...] | None = None
    tags: tuple[str, ...] = ()
    visible_as: VisibleAs | None = None
    runs: str | None = None
    prelude: tuple[str, ...] = ()
    prerelease: bool = False
    in_use: bool = False
    connect_timeout: int | None = None
    per_gpu: int = 0


_HOST = Table(
    CarriedHost,
    "a host of a sweep",
    name=string(NAME_LIMIT * 4),
    address=string(NAME_LIMIT * 4),
    user=optional(string(NAME_LIMIT)),
    port=optional(integer(1, _PORTS)),
    hostname=string(NAME_LIMIT * 4),
    login=string(NAME_LIMIT),
    listens=integer(1, _PORTS),
    python=optional(string(LONGEST_PATH)),
    gpus=optional(integers()),
    tags=strings(LONGEST_PATH, MOST_WORDS),
    visible_as=optional(choice(VisibleAs)),
    runs=optional(string(LONGEST_PATH)),
    prelude=strings(LONGEST_PATH, 2),
    prerelease=flag(),
    in_use=flag(),
    connect_timeout=optional(integer(1)),
    per_gpu=integer(),
)
_HOSTS = many(_HOST, _MOST_HOSTS)


def carried(spec: HostSpec, settings: Settings, per_gpu: int = 0) -> CarriedHost:
    """Return what travels of a host. settings: as ssh_config here has it.

    Raises:
        InvalidInput: it needs a password, which never travels.
    """
    require_direct(spec, "sweeps that run on another host")
    secret = spec.password is not None or spec.password_env or spec.password_command
    if secret and spec.key is None:
        raise InvalidInput(
            f"{printable(spec.name, 60)} needs a password, and passwords do not travel: give it a "
            f"key of the host that is to run the sweep, or leave it out with --exclude-host"
        )
    return CarriedHost(
        spec.name,
        spec.address,
        spec.user,
        spec.port,
        settings.hostname,
        settings.user,
        settings.port,
        spec.python,
        spec.gpus,
        spec.tags,
        spec.visible_as,
        spec.runs,
        () if spec.prelude is None else (spec.prelude.key, spec.prelude.text),
        spec.prerelease,
        spec.in_use,
        spec.connect_timeout,
        per_gpu,
    )


def written(hosts: Sequence[CarriedHost]) -> bytes:
    """Return hosts as they are written into a file."""
    return dumps({"hosts": _HOSTS.write(tuple(hosts))})


def read(
    path: str, settle: Callable[[Target], Settings]
) -> tuple[tuple[HostSpec, ...], dict[str, int]]:
    """Read hosts from such a file; return them, and how many trials share a GPU, by name, where
    that is not as the sweep says. settle: returns what ssh_config here has for a host.

    Raises:
        StateError: it cannot be read. HostError: ssh_config here has a fault.
    """
    try:
        with open(path, "rb") as file:
            plain: Any = loads(file.read(_MOST_BYTES))
        found = _HOSTS.read(Fields(plain, "hosts of a sweep"), "hosts")
    except (OSError, Malformed, InvalidInput) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise StateError(f"cannot read the hosts of the sweep in {path}: {why}") from None
    specs = tuple(_arrived(each, settle) for each in found)
    return specs, {each.name: each.per_gpu for each in found if each.per_gpu}


def _arrived(host: CarriedHost, settle: Callable[[Target], Settings]) -> HostSpec:
    address, user, port = host.address, host.user, host.port
    if settle(Target(host.name, address, user=user, port=port)).hostname == address.lower():
        # Nothing is written of it here: it is what the machine that sent us knew it as.
        address, user, port = host.hostname, user or host.login, port or host.listens
    return HostSpec(
        host.name,
        address,
        user=user,
        port=port,
        connect_timeout=host.connect_timeout,
        python=host.python,
        gpus=host.gpus,
        tags=host.tags,
        visible_as=host.visible_as,
        runs=host.runs,
        prelude=Prelude(*host.prelude) if len(host.prelude) == 2 else None,
        prerelease=host.prerelease,
        in_use=host.in_use,
    )
