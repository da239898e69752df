"""The patterns of .gitignore, with git itself as the oracle."""

from __future__ import annotations

import os
import random
import subprocess

import pytest

from genvx.core.projects.ignoring import Rules, parse, verdict

_NAMES = [b"a", b"b", b"ab", b"build", b"x.o", b"Ab-1", b"a b", b"b ", b"!a", b"#a", b"[a]", b"a\\"]
_NAMES += ["é".encode(), b"\xff", b"data", b"-", b"]", b"a\nb"]
_PARTS = [b"a", b"b", b"*", b"**", b"?", b"/", b"/", b"[ab]", b"[!a]", b"[a-c]", b"[[:alpha:]]"]
_PARTS += [b"[]-a]", b"[[:digit:]x]", b"[a", b"[[:no:]]", b"\\", b"\\*", b"***", b".o", b"build"]
_PARTS += [
    "é".encode(),
    b"\xff",
    b" ",
    b"\\ ",
    b"[^/]",
    b"[\\]]",
    b"data",
    b"[a-]",
    b"[[:al]",
    b"-",
]

_LINES = [
    b"*a*b",
    b"?*a*[!b]*",
    b"*.o",
    b"a/**",
    b"**/b",
    b"/a",
    b"a/",
    b"a/**/b",
    b"# a",
    b"",
    b"\\!a",
]


def _line(chance: random.Random) -> bytes:
    if chance.random() < 0.3:
        return chance.choice(_LINES)
    parts = b"".join(chance.choice(_PARTS) for _ in range(chance.randint(1, 4)))
    ends = chance.choice([b"", b"", b"/", b" ", b"  ", b"\\ ", b"\r"])
    return chance.choice([b"", b"", b"", b"!", b"/"]) + parts + ends


def _plant(chance: random.Random, at: bytes, depth: int) -> None:
    """Make a random tree, with .gitignore files in some of its directories."""
    if depth == 0 or chance.random() < 0.4:
        lines = [_line(chance) for _ in range(chance.randint(1, 5))]
        with open(at + b"/.gitignore", "wb") as file:
            file.write(b"\n".join(lines))
    for name in chance.sample(_NAMES, chance.randint(2, 6)):
        path = at + b"/" + name
        if depth < 3 and chance.random() < 0.5:
            os.mkdir(path)
            _plant(chance, path, depth + 1)
        else:
            open(path, "wb").close()


def _belongs(root: bytes, at: bytes = b"", above: tuple[Rules, ...] = ()) -> set[bytes]:
    stack, found = above, set()
    ignore = root + b"/" + at + b".gitignore"
    if os.path.isfile(ignore):
        with open(ignore, "rb") as file:
            stack = (*above, Rules(at, parse(file.read())))
    for entry in os.scandir(root + b"/" + at):
        name, directory = at + entry.name, entry.is_dir(follow_symlinks=False)
        if not verdict(stack, name, directory=directory):
            found |= _belongs(root, name + b"/", stack) if directory else {name}
    return found


@pytest.mark.needs("git")
@pytest.mark.parametrize("seed", range(30))
def test_what_is_ignored_is_what_git_ignores(tmp_path, seed):
    root = os.fsencode(tmp_path / "tree")
    os.mkdir(root)
    _plant(random.Random(seed), root, 0)
    git = str(tmp_path / "git")
    clean = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    subprocess.run(["git", "init", "-q", "--bare", git], check=True, env=clean)
    listed = subprocess.run(
        [
            *("git", f"--git-dir={git}", f"--work-tree={tmp_path}/tree", "-c", "core.bare=false"),
            *("ls-files", "-z", "--others", "--exclude-standard"),
        ],
        check=True,
        env=clean,
        cwd=root,
        capture_output=True,
    )
    assert _belongs(root) == set(listed.stdout.split(b"\0")) - {b""}


def test_a_pattern_with_many_stars_is_decided():
    rules = (Rules(b"", parse(b"*a" * 20 + b"*b\n")),)
    assert verdict(rules, b"a" * 250, directory=False) is None
    assert verdict(rules, b"a" * 250 + b"b", directory=False) is True
