"""A pretend AWS: a server on loopback, and botocore's Stubber for what that does not do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import boto3
from botocore.stub import Stubber

from torture.pretendcloud import IMAGE, control

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "none"}
REGION = "us-east-2"


def stubbed(service):
    """A Stubber of a service; it answers in place of AWS while it is entered."""
    return Stubber(service.client)


@dataclass(frozen=True)
class Pretended:
    """A cloud on loopback; torture/pretendcloud.py says what its directory is for."""

    url: str
    directory: Path

    def client(self, service="ec2"):
        return boto3.client(service, region_name=REGION, endpoint_url=self.url)

    def control(self, **values) -> None:
        control(self.directory, **values)

    def log(self) -> list[str]:
        try:
            return (self.directory / "log").read_text().split()
        except FileNotFoundError:
            return []

    def instances(self, *states) -> list[dict]:
        found = self.client().describe_instances()["Reservations"]
        every = [each for reservation in found for each in reservation["Instances"]]
        return [each for each in every if not states or each["State"]["Name"] in states]

    def live(self) -> list[dict]:
        return self.instances("pending", "running", "stopping", "stopped")

    def remote(self, name="v100", **more) -> str:
        """The lines of a remote in this cloud."""
        keys = {
            "type": "ec2",
            "region": REGION,
            "ami": IMAGE,
            "instance-type": "g5.12xlarge",
            "ssh-cidr": "127.0.0.1/32",
            "endpoint-url": self.url,
            **{key.replace("_", "-"): value for key, value in more.items()},
        }
        lines = [f"    {key}: {value}\n" for key, value in keys.items() if value is not None]
        return f"  {name}:\n{''.join(lines)}"
