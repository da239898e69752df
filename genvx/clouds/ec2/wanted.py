"""What is wanted of EC2 for a remote, and what is there."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genvx.core.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

REMOTE, OWNER, CONFIG, USER = "genvx:remote", "genvx:owner", "genvx:config", "genvx:user"
# What is there and is not ending, in the order in which it is taken for the machine of a remote.
LIVE = ("running", "pending", "stopping", "stopped")
ADDRESSES = ("public-dns", "public-ip", "private-ip")


@dataclass(frozen=True)
class Wanted:
    """A machine as remotes.yml describes it.

    public_key: the line of a public key that may log in. disk: GiB; None for the size of the image.
    groups: security groups; none has one made. cidrs: networks that may connect; none stands for
    our own address. idle: seconds without a lease after which it stops itself; None for never.
    first: seconds that it may take until somebody watches for that.
    """

    image: str
    type: str
    public_key: str
    disk: int | None = None
    spot: bool = False
    subnet: str | None = None
    groups: tuple[str, ...] = ()
    cidrs: tuple[str, ...] = ()
    port: int = 22
    address: str = ADDRESSES[0]
    tags: Mapping[str, str] | None = None
    idle: float | None = None
    first: float = 0.0

    @property
    def public(self) -> bool:
        """Whether it has an address that everybody can reach."""
        return self.address != "private-ip"

    @property
    def digest(self) -> str:
        """What it was made from, in few characters: another one would need a new machine."""
        parts = [self.image, self.type, self.disk, self.spot, self.subnet, *self.groups]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Machine:
    """An instance. state: EC2's word. launched: when it was last started. reason: why it ended."""

    id: str
    state: str
    type: str
    image: str
    launched: datetime | None
    addresses: Mapping[str, str]
    tags: Mapping[str, str]
    spot: bool = False
    zone: str = ""
    reason: str = ""

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Machine:
        """Return the machine that an answer of EC2 describes."""
        texts = {key: _text(found.get(key)) for key in _TEXTS}
        reason = found.get("StateReason") or {}
        return cls(
            texts["InstanceId"],
            _text((found.get("State") or {}).get("Name")),
            texts["InstanceType"],
            texts["ImageId"],
            found.get("LaunchTime"),
            {
                "public-dns": texts["PublicDnsName"],
                "public-ip": texts["PublicIpAddress"],
                "private-ip": texts["PrivateIpAddress"],
            },
            {_text(tag.get("Key")): _text(tag.get("Value")) for tag in found.get("Tags") or ()},
            spot=found.get("InstanceLifecycle") == "spot",
            zone=_text((found.get("Placement") or {}).get("AvailabilityZone")),
            reason=_text(reason.get("Message")) or _text(reason.get("Code")),
        )

    @property
    def live(self) -> bool:
        """Whether it is there, and not ending."""
        return self.state in LIVE


_TEXTS = (
    *("InstanceId", "InstanceType", "ImageId"),
    *("PublicDnsName", "PublicIpAddress", "PrivateIpAddress"),
)


def _text(value: object) -> str:
    return printable(str(value or ""), 256)


def first_of(machines: list[Machine]) -> Machine | None:
    """Return the one that counts where several are live: everybody takes the same."""
    live = [each for each in machines if each.live]
    return min(live, key=lambda m: (str(m.launched), m.id), default=None)


def usual_user(image: str) -> str | None:
    """Return the user of an image that is named so; None if the name does not say it."""
    text = image.lower()
    for word, user in (
        ("ubuntu", "ubuntu"),
        ("debian", "admin"),
        ("amzn", "ec2-user"),
        ("al2023", "ec2-user"),
        ("amazon linux", "ec2-user"),
        ("rhel", "ec2-user"),
    ):
        if word in text:
            return user
    return None
