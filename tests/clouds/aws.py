"""A pretend AWS: botocore's Stubber for what a server on loopback does not do."""

from __future__ import annotations

from botocore.stub import Stubber

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "none"}


def stubbed(service):
    """A Stubber of a service; it answers in place of AWS while it is entered."""
    return Stubber(service.client)
