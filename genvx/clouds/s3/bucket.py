"""A bucket, and what is below one root in it. Whether its store keeps conditions is found out once.

A store that is not AWS's may ignore If-Match and If-None-Match, and answer as if all were well.
"""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from genvx.errors import CloudError

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Iterable, Iterator

    from genvx.clouds.aws.account import Account

    T = TypeVar("T")
    U = TypeVar("U")

AT_ONCE = 16
_ACTIONS = {
    "head_bucket": "s3:ListBucket",
    "list_objects_v2": "s3:ListBucket",
    "head_object": "s3:GetObject",
}
# Somebody else was there first: 412, 409 of two at the same time, and 404 where what is to be
# replaced is gone.
_TAKEN = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
_GONE = {"NoSuchKey", "404"}
_NO_BUCKET = {"NoSuchBucket", "404"}
_UNKNOWN = {"NotImplemented", "501"}


class Taken(Exception):
    """Somebody else has written or deleted the object meanwhile."""


class Object(NamedTuple):
    """An object. etag: changes when it does."""

    data: bytes
    etag: str


class Listed(NamedTuple):
    """An object in a list. key: counted from the root."""

    key: str
    etag: str
    size: int
    modified: datetime.datetime | None


@dataclass(frozen=True)
class How:
    """How a bucket is asked. checksum: when_required, for stores that know no others. sse: a word
    for the encryption there, or aws:kms:KEY.
    """

    path_style: bool = False
    checksum: str = ""
    sse: str = ""


class Bucket:
    """What is below a root of a bucket. Several threads may use it at once.

    conditional: whether conditions are sent; set to False for a store that ignores them.
    """

    def __init__(self, account: Account, name: str, root: str, how: How) -> None:
        more: dict[str, Any] = {"max_pool_connections": AT_ONCE}
        if how.path_style:
            more["s3"] = {"addressing_style": "path"}
        if how.checksum:
            more["request_checksum_calculation"] = how.checksum
            more["response_checksum_validation"] = how.checksum
        self._service = account.service("s3", actions=_ACTIONS, **more)
        self.name = name
        self.root = root.strip("/")
        self.region = account.region
        self.conditional = True
        self._prefix = f"{self.root}/" if self.root else ""
        self._encrypted: dict[str, str] = {}
        if how.sse:
            kind, _, key = how.sse.partition("aws:kms:")
            self._encrypted["ServerSideEncryption"] = kind or "aws:kms"
            if key:
                self._encrypted["SSEKMSKeyId"] = key

    # Objects

    def get(self, key: str, most: int) -> Object | None:
        """Read an object; None if there is none.

        Raises:
            CloudError: as Service.call; it has more than so many bytes.
        """
        try:
            with self._service.failing("get_object"):
                answer = self._service.client.get_object(**self._at(key))
                with answer["Body"] as body:
                    data: bytes = body.read(most + 1)
        except CloudError as error:
            if error.code in _GONE:
                return None
            raise
        except OSError as error:
            raise CloudError(f"what comes of {key} ends early: {error}") from None
        if len(data) > most:
            raise CloudError(f"{self._prefix}{key} is larger than it can be")
        return Object(data, str(answer.get("ETag", "")))

    def has(self, key: str) -> int | None:
        """The size of an object; None if there is none."""
        try:
            return int(self._service.call("head_object", **self._at(key))["ContentLength"])
        except CloudError as error:
            if error.code in _GONE:
                return None
            raise

    def put(self, key: str, data: bytes, *, new: bool = False, etag: str = "") -> None:
        """Write an object; new: only if there is none; etag: only if it is still that one.

        Raises:
            Taken: it is not so. CloudError: as Service.call.
        """
        conditions = {}
        if self.conditional:
            conditions = {"IfNoneMatch": "*"} if new else {"IfMatch": etag} if etag else {}
        self._call("put_object", key, conditions, Body=data, **self._encrypted)

    def delete(self, key: str, *, etag: str = "") -> None:
        """Delete an object, if it is there; etag: only if it is still that one. Raises as `put`."""
        conditions = {"IfMatch": etag} if etag and self.conditional else {}
        self._call("delete_object", key, conditions)

    def keys(self, below: str = "") -> Iterator[Listed]:
        """List the objects whose keys begin so."""
        yield from self._listed(self._prefix + below, len(self._prefix))

    def each(self, act: Callable[[U], T], items: Iterable[U]) -> Iterator[T]:
        """Do something with each item, several at once; yield the results in their order."""
        waiting = iter(items)
        first = list(itertools.islice(waiting, 2))
        if len(first) < 2:
            yield from map(act, first)
            return
        with ThreadPoolExecutor(AT_ONCE) as pool:
            # A window: results may be large, and items may be made only as they are taken.
            running = [pool.submit(act, item) for item in first]
            running += [pool.submit(act, item) for item in itertools.islice(waiting, AT_ONCE - 2)]
            try:
                while running:
                    yield running.pop(0).result()
                    running += [pool.submit(act, item) for item in itertools.islice(waiting, 1)]
            finally:
                for each in running:
                    each.cancel()

    def keeps_conditions(self, key: str) -> bool:
        """Whether the store keeps conditions: an object is written twice, as a new one.

        key: of the object; what is random is put behind it.
        """
        key = f"{key}{os.urandom(8).hex()}"
        self.conditional = True
        try:
            self.put(key, b"", new=True)
            self.put(key, b"", new=True)
        except Taken:
            return True
        finally:
            self.delete(key)
        self.conditional = False
        return False

    # The bucket itself

    def is_there(self) -> bool:
        """Whether there is such a bucket, and we may list it."""
        try:
            self._service.call("head_bucket", Bucket=self.name)
        except CloudError as error:
            if error.code in _NO_BUCKET:
                return False
            raise
        return True

    def create(self) -> None:
        """Make the bucket; one of ours that is there already is left as it is."""
        more = {}
        region = self.region or self._service.client.meta.region_name
        # The only one that is not named.
        if region not in (None, "us-east-1", "aws-global"):
            more["CreateBucketConfiguration"] = {"LocationConstraint": region}
        try:
            self._service.call("create_bucket", Bucket=self.name, **more)
        except CloudError as error:
            if error.code == "BucketAlreadyExists":
                raise CloudError(
                    f"the bucket {self.name} is somebody else's; choose another name",
                    code=error.code,
                ) from None
            if error.code != "BucketAlreadyOwnedByYou":
                raise

    def everything(self) -> Iterator[Listed]:
        """List all that is in the bucket, also outside of the root; keys are whole."""
        yield from self._listed("", 0)

    def remove(self, keys: Iterable[str]) -> None:
        """Delete these objects, whose keys are whole, and then the bucket."""

        def delete(key: str) -> None:
            self._service.call("delete_object", Bucket=self.name, Key=key)

        for _ in self.each(delete, keys):
            pass
        self._service.call("delete_bucket", Bucket=self.name)

    def _listed(self, prefix: str, cut: int) -> Iterator[Listed]:
        for page in self._service.pages("list_objects_v2", Bucket=self.name, Prefix=prefix):
            for each in page.get("Contents", ()):
                key, etag = str(each["Key"]), str(each.get("ETag", ""))
                size = int(each.get("Size", 0))
                yield Listed(key[cut:], etag, size, each.get("LastModified"))

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self.name, "Key": self._prefix + key}

    def _call(self, operation: str, key: str, conditions: dict[str, str], **more: Any) -> None:
        try:
            self._service.call(operation, **self._at(key), **conditions, **more)
        except CloudError as error:
            if conditions and (
                error.code in _TAKEN or ("IfMatch" in conditions and error.code in _GONE)
            ):
                raise Taken from None
            if conditions and error.code in _UNKNOWN:
                self.conditional = False
                self._call(operation, key, {}, **more)
                return
            raise
