"""The manifest of a run on a shelf: what is said of it, and the hash of its list of files.

    ROOT/shelf.json                what is known of the store
    ROOT/runs/<id>/manifest.json   a run; one of several parts has its rank behind the id
    ROOT/blobs/<2>/<hash>          content of files, and lists of files, by their BLAKE2b-256
    ROOT/pushes/<random>           the hashes that a push needs, while it lasts
    ROOT/sweeps/<random>           the blobs that a purge is about to delete

A run is there once its manifest is. That is written last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.projects.manifest import MOST_ENTRIES, bytes_of
from genvx.core.runs.pulled import Pulled, Way
from genvx.core.text import is_identifier
from genvx.core.value import replace, value
from genvx.core.wire.plain import Malformed, dumps, loads
from genvx.core.wire.runcodec import RUN
from genvx.core.wire.tables import Table, exact_text, flag, integer, one, text, texts, texts_by_name
from genvx.core.wire.treeoperations import Lacking, indices_of, lacking_of
from genvx.errors import CloudError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.projects.manifest import Manifest
    from genvx.core.runs.run import RunSpec
    from genvx.core.runs.runinfo import RunInfo

FORMAT = 1
RUNS, BLOBS, PUSHES, SWEEPS, ABOUT = "runs/", "blobs/", "pushes/", "sweeps/", "shelf.json"
PROBE = "probe."
OURS = (RUNS, BLOBS, PUSHES, SWEEPS, ABOUT, PROBE)
_MANIFEST = "/manifest.json"
MOST_HEAD = 16 << 20
_HEX = frozenset("0123456789abcdef")
_MOST_NOTES = 1000


@value
class Kept:
    """What a manifest says. run: as it was when it was put here, with the marks that it has here.

    files: the hash of its list of files. size: the bytes of its files. made: bits of the files that
    were not in its project; "" for all. again: what stands behind the hash in the keys of blobs
    that were sent a second time. host: of whoever put it here. writer: random, to know one's own.
    """

    format: int = FORMAT
    run: RunInfo = None  # type: ignore[assignment]  # read_head refuses one without
    files: str = ""
    count: int = 0
    size: int = 0
    made: str = ""
    again: Mapping[str, str] = {}
    left_out: tuple[str, ...] = ()
    deleted: bool = False
    epoch_ns: int = 0
    host: str = ""
    writer: str = ""

    @property
    def shown(self) -> RunInfo:
        """The run, as a copy that is kept here."""
        host = self.run.spec.host or self.host
        pulled = Pulled(host, self.epoch_ns, Way(), label=self.run.label, tags=self.run.tags)
        return replace(self.run, pulled=pulled, deleted=self.deleted)

    def same(self, other: Kept) -> bool:
        """Whether both say the same of the run, whatever people have called it."""
        return (self.run.spec, self.run.state, self.files, self.made) == (
            other.run.spec,
            other.run.state,
            other.files,
            other.made,
        )

    def is_made(self, count: int) -> set[int]:
        """The indices, of so many files, of those not of its project. Raises Malformed."""
        return set(range(count)) if not self.made else set(indices_of(Lacking(self.made), count))


_TABLE = Table(
    Kept,
    "manifest",
    format=integer(1),
    run=one(RUN),
    files=exact_text(64),
    count=integer(),
    size=integer(),
    made=exact_text(MOST_ENTRIES),
    again=texts_by_name(64, MOST_ENTRIES),
    left_out=texts(4096, _MOST_NOTES),
    deleted=flag(),
    epoch_ns=integer(),
    host=text(256),
    writer=exact_text(64),
)


def name_of(spec: RunSpec) -> str:
    """The name of a run on a shelf; see Store."""
    return spec.id if spec.part is None else f"{spec.id}.{spec.part.rank}"


def key_of_run(name: str) -> str:
    """The key of a manifest."""
    return f"{RUNS}{name}{_MANIFEST}"


def run_of_key(key: str) -> str | None:
    """The name of the run whose manifest has this key; None if it is no such key."""
    name = key.removeprefix(RUNS).removesuffix(_MANIFEST)
    return name if key == key_of_run(name) and is_name(name) else None


def is_name(name: str) -> bool:
    """Whether a run can have this name on a shelf."""
    identifier, dot, rank = name.partition(".")
    return is_identifier(identifier) and (rank.isdecimal() and rank.isascii() if dot else True)


def key_of_blob(digest: str, again: str = "") -> str:
    """The key of a blob. again: of one that was sent a second time."""
    return f"{BLOBS}{digest[:2]}/{digest}{f'.{again}' if again else ''}"


def made_bits(manifest: Manifest, made: frozenset[bytes]) -> str:
    """The bits of Kept.made."""
    indices = [at for at, entry in enumerate(manifest.entries) if entry.name in made]
    count = len(manifest.entries)
    return "" if len(indices) == count else lacking_of(indices, count).bits


def write_head(kept: Kept) -> bytes:
    """The manifest as it is stored."""
    return dumps(_TABLE.write(kept))


def read_head(data: bytes, name: str) -> Kept:
    """Read the manifest of a run of this name.

    Raises:
        CloudError: it is none, or of a later genvx.
    """
    try:
        plain = loads(data)
        found = plain.get("format") if isinstance(plain, dict) else None
        if isinstance(found, int) and found > FORMAT:
            raise CloudError(f"the manifest of run {name} is of a later version of genvx")
        kept = _TABLE.read(plain)
        if kept.run is None or name_of(kept.run.spec) != name:
            raise Malformed("it is of another run")
        if len(kept.files) != 64 or not _HEX.issuperset(kept.files):
            raise Malformed("it names no list of files")
        for digest, again in kept.again.items():
            if not _HEX.issuperset(digest + again) or len(digest) != 64 or len(again) > 32:
                raise Malformed("it names a blob that cannot be")
        bytes_of(kept.host)
    except Malformed as error:
        raise CloudError(f"the manifest of run {name} is refused: {error}") from None
    return kept
