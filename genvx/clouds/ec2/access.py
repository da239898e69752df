"""Who may connect to the machine of a remote: its key pair, and its security group."""

from __future__ import annotations

import hashlib
import ipaddress
from typing import TYPE_CHECKING, Any

from genvx.errors import CloudError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.clouds.ec2.cloud import Cloud
    from genvx.clouds.ec2.wanted import Wanted

CHECKIP = "https://checkip.amazonaws.com"
_SECONDS = 10


def key_pair(cloud: Cloud, line: str) -> str:
    """Have EC2 know a public key; return the name of the key pair."""
    # By the key: computers of one owner may have different keys.
    digest = hashlib.sha256(f"{cloud.owner}\n{' '.join(line.split()[:2])}".encode()).hexdigest()
    name = f"genvx-{cloud.remote}-{digest[:12]}"
    filters = [{"Name": "key-name", "Values": [name]}]
    if not cloud.service.call("describe_key_pairs", Filters=filters).get("KeyPairs"):
        try:
            cloud.service.call(
                "import_key_pair",
                KeyName=name,
                PublicKeyMaterial=line.encode(),
                TagSpecifications=cloud.tagged("key-pair"),
            )
        except CloudError as error:
            # Another start has made it at the same moment.
            if error.code != "InvalidKeyPair.Duplicate":
                raise
    return name


def group(cloud: Cloud, wanted: Wanted) -> str:
    """Return the id of the remote's own security group, which is made where it is missing."""
    network = _network(cloud, wanted)
    in_network = [{"Name": "vpc-id", "Values": [network]}]
    found = groups(cloud, in_network)
    if not found:
        digest = hashlib.sha256(cloud.owner.encode()).hexdigest()[:12]
        try:
            made = cloud.service.call(
                "create_security_group",
                GroupName=f"genvx-{cloud.remote}-{digest}",
                Description="SSH for a remote of genvx",
                VpcId=network,
                TagSpecifications=cloud.tagged("security-group"),
            )
            return str(made["GroupId"])
        except CloudError as error:
            if error.code != "InvalidGroup.Duplicate":
                raise
        found = groups(cloud, in_network)
        if not found:
            raise CloudError("AWS has a security group of this remote, and does not show it")
    return str(found[0]["GroupId"])


def groups(cloud: Cloud, more: Sequence[dict[str, Any]] = ()) -> list[dict[str, Any]]:
    """Return the security groups of a remote."""
    pages = cloud.service.pages("describe_security_groups", Filters=[*cloud.ours, *more])
    return [each for page in pages for each in page["SecurityGroups"]]


def _network(cloud: Cloud, wanted: Wanted) -> str:
    if wanted.subnet is not None:
        try:
            found = cloud.service.call("describe_subnets", SubnetIds=[wanted.subnet])["Subnets"]
        except CloudError as error:
            if error.code != "InvalidSubnetID.NotFound":
                raise
            found = []
        if not found:
            raise InvalidInput(f"no subnet {wanted.subnet} in {cloud.account.region}")
        return str(found[0]["VpcId"])
    filters = [{"Name": "is-default", "Values": ["true"]}]
    networks = cloud.service.call("describe_vpcs", Filters=filters)["Vpcs"]
    if not networks:
        raise InvalidInput(
            f"this account has no default network in {cloud.account.region}; write subnet: "
            "subnet-..."
        )
    return str(networks[0]["VpcId"])


def let_in(cloud: Cloud, group_id: str, cidrs: Sequence[str], port: int) -> None:
    """Have a security group of ours let in SSH from these networks, and nothing else."""
    (found,) = cloud.service.call("describe_security_groups", GroupIds=[group_id])["SecurityGroups"]
    wanted = {str(ipaddress.ip_network(each, strict=False)) for each in cidrs}
    there = set()
    for rule in found.get("IpPermissions", ()):
        mine = (
            rule.get("IpProtocol") == "tcp" and rule.get("FromPort") == rule.get("ToPort") == port
        )
        for kind, cidr in (("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6")):
            for each in rule.get(kind, ()):
                if mine and each[cidr] in wanted:
                    there.add(each[cidr])
                    continue
                # Where we were before, anybody may be now.
                _change(cloud, "revoke", group_id, {**_ports(rule), kind: [{cidr: each[cidr]}]})
    for each in sorted(wanted - there):
        kind, cidr = ("Ipv6Ranges", "CidrIpv6") if ":" in each else ("IpRanges", "CidrIp")
        rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, kind: [{cidr: each}]}
        _change(cloud, "authorize", group_id, rule)


def _ports(rule: dict[str, Any]) -> dict[str, Any]:
    return {key: rule[key] for key in ("IpProtocol", "FromPort", "ToPort") if key in rule}


def _change(cloud: Cloud, what: str, group_id: str, rule: dict[str, Any]) -> None:
    try:
        cloud.service.call(f"{what}_security_group_ingress", GroupId=group_id, IpPermissions=[rule])
    except CloudError as error:
        # Another start has done the same at the same moment.
        if error.code not in ("InvalidPermission.Duplicate", "InvalidPermission.NotFound"):
            raise


def our_address(url: str) -> str:
    """Return the network that is this computer alone, as the internet sees it: an address and /32.

    url: what answers with the address.

    Raises:
        InvalidInput: it cannot be known; the message says what to write.
    """
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:
            text = answer.read(100).decode("ascii").strip()
        return str(ipaddress.ip_network(ipaddress.ip_address(text)))
    # OSError: no way there, or no answer. ValueError: what answers is no address.
    except (OSError, ValueError):
        raise InvalidInput(
            f"the address from which you will connect is not known ({url} does not say it); write "
            "it as ssh-cidr: 203.0.113.7/32"
        ) from None


def remove(cloud: Cloud) -> list[str]:
    """Delete the key pairs and security groups of a remote; return their names.

    Raises:
        CloudError: one is still used, with the code DependencyViolation.
    """
    gone = []
    for pair in cloud.service.call("describe_key_pairs", Filters=cloud.ours)["KeyPairs"]:
        cloud.service.call("delete_key_pair", KeyName=pair["KeyName"])
        gone.append(str(pair["KeyName"]))
    for each in groups(cloud):
        try:
            cloud.service.call("delete_security_group", GroupId=each["GroupId"])
        except CloudError as error:
            if error.code != "InvalidGroup.NotFound":
                raise
        gone.append(str(each["GroupId"]))
    return gone
