"""A remote whose machine is rented: what is asked of the cloud, and where the machine is now."""

from __future__ import annotations

import base64
import os
import re
from typing import TYPE_CHECKING, NoReturn

import paramiko

from genvx.clouds.aws.account import Account
from genvx.clouds.ec2.cloud import Cloud
from genvx.clouds.ec2.wanted import ADDRESSES, USER, Wanted
from genvx.core.publickey import parse_key
from genvx.core.quantities.durations import parse_duration
from genvx.core.text import printable
from genvx.errors import CloudError, GenvxError, InvalidInput, NotRunning
from genvx.fleet.hosts import hostnames
from genvx.fleet.hosts.hostspec import HostSpec
from genvx.fleet.remotes import keys
from genvx.fleet.remotes.yamltext import Pairs, Text
from genvx.ssh.credentials.publickey import public_blob

if TYPE_CHECKING:
    from genvx.clouds.ec2.wanted import Machine
    from genvx.fleet.remotes.remote import Remote

# Guild counts minutes. Drivers take long to install.
INIT_SECONDS = 1800
# Those that EC2 takes, in the order of ssh.
_USUAL_KEYS = ("~/.ssh/id_ed25519.pub", "~/.ssh/id_rsa.pub")
_KINDS = ("ssh-ed25519", "ssh-rsa")
_LINE = re.compile(r"(?:ssh|ecdsa|sk)-\S+ \S+")


def cloud_of(remote: Remote) -> Cloud:
    """Return the cloud in which the machine of a remote is; nothing is asked yet.

    Raises:
        InvalidInput: botocore is not installed, or a profile or region makes no sense.
    """
    region, profile, endpoint = (
        remote.text(key) or None for key in ("region", "profile", "endpoint-url")
    )
    return Cloud(Account(region, profile, endpoint), remote.name)


def running(remote: Remote) -> HostSpec:
    """Ask the cloud where the machine of a remote is.

    Raises:
        NotRunning: it does not run. CloudError: the cloud does not say it.
    """
    try:
        machine = cloud_of(remote).machine()
    except CloudError as error:
        raise type(error)(f"remote {remote.name}: {error}", code=error.code) from None
    return place_of(remote, machine)


def place_of(remote: Remote, machine: Machine | None) -> HostSpec:
    """Return where a machine is; raise NotRunning if it does not run."""
    start = f"genvx remotes start {remote.name}"
    if machine is None:
        raise NotRunning(f"remote {remote.name} is not started; start it: {start}")
    if machine.state != "running":
        state = "starting" if machine.state == "pending" else machine.state
        raise NotRunning(f"remote {remote.name} is {state}; start it: {start}")
    kind = remote.text("address") or ADDRESSES[0]
    address = machine.addresses.get(kind)
    if kind == ADDRESSES[0]:
        # A network may give out no names.
        address = address or machine.addresses.get("public-ip")
    if not address:
        raise InvalidInput(
            f"{machine.id} of remote {remote.name} has no {kind} address; write address: "
            "private-ip, or a subnet that gives public addresses"
        )
    # It comes from outside, and becomes a word for ssh.
    (spec,) = hostnames.parse_names(address, f"the address of {machine.id}")
    user = machine.tags.get(USER)
    if user is not None and not hostnames.USER.fullmatch(user):
        user = None
    return HostSpec(remote.name, spec.address, user=user, host_key_alias=machine.id)


def wanted_of(remote: Remote) -> Wanted:
    """Return what is wanted of the cloud for a remote.

    Raises:
        InvalidInput: there is no public key that it could let in.
    """

    def many(key: str) -> tuple[str, ...]:
        found = remote.written.get(key)
        return () if found is None else keys.texts_of(key, found.node)

    size, idle = remote.text("root-device-size"), remote.text("idle-stop")
    tags = remote.written.get("tags")
    pairs = tags.node.pairs if tags is not None and isinstance(tags.node, Pairs) else ()
    return Wanted(
        image=remote.text("ami"),
        type=remote.text("instance-type"),
        public_key=_public_key(remote),
        disk=int(size) if size else None,
        spot=keys.is_yes(remote.text("spot")),
        subnet=remote.text("subnet") or None,
        groups=many("security-group"),
        cidrs=many("ssh-cidr"),
        port=int(remote.text("port") or 22),
        address=remote.text("address") or ADDRESSES[0],
        tags={name.value: value.value for name, value in pairs if isinstance(value, Text)},
        idle=parse_duration(idle) if idle else None,
        first=float(init_seconds(remote)),
    )


def init_seconds(remote: Remote) -> int:
    """Return the seconds that the init of a remote may take."""
    return int(remote.text("init-timeout") or INIT_SECONDS)


def _public_key(remote: Remote) -> str:
    """Return the line of the public key that the machine lets in.

    Raises:
        InvalidInput: there is none, or EC2 does not take it.
    """
    written = remote.text("public-key")
    if _LINE.match(written):
        return _checked(written, "public-key")
    if written:
        return _read(remote.path("public-key"))
    if "private-key" in remote.written:
        return _half(remote.path("private-key"))
    for usual in _USUAL_KEYS:
        path = os.path.expanduser(usual)
        if os.path.isfile(path):
            return _read(path)
    raise InvalidInput(
        "there is no SSH key that the machine could let in: make one with ssh-keygen -t ed25519, "
        "or write private-key: PATH"
    )


def _read(path: str) -> str:
    shown = printable(path, 200)
    try:
        with open(path, "rb") as file:
            text = file.read(16384).decode("utf-8", "replace").strip()
    except OSError as error:
        raise InvalidInput(f"cannot read the public key {shown}: {error.strerror}") from None
    return _checked(text, shown)


def _half(path: str) -> str:
    """Return the public half of a private key."""
    if os.path.isfile(f"{path}.pub"):
        return _read(f"{path}.pub")
    shown = printable(path, 200)
    if not os.path.isfile(path):
        raise InvalidInput(f"private-key: there is no file {shown}")
    blob = public_blob(path)
    if blob is None:
        try:
            # What AWS's console makes is in this older form.
            blob = paramiko.RSAKey.from_private_key_file(path).asbytes()
        except (paramiko.SSHException, OSError, ValueError):
            raise InvalidInput(
                f"the public half of {shown} cannot be read; make it with ssh-keygen -y -f "
                f"{shown} > {shown}.pub"
            ) from None
    kind = blob[4 : 4 + int.from_bytes(blob[:4], "big")].decode("ascii", "replace")
    return _checked(f"{kind} {base64.b64encode(blob).decode('ascii')}", shown)


def _checked(line: str, where: str) -> str:
    try:
        key = parse_key(line)
    except GenvxError as error:
        raise InvalidInput(f"{where}: {error}") from None
    if not line.startswith(_KINDS):
        _no_such_kind(where)
    return key.bare


def _no_such_kind(where: str) -> NoReturn:
    raise InvalidInput(f"{where}: EC2 takes keys of the kinds ed25519 and rsa only")
