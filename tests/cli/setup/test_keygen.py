"""genvx keygen: a pair of keys that nobody else reads, and that no commit takes by mistake."""

from __future__ import annotations

import os
import stat
import subprocess

import pytest

from tests.conftest import run_genvx


@pytest.fixture
def keygen(tmp_path):
    """Runs it in a directory of its own, whose home is there, too."""

    def run(*words, **env):
        return run_genvx("keygen", *words, cwd=tmp_path, env={"HOME": str(tmp_path), **env})

    return run


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.mark.needs("openssh")
def test_it_makes_a_pair_and_says_what_to_type_next(keygen, tmp_path):
    made = keygen()
    path = tmp_path / ".ssh/genvx-debug"
    assert (made.returncode, made.stdout) == (0, f"{path}\n")
    assert (mode(path.parent), mode(path), mode(f"{path}.pub")) == (0o700, 0o600, 0o644)
    assert f"run -d --debug-key-file {path}.pub -- COMMAND\n" in made.stderr
    assert made.stderr.endswith("the ssh command that is printed when it starts\n")
    for each in (path, f"{path}.pub"):
        shown = subprocess.run(["ssh-keygen", "-l", "-f", each], capture_output=True, text=True)
        assert shown.stdout.split()[1] in made.stderr
    before = path.read_bytes()
    again = keygen()
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["", "a\x1bb", "x.pub", "there", ".", "no/where"])
def test_it_overwrites_nothing_and_makes_no_odd_files(keygen, tmp_path, name):
    (tmp_path / "there.pub").symlink_to("nothing")
    refused = keygen(name)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    assert os.listdir(tmp_path) == ["there.pub"]


def test_it_makes_no_private_key_that_git_would_commit(keygen, tmp_path):
    (tmp_path / "repository/sub").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", tmp_path / "repository"], check=True)
    name = "repository/sub/key"
    refused = keygen(name)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert (
        f"in the git worktree {tmp_path}/repository, and git does not ignore it" in refused.stderr
    )
    without = keygen(name, PATH="/nowhere")
    assert "git does not say whether it ignores it" in without.stderr
    assert os.listdir(tmp_path / "repository/sub") == []
    (tmp_path / "repository/.gitignore").write_text("key\n")
    assert keygen(name).returncode == 0
    status = ["git", "-C", tmp_path / "repository", "status", "--short", "-uall"]
    seen = subprocess.run(status, capture_output=True, text=True, check=True)
    assert seen.stdout == "?? .gitignore\n?? sub/key.pub\n"
