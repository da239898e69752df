"""The services of AWS as calls that end in values, or in one line; the only door to botocore.

botocore is what boto3 is made of. boto3 itself would load as much again, for uses that are not
ours. Nothing of AWS is imported before the first service is opened.
"""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from genvx.clouds.aws import failures
from genvx.core.text import printable
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CONNECT_SECONDS = 10
_READ_SECONDS = 60
# The first try is one of them. Between the tries botocore waits for a random time of up to 20 s.
_TRIES = 4
# While a client is made: sessions of botocore, and the data that they share, are no place for
# threads.
_making = threading.Lock()


@dataclass(frozen=True)
class Account:
    """How AWS is reached; what is None is left to botocore: AWS_REGION, AWS_PROFILE, ~/.aws, SSO, a
    role of the machine.

    endpoint_url: a server in place of AWS's, for all services that are asked. keys: an access key,
    its secret and a token, in place of what botocore finds. certificates: a file with those of the
    server.
    """

    region: str | None = None
    profile: str | None = None
    endpoint_url: str | None = None
    keys: tuple[str, str, str] | None = field(default=None, repr=False)
    certificates: str | None = None

    def service(
        self,
        name: str,
        *,
        actions: Mapping[str, str] | None = None,
        tries: int = _TRIES,
        seconds: float = _READ_SECONDS,
        **config: Any,
    ) -> Service:
        """Open a service, such as "ec2"; nothing is asked yet.

        actions: the IAM action of an operation, where that is not SERVICE:OPERATION. tries: how
        often a request is sent that fails in a way that may pass. seconds: for an answer, each
        time. config: more of botocore's Config, such as s3.

        Raises:
            InvalidInput: botocore is not installed, or there is no such profile, or no region.
        """
        try:
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError
            from botocore.session import Session
        except ModuleNotFoundError:
            raise InvalidInput("AWS needs botocore: pip install 'genvx[aws]'") from None
        try:
            with _making:
                session = Session(profile=self.profile)
                path = session.get_config_variable("data_path")
                session.register_component("data_loader", _data_at(path))
                if self.keys is not None:
                    access, secret, token = self.keys
                    session.set_credentials(access, secret, token or None)
                client = session.create_client(
                    name,
                    region_name=self.region,
                    endpoint_url=self.endpoint_url,
                    verify=self.certificates,
                    config=Config(
                        connect_timeout=_CONNECT_SECONDS,
                        read_timeout=seconds,
                        retries={"mode": "standard", "total_max_attempts": tries},
                        user_agent_extra="genvx",
                        **config,
                    ),
                )
        # ValueError: an endpoint-url that is no URL.
        except (BotoCoreError, ValueError) as error:
            raise failures.translated(error, name, "", {}) from None
        return Service(name, client, actions or {})

    def identity(self) -> str:
        """Return the name by which AWS knows us: an ARN.

        Raises:
            InvalidInput: there are no credentials. CloudError: AWS refuses them, or is not there.
        """
        return printable(str(self.service("sts").call("get_caller_identity").get("Arn", "")), 256)


@functools.cache
def _data_at(path: str | None) -> Any:
    """The descriptions of services in a path, each read once: one for S3 takes 30 ms.

    path: directories of the user's own, which come first.
    """
    from botocore.loaders import create_loader

    return create_loader(path)


class Service:
    """A service of AWS. client: botocore's, for what `call` cannot do, such as streams; wrap such
    calls in `failing`.
    """

    def __init__(self, name: str, client: Any, actions: Mapping[str, str]) -> None:
        self.name = name
        self.client = client
        self._actions = actions

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call an operation by botocore's name, such as "run_instances"; return what it answers.

        Raises:
            InvalidInput: there are no credentials. CloudDenied: they do not allow this. CloudError:
            any other failure; `code` is AWS's word for it.
        """
        with self.failing(operation):
            found: dict[str, Any] = getattr(self.client, operation)(**parameters)
            return found

    def pages(self, operation: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Yield the answers of an operation that gives its results in pages. Raises as `call`."""
        with self.failing(operation):
            yield from self.client.get_paginator(operation).paginate(**parameters)

    def failing(self, operation: str) -> failures.Translating:
        """Return a context in which errors of botocore become errors of genvx."""
        return failures.Translating(self.name, operation, self._actions)
