"""An independent look at trees of files, and trees that are odd in every way that a file system
allows. Nothing of genvx is asked.
"""

from __future__ import annotations

import hashlib
import os
import random
import stat
from pathlib import Path

_NAMES = (
    b"plain", b"with space", b" ", b"two\nlines", b"\n", b"tab\there", b"\x1b[31mred", b"bell\x07",
    "übung".encode(), "e\u0301 and é".encode(), "日本".encode(), "\u202eevil".encode(),
    b"not-\xff-utf8", b"\xed\xa0\x80", b"n" * 255, "é".encode() * 127, b"-rf", b"quote'\"", b"`x`",
    b"$(touch owned)", b"back\\slash", b"%s", b"*", b"?", b"[a]", b"#", b"!x", b"~", b"...", b"..a",
    b"CON", b"a:b", b"Case", b"case",
)  # fmt: skip
_MODES = (0o644, 0o755, 0o600, 0o400, 0o777, 0o640, 0o711, 0o604)
# So long is the path of the deepest directory, and so many directories are in each other at most.
_DEEPEST, _LONGEST = 199, 3500
_BLOCK = 4096


def plant(root: Path, chance: random.Random, *, large: int) -> None:
    """Make a tree. large: the bytes of its largest file, of which most are a hole."""
    root.mkdir(parents=True)
    base = os.fsencode(root)
    made = [base]
    for number, name in enumerate(_NAMES):
        directory = os.path.join(chance.choice(made), b"d" + name[:250])
        os.makedirs(directory, exist_ok=True)
        made.append(directory)
        path = os.path.join(chance.choice(made), name)
        size = chance.choice((0, 1, 2, 100, _BLOCK - 1, _BLOCK, 70_000))
        with open(path, "wb") as file:
            file.write(chance.randbytes(size) if number % 2 else b"text\n" * (size // 5))
    deep = base
    while len(deep) < _LONGEST and deep.count(b"/") - base.count(b"/") < _DEEPEST:
        deep += b"/" + b"d" * chance.choice((1, 1, 1, 200))
    os.makedirs(deep)
    with open(deep + b"/last", "wb") as file:
        file.write(b"far below")
    os.makedirs(base + b"/empty/er")
    _sparse(root, chance, large)
    for name, target in (
        (b"link", b"plain"), (b"to-directory", b"empty"), (b"empty/up", b"../plain"),
        (b"nowhere", b"not/there"), (b"self", b"."), (b"odd\nlink", b"two\nlines"),
        (b"chain", b"link"),
    ):  # fmt: skip
        os.symlink(target, os.path.join(base, name))
    _finish(base, chance)


def _sparse(root: Path, chance: random.Random, large: int) -> None:
    with open(root / "hole", "wb") as file:
        file.truncate(5 << 20)
    with open(root / "holes", "wb") as file:
        for _ in range(5):
            file.seek(chance.randrange(40 << 20))
            file.write(chance.randbytes(chance.choice((1, 5000, 300_000))))
        file.truncate(41 << 20)
    with open(root / "pieces", "wb") as file:
        file.write(chance.randbytes((8 << 20) + 1))
    with open(root / "large", "wb") as file:
        for at in (0, large // 3, large - 70_000):
            file.seek(at)
            file.write(chance.randbytes(70_000))


def _finish(base: bytes, chance: random.Random) -> None:
    """Give everything a mode and a time, the deepest first."""
    for directory, below, files in os.walk(base, topdown=False):
        for name in files:
            path = os.path.join(directory, name)
            if not os.path.islink(path):
                os.chmod(path, chance.choice(_MODES))
            when = chance.choice((0, 1, 10**9 - 1, chance.randrange(2 * 10**18)))
            os.utime(path, ns=(when, when), follow_symlinks=False)
        for name in below:
            path = os.path.join(directory, name)
            if not os.path.islink(path):
                os.chmod(path, chance.choice((0o755, 0o700, 0o777, 0o750)))
                when = chance.randrange(10**18)
                os.utime(path, ns=(when, when))


def picture(root: Path | bytes) -> dict[bytes, tuple[object, ...]]:
    """What is below a directory: kind, mode, time, content; of links their target."""
    found: dict[bytes, tuple[object, ...]] = {}
    waiting = [(b"", os.fsencode(root))]
    while waiting:
        place, path = waiting.pop()
        for name in os.listdir(path):
            here = os.path.join(path, name)
            status = os.lstat(here)
            shown = place + name
            if stat.S_ISLNK(status.st_mode):
                found[shown] = ("link", os.readlink(here))
            elif stat.S_ISDIR(status.st_mode):
                found[shown] = ("directory", stat.S_IMODE(status.st_mode), status.st_mtime_ns)
                waiting.append((shown + b"/", here))
            elif stat.S_ISREG(status.st_mode):
                digest = _digest(here)
                mode = stat.S_IMODE(status.st_mode)
                found[shown] = ("file", mode, status.st_mtime_ns, status.st_size, digest)
            else:
                found[shown] = ("other", status.st_mode)
    return found


def _digest(path: bytes) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while content := file.read(1 << 20):
            digest.update(content)
    return digest.hexdigest()


def differences(wanted: Path, got: Path) -> list[str]:
    """What differs between two trees, in words."""
    one, other = picture(wanted), picture(got)
    lines = []
    for name in sorted(one.keys() | other.keys()):
        if one.get(name) != other.get(name):
            lines.append(f"{name!r} is {other.get(name)}, wanted {one.get(name)}")
    return lines


def room(root: Path) -> int:
    """The bytes that the files of a tree take on the disk."""
    paths = [Path(place, name) for place, _, files in os.walk(root) for name in files]
    return sum(path.lstat().st_blocks * 512 for path in paths)


def leading_out(root: Path) -> list[str]:
    """The links below a directory that lead out of it."""
    base = os.path.realpath(os.fsencode(root))
    found = []
    for place, below, files in os.walk(base):
        for name in [*below, *files]:
            path = os.path.join(place, name)
            if os.path.islink(path):
                target = os.path.realpath(path)
                if target != base and not target.startswith(base + b"/"):
                    found.append(repr(path))
    return found
