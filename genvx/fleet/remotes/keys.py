"""The keys of a remote: their aliases, which type has which, and the check of each value."""

from __future__ import annotations

import difflib
import re
import shlex
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import GenvxError
from genvx.fleet.hosts.hostfile import PASSWORD_VARIABLE, RUNS_PATH
from genvx.fleet.hosts.hostnames import USER, parse_names
from genvx.fleet.remotes.yamltext import Items, Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.fleet.remotes.yamltext import Node, Place

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+-]{0,63}", re.ASCII)
_WHOLE = re.compile(r"[0-9]{1,6}", re.ASCII)
_MOST_TEXT = 16384
_LINE = 1000
_LONGEST_PASSWORD = 1024

ALIASES = {"connect-time": "connect-timeout", "guild-env": "venv-path", "guild-home": "home"}

_EVERY = ("type", "description", "extends")
_SSH = (
    *("host", "hosts", "hostfile", "port", "user", "private-key", "connect-timeout", "proxy"),
    *("password", "password-command", "password-env"),
    *("venv-path", "conda-env", "venv-activate", "home", "init", "use-prerelease"),
)
# Guild's other types. Remotes of these can be listed, so that its files can be used as they are.
_EC2 = ("ami", "instance-type", "region", "root-device-size", "public-key", "init-timeout")
_S3 = ("bucket", "root", "region")
OF_TYPE = {
    "ssh": (*_EVERY, *_SSH),
    "ec2": (*_EVERY, *_SSH, *_EC2),
    "s3": (*_EVERY, *_S3),
}
LATER = ("ec2", "s3")
NEVER = ("azure-vm", "azure-blob", "gist")

PLACES = ("host", "hosts", "hostfile")
# The first of these counts, as Guild's documentation has it.
PYTHONS = ("venv-activate", "venv-path", "conda-env")
# Keys in place of each other: one that a remote has itself replaces all that it would take over.
PASSWORDS = ("password", "password-command", "password-env")
INSTEAD = (PLACES, PYTHONS, PASSWORDS)

# Secrets and commands. A proxy is one only where it is a command.
PRIVATE = ("password", "password-command", "password-env", "proxy", "init", "venv-activate")

_YES = ("yes", "true", "on")


def canonical(key: Text, kind: str | None) -> str:
    """Return the one name of a key. kind: the type of the remote; None if it is not known yet.

    Raises:
        InvalidRemotes: no such type has this key; the message names the nearest one.
    """
    word = ALIASES.get(key.value, key.value)
    if kind in NEVER:
        return word
    kinds = [kind] if kind in OF_TYPE else list(OF_TYPE)
    known = {each: None for kind in kinds for each in OF_TYPE[str(kind)]}
    if word in known:
        return word
    having = [each for each, keys in OF_TYPE.items() if word in keys]
    if having:
        key.place.fail(f"{word} is a key of {' and '.join(having)} remotes, not of {kind}")
    near = difflib.get_close_matches(key.value, [*known, *ALIASES], 1, 0.5)
    advice = f"did you mean {near[0]}?" if near else f"keys are {', '.join(known)}"
    key.place.fail(f"unknown key {printable(key.value, 40)!r}; {advice}")


def text_of(key: str, node: Node) -> str:
    """Return the text of a value; raise InvalidRemotes if it is none, or empty."""
    if not isinstance(node, Text):
        node.place.fail(f"{key} is one value, not a list or a mapping")
    value = node.value.strip()
    if not value and key != "description":
        node.place.fail(f"{key} needs a value")
    lines = key in ("init", "venv-activate", "description")
    if len(value) > (_MOST_TEXT if lines else _LINE):
        node.place.fail(f"{key} is too long")
    if not (value.replace("\n", "").replace("\t", "") if lines else value).isprintable():
        node.place.fail(f"{key} has characters that cannot be printed: {printable(value, 60)!r}")
    return value


def texts_of(key: str, node: Node) -> tuple[str, ...]:
    """Return the texts of a value that may be one or a list."""
    if isinstance(node, Items):
        if not node.items:
            node.place.fail(f"{key} needs a value")
        return tuple(text_of(key, each) for each in node.items)
    return (text_of(key, node),)


def number(key: str, node: Node, least: int, most: int) -> int:
    """Return the whole number of a value."""
    text = text_of(key, node)
    if not _WHOLE.fullmatch(text) or not least <= int(text) <= most:
        node.place.fail(f"{key} is a whole number from {least} to {most}, not {text!r}")
    return int(text)


def is_command(proxy: str) -> bool:
    """Return whether a proxy is a command, as Guild has it, and no name of a jump host."""
    return bool(re.search(r"[\s%$'\"|;&<>()`\\]", proxy)) or proxy[:1] in "/~."


def check(key: str, node: Node) -> None:
    """Check the value of a key.

    Raises:
        InvalidRemotes: it makes no sense.
    """
    _CHECKS.get(key, text_of)(key, node)


def _named(parse: Callable[[str], object], key: str, node: Node) -> None:
    try:
        parse(",".join(texts_of(key, node)))
    except GenvxError as error:
        _reword(node.place, key, error)


def _reword(place: Place, key: str, error: GenvxError) -> None:
    place.fail(f"{key}: {str(error).removeprefix('-H: ')}")


def _host(key: str, node: Node) -> None:
    text_of(key, node)
    _named(parse_names, key, node)


def _user(key: str, node: Node) -> None:
    if not USER.fullmatch(text_of(key, node)):
        node.place.fail(f"not a user name: {printable(text_of(key, node), 40)!r}")


def _proxy(key: str, node: Node) -> None:
    if not is_command(text_of(key, node)):
        _named(parse_names, key, node)


def _words(key: str, node: Node) -> None:
    try:
        shlex.split(text_of(key, node))
    except ValueError:
        node.place.fail(f"{key} has a quote that is not closed")


def _password(key: str, node: Node) -> None:
    # Its value is in no message.
    if not isinstance(node, Text):
        node.place.fail(f"{key} is one value, not a list or a mapping")
    if not (0 < len(node.value) <= _LONGEST_PASSWORD and node.value.isprintable()):
        node.place.fail(f"{key} has 1 to {_LONGEST_PASSWORD} printable characters")


def _variable(key: str, node: Node) -> None:
    if not PASSWORD_VARIABLE.fullmatch(text_of(key, node)):
        node.place.fail(f"{key} is a variable whose name begins with GENVX_PASSWORD")


def _home(key: str, node: Node) -> None:
    if not RUNS_PATH.fullmatch(home(text_of(key, node))):
        node.place.fail(
            f"{key} is the path of a directory on the host, of letters, digits and ._/+@~ -"
        )


def home(text: str) -> str:
    """Return the path of a directory on a host, counted from the home there, as with Guild."""
    path = "~/." if text in ("~", "~/") else text.rstrip("/") or "/"
    return path if path.startswith(("/", "~/")) else f"~/{path.removeprefix('./')}"


def _flag(key: str, node: Node) -> None:
    if text_of(key, node).lower() not in (*_YES, "no", "false", "off"):
        node.place.fail(f"{key} is yes or no")


def is_yes(text: str) -> bool:
    """Return whether the value of such a key is yes."""
    return text.lower() in _YES


def _type(key: str, node: Node) -> None:
    kind = text_of(key, node)
    if kind not in (*OF_TYPE, *NEVER):
        near = difflib.get_close_matches(kind, OF_TYPE, 1)
        advice = f"did you mean {near[0]}?" if near else "types are ssh, ec2 and s3"
        node.place.fail(f"unknown type {printable(kind, 40)!r}; {advice}")


def _key_file(key: str, node: Node) -> None:
    # Guild also takes the key itself here. A file with remotes is no place for it.
    if "PRIVATE KEY" in text_of(key, node):
        node.place.fail(f"{key} is the path of a file, not the key itself")


_CHECKS: dict[str, Callable[[str, Node], object]] = {
    "type": _type,
    "extends": texts_of,
    "host": _host,
    "hosts": lambda key, node: _named(parse_names, key, node),
    "port": lambda key, node: number(key, node, 1, 65535),
    "user": _user,
    "private-key": _key_file,
    "connect-timeout": lambda key, node: number(key, node, 1, 3600),
    "proxy": _proxy,
    "password": _password,
    "password-command": _words,
    "password-env": _variable,
    "home": _home,
    "use-prerelease": _flag,
}
