"""What is read of a shelf: manifests, lists of files, and blobs, each checked when it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.projects.manifest import MOST_MANIFEST, WHOLE, Manifest, digest_of
from genvx.core.text import printable
from genvx.core.wire.plain import Malformed
from genvx.errors import CloudError, InvalidInput, ProtocolError, UnknownRun
from genvx.fleet.shelves import kept as keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from genvx.clouds.s3.bucket import Bucket, Listed, Object
    from genvx.core.projects.manifest import Entry
    from genvx.fleet.shelves.heads import Heads
    from genvx.fleet.shelves.kept import Kept


class Reading:
    """What is read of a shelf in a bucket. name: that of its remote."""

    def __init__(self, name: str, bucket: Bucket, heads: Heads) -> None:
        self.name = name
        self.bucket = bucket
        self._heads = heads

    @property
    def where(self) -> str:
        """Where it is, for people."""
        return "/".join(each for each in (f"s3://{self.bucket.name}", self.bucket.root) if each)

    def require_bucket(self) -> None:
        """Raise InvalidInput if the bucket is not there."""
        if not self.bucket.is_there():
            raise self._no_bucket()

    def _no_bucket(self) -> InvalidInput:
        return InvalidInput(
            f"there is no bucket {self.bucket.name}; genvx remotes start {self.name} makes it"
        )

    def _all(self) -> Sequence[tuple[str, Kept]]:
        """All runs. Only manifests are read that are not those of before."""
        before = self._heads.load()
        found: dict[str, tuple[str, bytes]] = {}
        changed: list[tuple[str, str]] = []
        for each in self._listed(keys.RUNS):
            name = keys.run_of_key(each.key)
            if name is None:
                continue
            if each.etag and before.get(name, ("", b""))[0] == each.etag:
                found[name] = before[name]
            else:
                changed.append((name, each.key))
        read = self.bucket.each(lambda each: self._get(each[1], keys.MOST_HEAD), changed)
        for (name, _), got in zip(changed, read, strict=True):
            if got is not None:
                found[name] = (got.etag, got.data)
        if changed or len(found) != len(before):
            self._heads.save(found)
        return [(name, keys.read_head(head, name)) for name, (_, head) in found.items()]

    def _kept(self, name: str) -> tuple[Kept, str]:
        """A run and the ETag of its manifest. Raises UnknownRun."""
        found = self._read(name) if keys.is_name(name) else None
        if found is None:
            raise UnknownRun(f"no run {printable(name, 60)!r} on {self.name}")
        return found

    def _read(self, name: str) -> tuple[Kept, str] | None:
        got = self._get(keys.key_of_run(name), keys.MOST_HEAD)
        return None if got is None else (keys.read_head(got.data, name), got.etag)

    def _named(self) -> set[str]:
        """The keys of the blobs that manifests name, also of runs in the trash."""
        found: set[str] = set()
        every = (kept for _, kept in self._all())
        for one in self.bucket.each(self._keys_of, every):
            found |= one
        return found

    def _keys_of(self, kept: Kept) -> set[str]:
        digests = {body.digest.hex() for body in self._manifest(kept).bodies()} | {kept.files}
        return {keys.key_of_blob(each, kept.again.get(each, "")) for each in digests}

    def _manifest(self, kept: Kept) -> Manifest:
        """The files of a run. Raises CloudError: they are not there; ProtocolError: it is bad."""
        try:
            return Manifest.read(self._blob(kept, kept.files, MOST_MANIFEST))
        except Malformed as error:
            raise ProtocolError(f"the files are refused: {printable(str(error), 300)}") from None

    def _bodies_of(self, kept: Kept, entry: Entry, last: int = 0) -> Iterator[bytes]:
        for digest in entry.digests[-last:]:
            yield self._blob(kept, digest.hex(), WHOLE)

    def _blob(self, kept: Kept, digest: str, most: int) -> bytes:
        got = self._get(keys.key_of_blob(digest, kept.again.get(digest, "")), most)
        if got is None:
            raise CloudError(
                f"a file of run {kept.run.label_or_id} is not on {self.name} any more: was the run "
                "purged?"
            )
        if digest_of(got.data).hex() != digest:
            raise ProtocolError(
                f"a file of run {kept.run.label_or_id} on {self.name} has another content than its "
                "hash says"
            )
        return got.data

    def _get(self, key: str, most: int) -> Object | None:
        try:
            return self.bucket.get(key, most)
        except CloudError as error:
            if error.code == "NoSuchBucket":
                raise self._no_bucket() from None
            raise

    def _listed(self, below: str) -> Iterator[Listed]:
        try:
            yield from self.bucket.keys(below)
        except CloudError as error:
            if error.code == "NoSuchBucket":
                raise self._no_bucket() from None
            raise
