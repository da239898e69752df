"""The machine of a remote in EC2: found by its tags, started once, stopped and ended.

What is known of it is in the cloud alone, so any computer of its owner finds it.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

from genvx.clouds.ec2 import wanted as values
from genvx.clouds.ec2.wanted import Machine, first_of, usual_user
from genvx.core.text import printable
from genvx.errors import CloudError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genvx.clouds.aws.account import Account
    from genvx.clouds.ec2.wanted import Wanted

# More would be machines that somebody ends by hand again and again.
_MOST_ENDED = 20
# Seconds in which another start notices that there are two, and EC2 knows what it has made.
_LOOKS = 5
_NOT_KNOWN_YET = ("InvalidGroup.NotFound", "InvalidKeyPair.NotFound")


class Cloud:
    """Cloud holds what EC2 knows of one remote of ours."""

    def __init__(self, account: Account, remote: str) -> None:
        self.account = account
        self.remote = remote
        self.service = account.service("ec2")
        self._owner = ""

    @property
    def owner(self) -> str:
        """Who we are to AWS; asked once."""
        if not self._owner:
            self._owner = self.account.identity()
        return self._owner

    @property
    def ours(self) -> list[dict[str, Any]]:
        """The filter that finds what belongs to this remote of ours."""
        pairs = ((values.REMOTE, self.remote), (values.OWNER, self.owner))
        return [{"Name": f"tag:{key}", "Values": [value]} for key, value in pairs]

    def tagged(self, *kinds: str, more: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Return the tags of new things of these kinds: with them nothing is ever orphaned."""
        tags = {
            **(more or {}),
            "Name": f"genvx {self.remote}",
            values.REMOTE: self.remote,
            values.OWNER: self.owner,
        }
        pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
        return [{"ResourceType": kind, "Tags": pairs} for kind in kinds]

    def machines(self) -> list[Machine]:
        """Return the machines of this remote that are there, and not ending."""
        states = {"Name": "instance-state-name", "Values": list(values.LIVE)}
        pages = self.service.pages("describe_instances", Filters=[*self.ours, states])
        return [
            Machine.of(instance)
            for page in pages
            for reservation in page.get("Reservations", ())
            for instance in reservation.get("Instances", ())
        ]

    def machine(self) -> Machine | None:
        """Return the machine of this remote; None if there is none."""
        return first_of(self.machines())

    def look(self, instance: str) -> Machine:
        """Return how a machine is now.

        Raises:
            CloudError: it is not there, or not yet: a new one may be unknown for some seconds.
        """
        found = self.service.call("describe_instances", InstanceIds=[instance])
        for reservation in found.get("Reservations", ()):
            for each in reservation.get("Instances", ()):
                return Machine.of(each)
        raise CloudError(f"AWS does not know {instance}", code="InvalidInstanceID.NotFound")

    def launch(self, wanted: Wanted, key: str, groups: Sequence[str]) -> Machine:
        """Start the one machine of this remote, or return the one that another start has made.

        key: the name of a key pair. groups: ids of security groups.

        Raises:
            CloudError: it cannot be had.
        """
        asked = self._asked(wanted, key, groups)
        for number in range(_MOST_ENDED):
            # The same for everybody who starts this: EC2 makes one machine for a token, and gives
            # the others that one. It remembers the token when the machine has ended; then everybody
            # goes on to the next one.
            token = hashlib.sha256(json.dumps([number, asked], sort_keys=True).encode())
            try:
                mine = self._run(asked, token.hexdigest())
            except CloudError as error:
                if error.code == "IdempotentInstanceTerminated":
                    continue
                raise _explained(error, wanted, self.account.region) from None
            if mine.live:
                return self._only(mine)
        raise CloudError(
            f"EC2 remembers {_MOST_ENDED} machines of this remote that have ended; try again in an "
            "hour"
        )

    def _run(self, asked: dict[str, Any], token: str) -> Machine:
        left = _LOOKS
        while True:
            try:
                found = self.service.call("run_instances", ClientToken=token, **asked)
                return Machine.of(found["Instances"][0])
            except CloudError as error:
                # What was made a moment ago is not known everywhere in EC2 yet.
                if error.code not in _NOT_KNOWN_YET or not left:
                    raise
            left -= 1
            time.sleep(1.0)

    def _only(self, mine: Machine) -> Machine:
        """Keep one machine where two starts differed, and so had two tokens."""
        for left in range(_LOOKS, -1, -1):
            others = [each for each in self.machines() if each.id != mine.id]
            if not others:
                return mine
            # The one that comes first is kept, whoever looks; its start waits until the other one
            # has ended its own. That one may have looked before ours was there, and keep it.
            if left and first_of([mine, *others]) is mine:
                time.sleep(1.0)
                continue
            self.end([mine])
            return first_of(others) or mine
        return mine

    def _asked(self, wanted: Wanted, key: str, groups: Sequence[str]) -> dict[str, Any]:
        image = self._image(wanted)
        user = usual_user(f"{image.get('Name', '')} {image.get('Description', '')}")
        root = str(image.get("RootDeviceName") or "/dev/sda1")
        disk: dict[str, Any] = {"VolumeType": "gp3", "DeleteOnTermination": True}
        least = _size_of(image, root)
        if wanted.disk is not None and wanted.disk < least:
            raise InvalidInput(f"{wanted.image} needs {least} GiB; root-device-size has less")
        if wanted.disk or least:
            disk["VolumeSize"] = wanted.disk or least
        tags = {**(wanted.tags or {}), values.CONFIG: wanted.digest}
        if user is not None:
            tags[values.USER] = user
        kinds = ["instance", "volume", "network-interface"]
        asked: dict[str, Any] = {
            "ImageId": wanted.image,
            "InstanceType": wanted.type,
            "MinCount": 1,
            "MaxCount": 1,
            "KeyName": key,
            # Stopped, not ended, when the machine shuts itself down: the disk is kept.
            "InstanceInitiatedShutdownBehavior": "stop",
            # IMDSv2: what runs there and is tricked into a request finds no credentials.
            "MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled"},
            "BlockDeviceMappings": [{"DeviceName": root, "Ebs": disk}],
        }
        if wanted.spot:
            kinds.append("spot-instances-request")
            # The only kind of spot instance that can be stopped.
            options = {"SpotInstanceType": "persistent", "InstanceInterruptionBehavior": "stop"}
            asked["InstanceMarketOptions"] = {"MarketType": "spot", "SpotOptions": options}
        if wanted.idle is not None:
            asked["UserData"] = dead_man(wanted.idle + wanted.first)
        if wanted.subnet is None:
            asked["SecurityGroupIds"] = list(groups)
        else:
            asked["NetworkInterfaces"] = [
                {
                    "DeviceIndex": 0,
                    "SubnetId": wanted.subnet,
                    "Groups": list(groups),
                    "AssociatePublicIpAddress": wanted.public,
                }
            ]
        asked["TagSpecifications"] = self.tagged(*kinds, more=tags)
        return asked

    def _image(self, wanted: Wanted) -> dict[str, Any]:
        try:
            found = self.service.call("describe_images", ImageIds=[wanted.image])["Images"]
        except CloudError as error:
            raise _explained(error, wanted, self.account.region) from None
        if not found:
            raise InvalidInput(f"no image {wanted.image} in {self.account.region}; ami names one")
        image: dict[str, Any] = found[0]
        return image

    def start(self, machine: Machine) -> None:
        """Start a machine that is stopped. Raises CloudError if it cannot be had."""
        self.service.call("start_instances", InstanceIds=[machine.id])

    def stop(self, machine: Machine) -> None:
        """Stop a machine; its disk is kept."""
        self.service.call("stop_instances", InstanceIds=[machine.id])

    def end(self, machines: Sequence[Machine]) -> None:
        """End machines, and delete their disks."""
        spots = [each.id for each in machines if each.spot]
        if spots:
            # Before the machines: their requests would start them again.
            filters = [{"Name": "instance-id", "Values": spots}]
            answer = self.service.call("describe_spot_instance_requests", Filters=filters)
            ids = [each["SpotInstanceRequestId"] for each in answer["SpotInstanceRequests"]]
            if ids:
                self.service.call("cancel_spot_instance_requests", SpotInstanceRequestIds=ids)
        self.service.call("terminate_instances", InstanceIds=[each.id for each in machines])

    def console(self, machine: Machine) -> str:
        """Return what a machine has printed on its console so far; empty if nothing is there."""
        for latest in (True, False):
            try:
                more = {"Latest": True} if latest else {}
                answer = self.service.call("get_console_output", InstanceId=machine.id, **more)
                return str(answer.get("Output") or "")
            except CloudError as error:
                # Older kinds of instances have no newer output than the last that was kept.
                if not latest or error.code not in ("UnsupportedOperation", "InvalidParameter"):
                    raise
        return ""


def _size_of(image: dict[str, Any], root: str) -> int:
    """Return the GiB of the root disk of an image; 0 if they are not known."""
    for mapping in image.get("BlockDeviceMappings", ()):
        if mapping.get("DeviceName") == root:
            return int(mapping.get("Ebs", {}).get("VolumeSize") or 0)
    return 0


def dead_man(seconds: float) -> str:
    """Return what a new machine runs once as root: it stops unless somebody takes over in time.

    A client that is killed before it has set up the watch for idleness leaves no machine behind
    that runs for ever.
    """
    return f"#!/bin/sh\nshutdown -P +{max(1, round(seconds / 60))}\n"


def _explained(error: CloudError, wanted: Wanted, region: str | None) -> CloudError:
    """Return an error of a start with what to do about it."""
    where = printable(region or "this region", 60)
    advice = {
        "InsufficientInstanceCapacity": (
            f"EC2 has no {wanted.type} left in {where} now; try again later, or another "
            "instance-type, region or subnet"
        ),
        "SpotMaxPriceTooLow": f"EC2 has no {wanted.type} as a spot instance now; write spot: no",
        "MaxSpotInstanceCountExceeded": "this account may have no more spot instances",
        "VcpuLimitExceeded": (
            f"this account may not have a {wanted.type} in {where}: its quota of vCPUs is used up; "
            "Service Quotas in AWS's console raises it"
        ),
        "Unsupported": f"EC2 has no {wanted.type} there; another subnet or region may have it",
        "InvalidInstanceType": f"EC2 has no instance-type {wanted.type}",
        "InvalidAMIID.NotFound": f"no image {wanted.image} in {where}; ami names one",
        "InvalidAMIID.Malformed": f"{wanted.image} is no name of an image; ami names one",
        "InvalidSubnetID.NotFound": f"no subnet {wanted.subnet} in {where}",
        "VPCIdNotSpecified": f"{where} has no default network; write subnet: subnet-...",
        "InvalidBlockDeviceMapping": (
            f"{error}; root-device-size must be at least that of the image"
        ),
    }.get(error.code)
    return error if advice is None else type(error)(f"{advice} ({error.code})", code=error.code)
