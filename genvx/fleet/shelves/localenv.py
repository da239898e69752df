"""local-env: variables for the credentials of a shelf, as a mapping, a file, or a .gpg file."""

from __future__ import annotations

import re
import shlex
import subprocess
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import InvalidInput
from genvx.fleet.remotes.yamltext import Pairs, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.fleet.remotes.remote import Remote

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)", re.ASCII)
_MOST_BYTES = 64 << 10
# gpg asks for a passphrase meanwhile.
_PATIENCE = 300


def local_env(remote: Remote, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that local-env of a remote gives; none where it has none.

    Raises:
        InvalidInput: a file cannot be read, or gpg cannot decrypt it.
    """
    written = remote.written.get("local-env")
    if written is None:
        return {}
    if isinstance(written.node, Pairs):
        return {
            name.value: value.value for name, value in written.node.pairs if isinstance(value, Text)
        }
    path = remote.path("local-env")
    shown = printable(path, 200)
    if path.lower().endswith(".gpg"):
        return _lines(_decrypted(path, environ), shown)
    try:
        with open(path, "rb") as file:
            return _lines(file.read(_MOST_BYTES), shown)
    except OSError as error:
        raise InvalidInput(f"local-env: cannot read {shown}: {error.strerror}") from None


def _decrypted(path: str, environ: Mapping[str, str]) -> bytes:
    """What gpg makes of a file. $GPG_CMD is a command in place of gpg -d, as with Guild."""
    words = shlex.split(environ.get("GPG_CMD", "")) or ["gpg", "--quiet", "-d"]
    try:
        done = subprocess.run([*words, path], capture_output=True, timeout=_PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as error:
        late = "it takes too long"
        cause = error.strerror if isinstance(error, OSError) else late
        raise InvalidInput(f"local-env: {printable(words[0], 60)}: {cause}") from None
    if done.returncode:
        why = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no reason"]
        raise InvalidInput(
            f"local-env: {printable(words[0], 60)} cannot decrypt {printable(path, 200)}: "
            f"{printable(why[0], 200)}"
        )
    return done.stdout[:_MOST_BYTES]


def _lines(data: bytes, shown: str) -> dict[str, str]:
    """The variables of lines such as export AWS_PROFILE="lab". No value is ever in a message."""
    found = {}
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise InvalidInput(f"local-env: {shown}:{number}: a line is NAME=VALUE")
        try:
            words = shlex.split(match[2], comments=True)
        except ValueError:
            raise InvalidInput(f"local-env: {shown}:{number}: a quote is not closed") from None
        found[match[1]] = " ".join(words)
    return found
