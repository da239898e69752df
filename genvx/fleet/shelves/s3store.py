"""A shelf in a bucket: see kept.py for its keys, and sweeping.py for how blobs are deleted."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

from genvx.clouds.s3.bucket import Taken
from genvx.core.projects.manifest import WHOLE, Manifest, digest_of
from genvx.core.runs.run import require_tags
from genvx.core.text import printable, require_name
from genvx.core.value import replace
from genvx.core.wire.plain import Malformed
from genvx.core.wire.runoperations import RunDetails
from genvx.core.wire.treeoperations import Pulling
from genvx.errors import CloudError, InvalidInput, ProtocolError, UnknownRun
from genvx.fleet.shelves import kept as keys
from genvx.fleet.shelves.heads import Heads
from genvx.fleet.shelves.kept import Kept
from genvx.fleet.shelves.reading import Reading
from genvx.fleet.shelves.selecting import LOG, OTHERS, known, selected
from genvx.fleet.shelves.store import Put
from genvx.fleet.shelves.sweeping import Intent, doomed, sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from genvx.clouds.s3.bucket import Bucket
    from genvx.core.projects.manifest import Body
    from genvx.core.projects.plan import Landed
    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.wire.runoperations import ShowRun
    from genvx.core.wire.treeoperations import PullRun
    from genvx.fleet.shelves.store import Content
    from genvx.fleet.shipping.fetching import Choose, Target
    from genvx.fleet.shipping.shipment import Sent

# With more blobs than these, a list of all is asked for.
_ASKED_EACH = 200
# How often something is tried again that somebody else has changed meanwhile.
_TRIES = 5
_MOST_TAIL = 64 << 10
_MOST_ABOUT = 64 << 10


class S3Store(Reading):
    """A shelf in a bucket. name: that of its remote. tell: called with a line about the store."""

    def __init__(
        self,
        name: str,
        bucket: Bucket,
        environ: Mapping[str, str],
        *,
        place: str,
        tell: Callable[[str], object] = lambda line: None,
    ) -> None:
        super().__init__(name, bucket, Heads(environ, place))
        self._tell = tell
        self._host = os.uname().nodename
        self._looked = False

    def close(self) -> None:
        """Nothing is open."""

    # Looking

    def list(self, *, deleted: bool = False) -> Sequence[RunInfo]:
        """Return the runs; see Store.list."""
        return [kept.shown for _, kept in self._all() if kept.deleted is deleted]

    def count(self) -> int:
        """How many runs there are, with those in the trash; no manifest is read."""
        return sum(keys.run_of_key(each.key) is not None for each in self._listed(keys.RUNS))

    def info(self, asked: ShowRun) -> RunDetails:
        """Return a run and the end of its log; see Store.info."""
        kept, _ = self._kept(asked.run)
        directory = f"{self.where}/{keys.RUNS}{asked.run}"
        tail, diff = b"", b""
        if asked.lines or asked.diff:
            files = {entry.name: entry for entry in self._manifest(kept).entries}
            if asked.diff and OTHERS[1] in files:
                diff = b"".join(self._bodies_of(kept, files[OTHERS[1]]))
            if asked.lines and LOG in files:
                tail = b"".join(self._bodies_of(kept, files[LOG], last=2))[-_MOST_TAIL:]
                tail = b"".join(tail.splitlines(keepends=True)[-asked.lines :])
        return RunDetails(kept.shown, directory, tail.decode("utf-8", "replace"), diff=diff)

    def get(
        self,
        asked: PullRun,
        target: Target,
        got: Sent = lambda done, total: None,
        choose: Choose = lambda known: (),
    ) -> tuple[Pulling, Landed]:
        """Have the files of a run in a directory here; see Store.get."""
        kept, _ = self._kept(asked.run)
        every = self._manifest(kept)
        try:
            manifest, notes = selected(every, kept.is_made(len(every.entries)), asked)
        except Malformed as error:
            raise ProtocolError(f"the files are refused: {printable(str(error), 300)}") from None
        bodies = manifest.bodies()

        def contents(wanted: list[int]) -> Iterator[bytes]:
            digests = [bodies[index].digest.hex() for index in wanted]
            return self.bucket.each(lambda digest: self._blob(kept, digest, WHOLE), digests)

        names = known(every, bare=asked.bare) if asked.names else None
        landed = target.take(manifest, contents, names, choose, got)
        return Pulling(kept.run.id, (*kept.left_out, *notes)), landed

    # Acts

    def put(
        self,
        content: Content,
        sent: Sent = lambda done, total: None,
        *,
        only_say: bool = False,
    ) -> Put:
        """Keep a run; see Store.put."""
        name = keys.name_of(content.run.spec)
        listing = content.manifest.to_bytes()
        run = content.run
        kept = Kept(
            run=replace(run, pulled=None, deleted=False, open_port=None, directory="", note=""),
            files=digest_of(listing).hex(),
            count=content.manifest.files,
            size=content.manifest.size,
            made=keys.made_bits(content.manifest, content.made),
            left_out=content.left_out,
            epoch_ns=time.time_ns(),
            host=self._host if run.pulled is None else run.pulled.host,
        )
        if not only_say:
            self.look()
        for _ in range(_TRIES):
            before = self._read(name)
            if before is not None:
                if before[0].deleted:
                    raise InvalidInput(
                        f"run {run.label_or_id} is in the trash of {self.name}; runs restore takes "
                        "it out, runs purge deletes it"
                    )
                if before[0].same(kept):
                    return Put(False, kept.count, 0)
                # What somebody has called it there stays.
                marked = replace(kept.run, label=before[0].run.label, tags=before[0].run.tags)
                kept = replace(kept, run=marked)
            if only_say:
                lacking = self._lacking(content.manifest, set())
                return Put(True, kept.count, sum(b.size for _, b in lacking))
            done = self._push(name, content, kept, listing, before, sent)
            if done is not None:
                return done
        raise self._changed(name)

    def _push(
        self,
        name: str,
        content: Content,
        kept: Kept,
        listing: bytes,
        before: tuple[Kept, str] | None,
        sent: Sent,
    ) -> Put | None:
        """Send what is not there, and the manifest last; None if somebody else was there first."""
        manifest = content.manifest
        bodies = manifest.bodies()
        intent = Intent(self.bucket, {kept.files, *(each.digest.hex() for each in bodies)})
        intent.write()
        try:
            leaving = doomed(self.bucket)
            word = os.urandom(8).hex()
            lacking = self._lacking(manifest, leaving)
            again = {
                digest: word
                for digest in (kept.files, *(each.digest.hex() for each in bodies))
                if keys.key_of_blob(digest) in leaving
            }
            kept = replace(kept, again=again, writer=word)
            total, done = sum(body.size for _, body in lacking), 0

            def send(blob: tuple[str, bytes]) -> int:
                digest, data = blob
                self.bucket.put(keys.key_of_blob(digest, again.get(digest, "")), data)
                return len(data)

            contents = content.bodies([index for index, _ in lacking])
            digests = (body.digest.hex() for _, body in lacking)
            for size in self.bucket.each(send, zip(digests, contents, strict=False)):
                done += size
                sent(done, total)
                intent.refresh()
            send((kept.files, listing))
            if not intent.is_safe:
                return None
            etag = "" if before is None else before[1]
            if not self._write(name, kept, etag):
                return None
            return Put(True, kept.count, done)
        finally:
            intent.remove()

    def label(
        self, run: str, label: str | None, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()
    ) -> RunInfo:
        """Give a run another label, or other tags; see Store.label."""
        require_name(label or "")
        require_tags(add)

        def change(kept: Kept) -> Kept:
            tags = [tag for tag in kept.run.tags if tag not in remove]
            tags += [tag for tag in add if tag not in tags]
            text = kept.run.label if label is None else label
            return replace(kept, run=replace(kept.run, label=text, tags=require_tags(tuple(tags))))

        return self._change(run, change).shown

    def delete(self, run: str) -> RunInfo:
        """Move a run into the trash; see Store.delete."""
        return self._change(run, lambda kept: replace(kept, deleted=True)).shown

    def restore(self, run: str) -> RunInfo:
        """Take a run out of the trash; see Store.restore."""
        self._require_deleted(run, self._kept(run)[0])
        return self._change(run, lambda kept: replace(kept, deleted=False)).shown

    def purge(self, run: str) -> RunInfo:
        """Delete a run in the trash for good; see Store.purge."""
        self.look()
        for _ in range(_TRIES):
            kept, etag = self._kept(run)
            self._require_deleted(run, kept)
            # Before the manifest goes: what cannot be read must keep its blobs.
            self._named()
            try:
                self.bucket.delete(keys.key_of_run(run), etag=etag)
            except Taken:
                continue
            sweep(self.bucket, self._named)
            return kept.shown
        raise self._changed(run)

    # The store

    def look(self, *, anew: bool = False) -> None:
        """Find out, once for each shelf, whether its store keeps conditions; say so if not."""
        if self._looked and not anew:
            return
        self._looked = True
        found = None if anew else self._get(keys.ABOUT, _MOST_ABOUT)
        keeps = True
        if found is not None:
            try:
                keeps = bool(json.loads(found.data).get("conditions", True))
            except (ValueError, AttributeError):
                found = None
        if found is None:
            self.require_bucket()
            keeps = self.bucket.keeps_conditions(keys.PROBE)
            about = {"format": keys.FORMAT, "conditions": keeps}
            self.bucket.put(keys.ABOUT, json.dumps(about).encode())
        self.bucket.conditional = keeps
        if not keeps:
            self._tell(
                f"{self.name}: its store ignores conditional writes; if two people write the same "
                "run at once, neither notices it, and the last one counts"
            )

    def _change(self, name: str, change: Callable[[Kept], Kept]) -> Kept:
        """Change what is said of a run; again, if somebody else does meanwhile."""
        self.look()
        for _ in range(_TRIES):
            kept, etag = self._kept(name)
            new = replace(change(kept), writer=os.urandom(8).hex())
            if self._write(name, new, etag):
                return new
        raise self._changed(name)

    def _write(self, name: str, kept: Kept, etag: str) -> bool:
        """Write a manifest, in place of the one with this ETag; without, of none. Return whether it
        was still so.
        """
        data = keys.write_head(kept)
        try:
            self.bucket.put(keys.key_of_run(name), data, new=not etag, etag=etag)
        except Taken:
            # Also where our own was taken whose answer was lost, and that was sent again.
            got = self._get(keys.key_of_run(name), keys.MOST_HEAD)
            return got is not None and got.data == data
        return True

    def _require_deleted(self, name: str, kept: Kept) -> None:
        if not kept.deleted:
            raise UnknownRun(f"no deleted run {name!r} on {self.name}")

    def _changed(self, name: str) -> CloudError:
        return CloudError(
            f"run {name} on {self.name} is being changed by somebody else; try again", code="taken"
        )

    # What is there

    def _lacking(self, manifest: Manifest, leaving: set[str]) -> Sequence[tuple[int, Body]]:
        """The contents that are not there, or are about to be deleted, by their indices."""
        bodies = list(enumerate(manifest.bodies()))
        if len(bodies) > _ASKED_EACH:
            there = {each.key: each.size for each in self._listed(keys.BLOBS)}
            sizes = [there.get(keys.key_of_blob(body.digest.hex())) for _, body in bodies]
        else:
            names = [keys.key_of_blob(body.digest.hex()) for _, body in bodies]
            sizes = list(self.bucket.each(self.bucket.has, names))
        return [
            (index, body)
            for (index, body), size in zip(bodies, sizes, strict=True)
            if size != body.size or keys.key_of_blob(body.digest.hex()) in leaving
        ]
