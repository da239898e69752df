"""The keys of a remote: their aliases, which type has which, and the check of each value."""

from __future__ import annotations

import difflib
import ipaddress
import re
import shlex
from typing import TYPE_CHECKING

from genvx.core.quantities.durations import parse_duration
from genvx.core.text import printable
from genvx.errors import GenvxError
from genvx.fleet.hosts.hostfile import PASSWORD_VARIABLE, RUNS_PATH
from genvx.fleet.hosts.hostnames import USER, parse_names
from genvx.fleet.remotes.yamltext import Items, Pairs, Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.fleet.remotes.yamltext import Node, Place

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+-]{0,63}", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,100}", re.ASCII)
_WHOLE = re.compile(r"[0-9]{1,6}", re.ASCII)
_MOST_TEXT = 16384
_LINE = 1000
_LONGEST_PASSWORD = 1024
# A machine that stops sooner would stop while people think.
_LEAST_IDLE, _MOST_IDLE = 300.0, 7 * 86400.0
_LONGEST_JOB = 365 * 86400.0

ALIASES = {"connect-time": "connect-timeout", "guild-env": "venv-path", "guild-home": "home"}

PLACES = ("host", "hosts", "hostfile")
_EVERY = ("type", "description", "extends")
_SSH = (
    *("port", "user", "private-key", "connect-timeout", "proxy"),
    *("password", "password-command", "password-env"),
    *("venv-path", "conda-env", "venv-activate", "home", "init", "use-prerelease"),
)
_AWS = ("region", "profile", "endpoint-url")
_EC2 = (
    *("ami", "instance-type", "root-device-size", "public-key", "init-timeout", "spot", "subnet"),
    *("security-group", "ssh-cidr", "address", "tags", "idle-stop"),
)
# Of a node there is no init: it is somebody else's an hour later.
_SLURM = (
    *("partition", "account", "qos", "reservation", "constraint"),
    *("time", "nodes", "gpus", "cpus", "memory"),
)
_S3 = ("bucket", "root", "path-style", "checksum", "sse", "local-env")
OF_TYPE = {
    "ssh": (*_EVERY, *PLACES, *_SSH),
    "ec2": (*_EVERY, *_SSH, *_AWS, *_EC2),
    "slurm": (*_EVERY, "host", *(key for key in _SSH if key != "init"), *_SLURM),
    "s3": (*_EVERY, *_AWS, *_S3),
}
# They keep runs, and have no host. Other types of that kind are registered under the group.
SHELVES = ("s3",)
STORES_GROUP = "genvx.stores"
NEVER = ("azure-vm", "azure-blob", "gist")

# The first of these counts, as Guild's documentation has it.
PYTHONS = ("venv-activate", "venv-path", "conda-env")
# Keys in place of each other: one that a remote has itself replaces all that it would take over.
PASSWORDS = ("password", "password-command", "password-env")
INSTEAD = (PLACES, PYTHONS, PASSWORDS)

# Secrets and commands, and where credentials go. A proxy is one only where it is a command.
PRIVATE = (
    *("password", "password-command", "password-env", "proxy", "init", "venv-activate"),
    *("endpoint-url", "profile", "local-env"),
)

_YES = ("yes", "true", "on")


def canonical(key: Text, kind: str | None) -> str:
    """Return the one name of a key. kind: the type of the remote; None if it is not known yet.

    Raises:
        InvalidRemotes: no such type has this key; the message names the nearest one.
    """
    word = ALIASES.get(key.value, key.value)
    if kind in NEVER or (kind is not None and is_registered(kind)):
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


def is_registered(kind: str) -> bool:
    """Return whether somebody else has registered a store for remotes of this type."""
    if kind in OF_TYPE or kind in NEVER:
        return False
    # Imported here: it takes longer than all else of a file with remotes.
    from importlib.metadata import entry_points

    return any(each.name == kind for each in entry_points(group=STORES_GROUP))


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
    text = ",".join(texts_of(key, node))
    try:
        parse(text)
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
    if kind not in (*OF_TYPE, *NEVER) and not is_registered(kind):
        near = difflib.get_close_matches(kind, OF_TYPE, 1)
        advice = f"did you mean {near[0]}?" if near else "types are ssh, ec2, slurm and s3"
        node.place.fail(f"unknown type {printable(kind, 40)!r}; {advice}")


def _matching(pattern: str, what: str) -> Callable[[str, Node], object]:
    def check(key: str, node: Node) -> None:
        for text in texts_of(key, node):
            if not re.fullmatch(pattern, text, re.ASCII):
                node.place.fail(f"{key} is {what}, not {printable(text, 40)!r}")

    return check


def _cidr(key: str, node: Node) -> None:
    for text in texts_of(key, node):
        try:
            if "/" not in text:
                raise ValueError
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            node.place.fail(f"{key} is a network such as 203.0.113.7/32, not {text!r}")


def _idle(key: str, node: Node) -> None:
    try:
        seconds = parse_duration(text_of(key, node))
    except GenvxError as error:
        _reword(node.place, key, error)
        return
    if not _LEAST_IDLE <= seconds <= _MOST_IDLE:
        node.place.fail(f"{key} is a time from 5m to 7d")


def _time(key: str, node: Node) -> None:
    text = text_of(key, node)
    try:
        seconds = parse_duration(text)
    except GenvxError as error:
        _reword(node.place, key, error)
        return
    if seconds > _LONGEST_JOB:
        node.place.fail(f"{key} is at most 365d")


def _tags(key: str, node: Node) -> None:
    if not isinstance(node, Pairs):
        node.place.fail(f"{key} is a mapping of names and values")
    for name, value in node.pairs:
        if not 0 < len(name.value) <= 128 or not name.value.isprintable():
            name.place.fail("a tag has a name of 1 to 128 printable characters")
        if name.value.lower().startswith(("aws:", "genvx:")) or name.value == "Name":
            name.place.fail(f"the tag {name.value} is not yours to set")
        text = text_of(name.value, value)
        if len(text) > 256:
            value.place.fail("the value of a tag has at most 256 characters")
    if len(node.pairs) > 40:
        node.place.fail("there are 40 tags at most")


def _bucket(key: str, node: Node) -> None:
    text = text_of(key, node)
    if text.startswith("s3://"):
        node.place.fail(f"{key} is a name alone; what comes behind it is root")
    _matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "the name of a bucket")(key, node)


def _root(key: str, node: Node) -> None:
    # S3 takes any; some stores and most tools do not.
    parts = text_of(key, node).strip("/").split("/")
    if {"", ".", ".."} & set(parts) and parts != [""]:
        node.place.fail(f"{key} is a path without . and .. and empty parts")
    if len("/".join(parts)) > 200:
        node.place.fail(f"{key} is too long")


def _local_env(key: str, node: Node) -> None:
    if not isinstance(node, Pairs):
        text_of(key, node)
        return
    for name, value in node.pairs:
        if not _VARIABLE.fullmatch(name.value):
            name.place.fail(f"not a name of a variable: {printable(name.value, 40)!r}")
        # Its value is in no message.
        if not isinstance(value, Text) or not value.value or not value.value.isprintable():
            value.place.fail(f"{name.value} is one value, of printable characters")


def _key_file(key: str, node: Node) -> None:
    # Guild also takes the key itself here. A file with remotes is no place for it.
    if "PRIVATE KEY" in text_of(key, node):
        node.place.fail(f"{key} is the path of a file, not the key itself")


def _public_key(key: str, node: Node) -> None:
    if "PRIVATE KEY" in text_of(key, node):
        node.place.fail(f"{key} is a public key, or the path of one")


_slurm_name = _matching(r"[A-Za-z0-9_][A-Za-z0-9_.,@+-]{0,100}", "a name of Slurm's")

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
    "region": _matching(r"[a-z0-9-]{1,40}", "the name of a region such as us-east-1"),
    "endpoint-url": _matching(r"https?://[^\s/@]+(?:/\S*)?", "a URL such as http://127.0.0.1:5000"),
    "ami": _matching(r"ami-[0-9a-f]{8,17}", "the id of an image such as ami-0123456789abcdef0"),
    "instance-type": _matching(r"[a-z0-9-]{1,20}\.[a-z0-9-]{1,20}", "a type such as g5.xlarge"),
    "root-device-size": lambda key, node: number(key, node, 1, 65536),
    "init-timeout": lambda key, node: number(key, node, 1, 86400),
    "spot": _flag,
    "subnet": _matching(r"subnet-[0-9a-f]{8,17}", "the id of a subnet such as subnet-0123abcd"),
    "security-group": _matching(r"sg-[0-9a-f]{8,17}", "the id of a group such as sg-0123abcd"),
    "ssh-cidr": _cidr,
    "address": _matching("public-dns|public-ip|private-ip", "public-dns, public-ip or private-ip"),
    "tags": _tags,
    "idle-stop": _idle,
    "public-key": _public_key,
    "bucket": _bucket,
    "root": _root,
    "path-style": _flag,
    "checksum": _matching("when_required|when_supported", "when_required or when_supported"),
    "sse": _matching(
        r"AES256|aws:kms|aws:kms:dsse|aws:kms:[!-~]{1,300}", "AES256, aws:kms or aws:kms:KEY"
    ),
    "local-env": _local_env,
    "partition": _slurm_name,
    "account": _slurm_name,
    "qos": _slurm_name,
    "reservation": _slurm_name,
    "constraint": _matching(
        r"[A-Za-z0-9_(\[][A-Za-z0-9_.&|,*()\[\]-]{0,200}",
        "what nodes must have, such as a100&nvlink",
    ),
    "time": _time,
    "nodes": lambda key, node: number(key, node, 1, 1024),
    "gpus": _matching(
        r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,40}:)?[1-9][0-9]{0,2}",
        "the GPUs on each node, such as 2 or a100:2",
    ),
    "cpus": lambda key, node: number(key, node, 1, 9999),
    "memory": _matching(r"[1-9][0-9]{0,8}[KMGT]?|0", "the memory on each node, such as 64G"),
}
