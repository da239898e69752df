"""Requirement files as pip reads them: which other files they include, and which paths they name.

Only what decides about files is read. All the rest is pip's, and passes as it is.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from genvx.core.text import printable
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_OPTIONAL = "pyproject.toml: project.optional-dependencies"
_COMMENT = re.compile(r"(^|\s+)#.*$")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
# What is a path, its extras, and the rest: a marker or options of this line.
_PATH = re.compile(r"([^\s;\[]+)(\[[^\]]*\])?(.*)", re.DOTALL)


class Part(Enum):
    """What a line of a requirement file is."""

    AS_IS = "as it is"
    INCLUDE = "include"
    CONSTRAINT = "constraint"
    LINKS = "links"
    PATH = "path"


_OPTIONS = {
    "-r": Part.INCLUDE,
    "--requirement": Part.INCLUDE,
    "-c": Part.CONSTRAINT,
    "--constraint": Part.CONSTRAINT,
    "-f": Part.LINKS,
    "--find-links": Part.LINKS,
    "-e": Part.PATH,
    "--editable": Part.PATH,
}


class Line(NamedTuple):
    """A line. text: all of it. path: the file or directory here that it names. rest: what follows
    that: extras, a marker, options.
    """

    part: Part
    text: str
    path: str = ""
    rest: str = ""


def lines_of(text: str) -> Iterator[Line]:
    """The lines of a requirement file, without comments, and with continued lines joined."""
    for line in _joined(text.removeprefix("\ufeff").splitlines()):
        line = _COMMENT.sub("", line).strip()
        if line:
            yield _line(line)


def _joined(lines: Iterable[str]) -> Iterator[str]:
    held = ""
    for line in lines:
        comment = line.lstrip().startswith("#")
        if line.endswith("\\") and not comment:
            held += line[:-1]
            continue
        yield f"{held} {line}" if comment and held else held + line
        held = ""
    if held:
        yield held


def _line(line: str) -> Line:
    for option, part in _OPTIONS.items():
        short = not option.startswith("--")
        after = line[len(option) :]
        if not line.startswith(option) or not (short or after[:1] in ("=", " ", "\t")):
            continue
        named = after.lstrip("= \t")
        if named[:1] in ("'", '"') and named.endswith(named[0]):
            named = named[1:-1]
        if _URL.match(named) or named.startswith("/"):
            # An editable install of something remote is put into the environment, too.
            return Line(Part.AS_IS, line)
        if part is Part.PATH:
            return _path(line, named)
        return Line(part, line, named)
    word = re.split(r"[\s;]", line, maxsplit=1)[0]
    if word.startswith(("-", "/")) or _URL.match(word) or "@" in word:
        return Line(Part.AS_IS, line)
    if word.startswith(".") or "/" in word or word.endswith((".whl", ".tar.gz", ".zip")):
        return _path(line, line)
    return Line(Part.AS_IS, line)


def _path(line: str, named: str) -> Line:
    found = _PATH.fullmatch(named)
    if found is None:
        return Line(Part.AS_IS, line)
    return Line(Part.PATH, line, found[1], (found[2] or "") + found[3])


def of_pyproject(document: Mapping[str, Any], extras: Iterable[str]) -> list[str]:
    """The requirements of a pyproject.toml: its dependencies, and those of the extras.

    Raises:
        InvalidInput: it says them in no way that can be read without building the project, or has
        no such extra.
    """
    project = _table(document, "project", "pyproject.toml")
    dynamic = project.get("dynamic")
    if "dependencies" not in project and isinstance(dynamic, list) and "dependencies" in dynamic:
        raise InvalidInput(
            "pyproject.toml has dynamic dependencies, which only a build knows; write them into "
            "requirements.txt, or use --python none"
        )
    found = _texts(project.get("dependencies", []), "pyproject.toml: project.dependencies")
    optional = _table(project, "optional-dependencies", _OPTIONAL)
    for extra in extras:
        if extra not in optional:
            known = f"it has {', '.join(map(str, optional))}" if optional else "it has none"
            raise InvalidInput(
                f"pyproject.toml has no extra {printable(extra, 60)!r}; {printable(known, 300)}"
            )
        found += _texts(optional[extra], f"{_OPTIONAL}.{extra}")
    return found


def of_pylock(document: Mapping[str, Any], extras: Iterable[str]) -> list[str]:
    """The requirements of a pylock.toml, a line for each package with its hashes.

    Raises:
        InvalidInput: it is no such file, or has a package that is in a directory here.
    """
    version = document.get("lock-version")
    if not isinstance(version, str) or not version.startswith("1."):
        raise InvalidInput("pylock.toml: genvx reads lock-version 1, and this is another")
    packages = document.get("packages", [])
    if not isinstance(packages, list):
        raise InvalidInput("pylock.toml: packages is no list")
    wanted = frozenset(extras)
    known = _texts(document.get("extras", []), "pylock.toml: extras")
    for extra in sorted(wanted - set(known)):
        raise InvalidInput(f"pylock.toml has no extra {printable(extra, 60)!r}")
    groups = frozenset(_texts(document.get("default-groups", []), "pylock.toml: default-groups"))
    return [_locked(each, wanted, groups) for each in packages]


def _locked(package: Any, extras: frozenset[str], groups: frozenset[str]) -> str:
    if not isinstance(package, dict) or not isinstance(package.get("name"), str):
        raise InvalidInput("pylock.toml: a package has no name")
    name = package["name"]
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"pylock.toml: no name of a package: {printable(name, 60)!r}")
    if "directory" in package:
        raise InvalidInput(
            f"pylock.toml: {name} is a directory; genvx reads packages of an index, archives and "
            "repositories"
        )
    archive, vcs = package.get("archive"), package.get("vcs")
    files = [archive] if archive else [*package.get("wheels", ()), package.get("sdist")]
    if isinstance(vcs, dict):
        line = f"{name} @ {vcs.get('type')}+{vcs.get('url')}@{vcs.get('commit-id')}"
        files = []
    elif isinstance(archive, dict):
        line = f"{name} @ {archive.get('url')}"
    else:
        line = f"{name}=={package.get('version')}"
    if not line.isprintable():
        raise InvalidInput(f"pylock.toml: {name}: characters that cannot be printed")
    marker = package.get("marker")
    if isinstance(marker, str) and marker:
        # Of groups and extras only a lock file knows, so what we know of them is put in.
        line += f" ; {_without_groups(marker, extras, groups)}"
    hashes = (
        f"--hash={kind}:{digest}"
        for file in files
        if isinstance(file, dict)
        for kind, digest in sorted(dict(file.get("hashes") or {}).items())
        if kind in ("sha256", "sha384", "sha512") and re.fullmatch("[0-9a-f]+", str(digest))
    )
    return " ".join([line, *hashes])


_GROUP = re.compile(r"""(['"])([^'"]*)\1\s+(not\s+)?in\s+(extras|dependency_groups)""")


def _without_groups(marker: str, extras: frozenset[str], groups: frozenset[str]) -> str:
    def known(found: re.Match[str]) -> str:
        chosen = found[2] in (extras if found[4] == "extras" else groups)
        return f"python_version {'>=' if chosen != bool(found[3]) else '<'} '0'"

    return _GROUP.sub(known, " ".join(marker.split()))


def _table(document: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    found = document.get(key, {})
    if not isinstance(found, dict):
        raise InvalidInput(f"{where} is no table")
    return found


def _texts(value: Any, where: str) -> list[str]:
    if not isinstance(value, list) or not all(type(each) is str for each in value):
        raise InvalidInput(f"{printable(where, 100)} is not a list of strings")
    for each in value:
        if not each.isprintable():
            raise InvalidInput(f"{printable(where, 100)} has characters that cannot be printed")
    return list(value)
