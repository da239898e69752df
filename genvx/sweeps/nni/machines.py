"""The machines of an experiment: how each is reached, and which of its GPUs may be used."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from genvx.core.device import MOST_DEVICES
from genvx.core.prelude import Prelude
from genvx.errors import GenvxError
from genvx.fleet.hosts.hostnames import USER, parse_names
from genvx.fleet.hosts.hostranges import MOST_HOSTS
from genvx.fleet.remotes.yamltext import Items
from genvx.ssh.config.secret import Secret
from genvx.sweeps.nni import scalars
from genvx.sweeps.nni.experiment import Machine
from genvx.sweeps.nni.section import Section

if TYPE_CHECKING:
    from genvx.fleet.hosts.hostspec import HostSpec
    from genvx.fleet.remotes.yamltext import Node, Place

_GPU_KEYS = ("useActiveGpu", "maxTrialNumberPerGpu", "gpuIndices")
_MACHINE = (
    *("host", "port", "user", "password", "sshKeyFile", "sshPassphrase", "pythonPath"),
    *_GPU_KEYS,
)
_OF_PLATFORM = {
    "remote": ("platform", "machineList", "reuseMode"),
    "local": ("platform", "reuseMode", *_GPU_KEYS),
}
_OTHERS = ("openpai", "aml", "dlc", "kubeflow", "frameworkcontroller", "adl", "hybrid", "pai")
_MOST_TRIALS = 1000
_SSH_PORT = 22
_DEFAULT_KEY = "~/.ssh/id_rsa"


@dataclass(frozen=True)
class Service:
    """What trainingService says. secret: where the first secret is; None if there is none."""

    machines: tuple[Machine, ...] = ()
    notes: tuple[str, ...] = ()
    secret: Place | None = None


def service(node: Node, base: str) -> Service:
    """Read trainingService. base: where relative paths start.

    Raises:
        InvalidRemotes: it asks for another platform, or has a fault.
    """
    if isinstance(node, Items):
        node.place.fail("trainingService is a list (hybrid); genvx has the platform remote only")
    every = dict.fromkeys(key for keys in _OF_PLATFORM.values() for key in keys)
    platform = _platform(node)
    known = _OF_PLATFORM[platform] if platform in _OF_PLATFORM else tuple(every)
    section = Section(node, f"the platform {platform}", known)
    notes = []
    if "reuseMode" in section:
        scalars.flag("reuseMode", section.need("reuseMode"))
        notes.append("reuseMode has no effect: each trial is a process of its own")
    if platform == "local":
        section.refuse(
            dict.fromkeys(_GPU_KEYS, "is for the platform remote, within an entry of machineList")
        )
        notes.append("platform local: the hosts are those that you name, with -H or --hostfile")
        return Service((), tuple(notes))
    machines = section.need("machineList")
    if not isinstance(machines, Items) or not machines.items:
        machines.place.fail("machineList is a list of machines, such as - host: 192.0.2.1")
    if len(machines.items) > MOST_HOSTS:
        machines.place.fail(f"more than {MOST_HOSTS} machines")
    found: dict[str, Machine] = {}
    lines: dict[str, int] = {}
    first: Place | None = None
    for each in machines.items:
        machine, secret = _machine(Section(each, "a machine", _MACHINE), base, notes)
        name = machine.spec.name
        if name in found:
            each.place.fail(f"{name} is here already, on line {lines[name]}")
        found[name], lines[name] = machine, each.place.line
        first = first or secret
    return Service(tuple(found.values()), tuple(notes), first)


def _platform(node: Node) -> str:
    """Return the platform; fail at one that genvx does not have."""
    for key, value in getattr(node, "pairs", ()):
        if key.value == "platform":
            found = scalars.text("platform", value)
            if found not in _OF_PLATFORM:
                known = f"NNI's platform {found}" if found in _OTHERS else f"a platform {found!r}"
                value.place.fail(f"genvx does not have {known}; there are remote and local")
            return found
    node.place.fail("trainingService needs a platform, such as platform: remote")


def _machine(section: Section, base: str, notes: list[str]) -> tuple[Machine, Place | None]:
    spec = _reached(section)
    name = spec.name
    more: dict[str, Any] = {}
    secret: Place | None = None
    if "password" in section:
        secret = section.key_place("password")
        more["password"] = Secret(scalars.secret("password", section.need("password")))
        for key in ("sshKeyFile", "sshPassphrase"):
            if key in section:
                notes.append(f"{name}: {key} has no effect beside password")
    elif "sshKeyFile" in section or "sshPassphrase" in section:
        more["key"] = _key(section, base)
        if "sshPassphrase" in section:
            secret = section.key_place("sshPassphrase")
            more["password"] = Secret(
                scalars.secret("sshPassphrase", section.need("sshPassphrase"))
            )
    indices = section.get("gpuIndices")
    if indices is not None:
        more["gpus"] = scalars.indices("gpuIndices", indices, MOST_DEVICES)
    path = section.get("pythonPath")
    if path is not None:
        more["prelude"] = Prelude("python-path", _python_path(path))
    active = section.get("useActiveGpu")
    more["in_use"] = active is not None and scalars.flag("useActiveGpu", active)
    most = section.get("maxTrialNumberPerGpu")
    return (
        Machine(
            replace(spec, **more),
            1 if most is None else scalars.whole("maxTrialNumberPerGpu", most, 1, _MOST_TRIALS),
        ),
        secret,
    )


def _reached(section: Section) -> HostSpec:
    host = section.need("host")
    written = scalars.text("host", host)
    port, user = section.get("port"), section.get("user")
    number = None if port is None else scalars.whole("port", port, 1, 65535)
    if user is not None and not USER.fullmatch(scalars.text("user", user)):
        user.place.fail(f"not a user name: {scalars.text('user', user)!r}")
    bare = f"[{written}]" if ":" in written and not written.startswith("[") else written
    text = bare if number in (None, _SSH_PORT) else f"{bare}:{number}"
    try:
        specs = parse_names(text if number not in (None, _SSH_PORT) else written)
    except GenvxError as error:
        host.place.fail(f"host: {str(error).removeprefix('-H: ')}")
    if len(specs) != 1 or specs[0].user or (number is None and specs[0].port):
        host.place.fail("host is one name or address; user and port are keys of their own")
    return replace(specs[0], user=None if user is None else scalars.text("user", user), port=number)


def _key(section: Section, base: str) -> str:
    node = section.get("sshKeyFile")
    written = _DEFAULT_KEY if node is None else scalars.text("sshKeyFile", node)
    place = section.key_place("sshPassphrase") if node is None else node.place
    path = os.path.join(base, os.path.expanduser(written))
    # Now, not when the first host is dialled: then some trials would already run elsewhere.
    if not os.path.isfile(path):
        place.fail(f"sshKeyFile: there is no file {written}")
    if not os.access(path, os.R_OK):
        place.fail(f"sshKeyFile: {written} cannot be read")
    return path


def _python_path(node: Node) -> str:
    found = scalars.text("pythonPath", node)
    if ";" in found or "\\" in found or found[1:2] == ":":
        node.place.fail("pythonPath is a directory of Linux, such as /opt/python/bin")
    return found.rstrip("/") or "/"


__all__ = ["Service", "service"]
