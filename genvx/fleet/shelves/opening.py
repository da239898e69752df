"""From remotes to shelves: which store one has, and how it is reached."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from genvx.clouds.aws.account import Account
from genvx.clouds.s3.bucket import Bucket, How
from genvx.core.text import printable
from genvx.errors import InvalidInput
from genvx.fleet.remotes import keys
from genvx.fleet.remotes.reading import remote_named
from genvx.fleet.shelves.localenv import local_env
from genvx.fleet.shelves.s3store import S3Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from genvx.fleet.remotes.remote import Remote
    from genvx.fleet.shelves.store import Store


def _silent(line: str) -> None:
    pass


def shelf_named(
    name: str, environ: Mapping[str, str], tell: Callable[[str], object] = _silent
) -> Remote | None:
    """Return the remote with this name if it is a shelf; None if it is none.

    Raises:
        UnknownRemote: there is no such remote. InvalidRemotes: a file with remotes has a fault.
    """
    remote = remote_named(name, environ, tell)
    return remote if remote.is_shelf else None


def split(
    names: str, environ: Mapping[str, str], tell: Callable[[str], object] = _silent
) -> tuple[list[str], list[Remote]]:
    """Return the names of remotes that are none, and the shelves, of several after commas.

    Raises: as shelf_named.
    """
    if ":" in names:
        return [names], []
    others, shelves = [], []
    for word in dict.fromkeys(word for word in names.split(",") if word):
        shelf = shelf_named(word, environ, tell)
        if shelf is None:
            others.append(word)
        else:
            shelves.append(shelf)
    return others, shelves


def store_of(
    remote: Remote, environ: Mapping[str, str], tell: Callable[[str], object] = _silent
) -> Store:
    """Return the store of a remote; nothing is asked yet.

    tell: called with a line about the store.

    Raises:
        InvalidInput: it is none, or cannot be opened. InvalidRemotes: a key is missing.
    """
    remote.require_shelf()
    if remote.type == "s3":
        return s3_store(remote, environ, tell)
    (found, *_) = (
        each for each in entry_points(group=keys.STORES_GROUP) if each.name == remote.type
    )
    try:
        store: Store = found.load()(remote)
    except ImportError as error:
        raise InvalidInput(
            f"remote {remote.name}: the type {remote.type} cannot be loaded: "
            f"{printable(str(error), 200)}"
        ) from None
    return store


def s3_store(
    remote: Remote, environ: Mapping[str, str], tell: Callable[[str], object] = _silent
) -> S3Store:
    """Return the store of a remote of type s3. Raises: as store_of."""
    remote.require_shelf()
    given = local_env(remote, environ)
    access, secret = given.get("AWS_ACCESS_KEY_ID"), given.get("AWS_SECRET_ACCESS_KEY")
    if bool(access) != bool(secret):
        raise InvalidInput(
            f"remote {remote.name}: local-env has one of AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY; they go together"
        )
    usual = given.get("AWS_REGION") or given.get("AWS_DEFAULT_REGION")
    endpoint = given.get("AWS_ENDPOINT_URL_S3") or given.get("AWS_ENDPOINT_URL")
    account = Account(
        remote.text("region") or usual or None,
        remote.text("profile") or given.get("AWS_PROFILE") or None,
        remote.text("endpoint-url") or endpoint or None,
        (access, secret, given.get("AWS_SESSION_TOKEN", "")) if access and secret else None,
        given.get("AWS_CA_BUNDLE") or None,
    )
    how = How(keys.is_yes(remote.text("path-style")), remote.text("checksum"), remote.text("sse"))
    bucket = Bucket(account, remote.text("bucket"), remote.text("root"), how)
    place = "\n".join((account.endpoint_url or "", bucket.name, bucket.root))
    return S3Store(remote.name, bucket, environ, place=place, tell=tell)
