"""What a project needs of Python: a tree of its requirements, and of all that they name here.

    requirements.txt    what is installed, in one file
    constraints.txt     what limits the versions, if there is something
    wheels/             what is installed from, if that was given
    project/            directories and archives of the project that the requirements name

The id of this tree says which environment it is. So one that needs the same is the same, whichever
project asks for it, and a change of the rest of a project makes no new one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from genvx.core.projects import requirements
from genvx.core.projects.manifest import DIRECTORY, LINK
from genvx.core.projects.python import CONSTRAINTS, PROJECT, REQUIREMENTS, WHEELS
from genvx.core.projects.requirements import Part
from genvx.core.text import printable
from genvx.errors import InvalidInput
from genvx.local.trees.assembled import Assembly
from genvx.local.trees.hashes import HashCache

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genvx.local.trees.assembled import AssembledTree
    from genvx.local.trees.project import LocalProject

# Of these files the first that is there counts.
LOCKED, PYLOCK, PYPROJECT = "uv.lock", "pylock.toml", "pyproject.toml"
_MOST_BYTES = 16 << 20
_DEEPEST = 20
_EXPORT_SECONDS = 60.0
_WHEEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!-]*\.(whl|tar\.gz|zip)")


class Needs(NamedTuple):
    """What is sent. source: the files that it comes from, for people. offline: whether nothing but
    the wheels in it is installed.
    """

    tree: AssembledTree
    source: str
    offline: bool


def needs_of(
    project: LocalProject,
    environ: Mapping[str, str],
    *,
    extras: Sequence[str] = (),
    wheels: Optional[str] = None,
) -> Optional[Needs]:
    """Read what a project needs; None if it says that nowhere, or needs nothing.

    extras: of its pyproject.toml or lock file. wheels: a directory here with all that is installed.

    Raises:
        InvalidInput: a file makes no sense, or names one that is not there. ProjectChanged: a file
        was changed meanwhile.
    """
    reading = _Reading(project, environ, extras)
    source = reading.read()
    if source is None:
        if extras or wheels is not None:
            given = "--extra" if extras else "--wheels"
            raise InvalidInput(
                f"{given} needs a project with uv.lock, pylock.toml, requirements.txt or "
                "pyproject.toml"
            )
        return None
    if not reading.needs_something:
        return None  # an environment without packages would only hide those of the host
    if wheels is not None:
        source += f", {reading.add_wheels(wheels)}"
    return Needs(reading.finish(), source, wheels is not None)


class _Reading:
    """Reads the files of a project, and gathers what they name."""

    def __init__(
        self, project: LocalProject, environ: Mapping[str, str], extras: Sequence[str]
    ) -> None:
        self._project = project
        self._entries = {each.name: each for each in project.manifest.entries}
        self._environ = environ
        self._extras = tuple(dict.fromkeys(extras))
        self._lines: list[str] = []
        self._constraints: list[str] = []
        self._assembly = Assembly()
        self._taken: set[bytes] = set()

    def read(self) -> Optional[str]:
        """Read the first of the files that is there, and return its name."""
        if self._has(LOCKED):
            self._lines += self._exported()
            return LOCKED
        if self._has(PYLOCK):
            self._lines += requirements.of_pylock(self._toml(PYLOCK), self._extras)
            return PYLOCK
        if self._has(REQUIREMENTS):
            if self._extras:
                raise InvalidInput(
                    f"--extra is for {LOCKED}, {PYLOCK} and {PYPROJECT}; this project has "
                    f"{REQUIREMENTS}, which comes before {PYPROJECT}"
                )
            self._file(REQUIREMENTS, self._lines, ())
            return REQUIREMENTS
        if self._has(PYPROJECT):
            document = self._toml(PYPROJECT)
            # One with the settings of tools only says nothing of what is needed.
            if "project" not in document and not self._extras:
                return None
            self._lines += requirements.of_pyproject(document, self._extras)
            return PYPROJECT
        return None

    @property
    def needs_something(self) -> bool:
        """Whether there is anything to install."""
        return bool(self._lines)

    def add_wheels(self, directory: str) -> str:
        """Add the packages in a directory here; return how many there are, in words."""
        root = os.path.abspath(os.path.expanduser(directory))
        try:
            names = sorted(os.listdir(root))
        except OSError as error:
            raise InvalidInput(
                f"--wheels: cannot read {printable(root, 300)}: {error.strerror}"
            ) from None
        names = [name for name in names if _WHEEL.fullmatch(name)]
        if not names:
            raise InvalidInput(f"--wheels: no package, such as x.whl, in {printable(root, 300)}")
        cache = HashCache(self._environ, os.fsencode(root))
        for name in names:
            path = os.path.join(root, name)
            self._assembly.add_file(f"{WHEELS}/{name}".encode(), path, cache)
        cache.save()
        return "1 wheel" if len(names) == 1 else f"{len(names)} wheels"

    def finish(self) -> AssembledTree:
        """Return the tree."""
        for name, lines in ((REQUIREMENTS, self._lines), (CONSTRAINTS, self._constraints)):
            if lines or name == REQUIREMENTS:
                text = "".join(f"{line}\n" for line in lines)
                self._assembly.add_text(name.encode(), text.encode("utf-8", "surrogateescape"))
        return self._assembly.finish("requirements")

    def _has(self, name: str) -> bool:
        entry = self._entries.get(name.encode())
        return entry is not None and entry.kind != DIRECTORY

    def _path(self, name: str) -> str:
        return os.path.join(os.fsdecode(self._project.root), name)

    def _text(self, name: str) -> str:
        if os.fsencode(name) not in self._entries:
            raise InvalidInput(
                f"{printable(name, 200)} is named in the requirements, and is no file of the "
                "project; .gitignore or .genvxignore may leave it out"
            )
        try:
            with open(self._path(name), "rb") as file:
                data = file.read(_MOST_BYTES + 1)
        except OSError as error:
            raise InvalidInput(f"cannot read {printable(name, 200)}: {error.strerror}") from None
        if len(data) > _MOST_BYTES:
            raise InvalidInput(f"{printable(name, 200)} is too long")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidInput(f"{printable(name, 200)} is no UTF-8 text") from None

    def _toml(self, name: str) -> dict[str, Any]:
        import tomllib

        try:
            return tomllib.loads(self._text(name))
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise InvalidInput(f"{name}: not TOML: {printable(str(error), 200)}") from None

    def _file(self, name: str, lines: list[str], above: tuple[str, ...]) -> None:
        """Read a requirement file into lines, with those that it includes."""
        if name in above or len(above) > _DEEPEST:
            raise InvalidInput(f"{printable(name, 200)} includes itself")
        beside = os.path.dirname(name)
        for line in requirements.lines_of(self._text(name)):
            if line.part is Part.INCLUDE:
                self._file(self._inside(beside, line.path), lines, (*above, name))
            elif line.part is Part.CONSTRAINT:
                inside = self._inside(beside, line.path)
                self._file(inside, self._constraints, (*above, name))
            elif line.part is Part.LINKS:
                lines.append(f"--find-links {self._take(self._inside(beside, line.path))}")
            elif line.part is Part.PATH:
                # An editable install would lead into the directory of one run; so a copy of what is
                # there now is installed.
                lines.append(f"{self._take(self._inside('', line.path))}{line.rest}")
            else:
                lines.append(line.text)

    def _inside(self, beside: str, path: str) -> str:
        """A path in the project, of what a requirement file names."""
        found = os.path.normpath(os.path.join(beside, path))
        if found == ".." or found.startswith("../"):
            raise InvalidInput(
                f"the requirements name {printable(path, 200)}, which is not in the project"
            )
        return found

    def _take(self, path: str) -> str:
        """Add a file or a directory of the project to the tree; return its path there."""
        top = b"" if path == "." else os.fsencode(path)
        below = top + b"/" if top else b""
        names = [name for name in self._entries if name == top or name.startswith(below)]
        if not names:
            raise InvalidInput(
                f"the requirements name {printable(path, 200)}, which is not in the project; "
                ".gitignore or .genvxignore may leave it out"
            )
        if re.search(r"[\s#;\[\]\"'$]", path):
            raise InvalidInput(
                f"the requirements name {printable(path, 200)}; genvx takes no such characters "
                "in a path there"
            )
        for name in names:
            entry = self._entries[name]
            if name in self._taken or entry.kind == LINK:
                continue  # what a link leads to is added with its own name, if it is needed
            self._taken.add(name)
            source = os.path.join(os.fsdecode(self._project.root), os.fsdecode(name))
            self._assembly.add_entry(PROJECT.encode() + b"/" + name, entry, source)
        return f"./{PROJECT}" if not top else f"./{PROJECT}/{path}"

    def _exported(self) -> list[str]:
        """What a uv.lock says, for pip. Only uv knows its format, which changes."""
        uv = shutil.which("uv", path=self._environ.get("PATH"))
        if uv is None:
            raise InvalidInput(
                f"{LOCKED} is read by uv, which is not installed here: pip install uv, or export "
                "it once: uv export -o pylock.toml"
            )
        words = [uv, "export", "--frozen", "--no-emit-project", "--no-header", "--no-annotate"]
        words += ["--format", "requirements-txt", "--no-dev"]
        words += [word for extra in self._extras for word in ("--extra", extra)]
        try:
            done = subprocess.run(
                words,
                cwd=os.fsdecode(self._project.root),
                env={**self._environ, "UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_EXPORT_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InvalidInput(f"uv cannot read {LOCKED}: {printable(str(error), 300)}") from None
        if done.returncode:
            last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise InvalidInput(f"uv cannot read {LOCKED}: {printable(' '.join(last), 300)}")
        text = done.stdout.decode("utf-8", "replace")
        lines: list[str] = []
        for line in requirements.lines_of(text):
            if line.part is Part.PATH:
                inside = self._inside("", line.path)
                # Members of a workspace change with the code, and are imported from there.
                lines.append(f"{self._take(inside)}{line.rest}")
            else:
                lines.append(line.text)
        return lines
