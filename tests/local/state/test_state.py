"""The state directory: what is safe is used, what is not is refused in one line with exit
code 6.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from genvx.errors import StateError
from genvx.local.state.directory import StateDirectory
from genvx.local.state.opened import Opened
from tests.capabilities import USER_A
from tests.conftest import ROOT


def test_a_missing_directory_is_made_for_oneself_only(short_tmp):
    StateDirectory(str(short_tmp / "new")).close()
    assert (short_tmp / "new").stat().st_mode & 0o777 == 0o700


def test_a_state_directory_that_somebody_else_makes_at_the_same_time_is_used(
    short_tmp, monkeypatch
):
    made = os.mkdir

    def late(path, *mode, **options):
        made(path, *mode, **options)
        made(path, *mode, **options)  # the other one was first

    monkeypatch.setattr(os, "mkdir", late)
    StateDirectory(str(short_tmp / "new")).close()
    assert os.path.isdir(short_tmp / "new" / "leases")


def test_a_fork_that_drops_what_it_inherited_closes_nothing_of_its_own():
    opened = Opened(os.open("/", os.O_RDONLY))
    pid = os.fork()
    if pid == 0:
        try:
            os.close(opened.number)
            number = os.open("/", os.O_RDONLY)
            assert number == opened.number
            del opened
            os.fstat(number)
            os._exit(0)
        finally:
            os._exit(1)
    opened.close()
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o720])
def test_a_directory_that_others_may_write_must_be_sticky(short_tmp, mode):
    (short_tmp / "s").mkdir()
    (short_tmp / "s").chmod(mode)
    with pytest.raises(StateError, match="not sticky"):
        StateDirectory(str(short_tmp / "s"))
    (short_tmp / "s").chmod(mode | 0o1000)
    StateDirectory(str(short_tmp / "s")).close()


def test_a_directory_for_everybody_gets_hidden_names(short_tmp):
    (short_tmp / "s").mkdir()
    (short_tmp / "s").chmod(0o1777)
    state = StateDirectory(str(short_tmp / "s"))
    with state.own():
        pass
    state.close()
    assert [p.name for p in (short_tmp / "s").iterdir()] == [f".genvx-{os.getuid()}"]


@pytest.mark.needs("root")
def test_a_directory_of_another_user_is_refused(short_tmp):
    (short_tmp / "s").mkdir()
    os.chown(short_tmp / "s", USER_A, USER_A)
    with pytest.raises(StateError, match=f"belongs to uid {USER_A}"):
        StateDirectory(str(short_tmp / "s"))


def test_a_link_or_a_file_is_not_a_directory(short_tmp):
    (short_tmp / "file").touch()
    (short_tmp / "link").symlink_to(short_tmp)
    for name in ("file", "link"):
        with pytest.raises(StateError, match="not a directory"):
            StateDirectory(str(short_tmp / name))


@pytest.mark.parametrize("kind", ["nfs4", "fuse.sshfs", "9p"])
def test_network_file_systems_are_refused(short_tmp, monkeypatch, kind):
    device = os.stat(short_tmp).st_dev
    fake = short_tmp / "mountinfo"
    fake.write_text(f"1 1 {os.major(device)}:{os.minor(device)} / / rw - {kind} server:/x rw\n")
    real = open
    monkeypatch.setattr(
        "builtins.open",
        lambda path, *a, **k: real(fake if path == "/proc/self/mountinfo" else path, *a, **k),
    )
    with pytest.raises(StateError, match=f"is on {kind}"):
        StateDirectory(str(short_tmp))


def genvx_in(namespace_setup, state, *arguments):
    """Run genvx where a mount has been made for it alone."""
    command = " ".join(["exec", sys.executable, "-m", "genvx", *arguments])
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", f"{namespace_setup} && {command}"],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "GENVX_STATE_DIR": str(state),
            "GENVX_SIMULATE": "1xA100-80GB",
        },
        capture_output=True,
        text=True,
    )


@pytest.mark.needs("namespaces")
@pytest.mark.parametrize(
    ("options", "word"),
    [
        ("size=64k && dd if=/dev/zero of=$S/fill bs=4k 2>/dev/null; true", "full"),
        ("nr_inodes=3 && touch $S/x", "full"),
        ("ro", "read-only"),
    ],
)
def test_a_full_or_read_only_disk_is_one_line_and_questions_still_work(short_tmp, options, word):
    directory = short_tmp / "mnt"
    directory.mkdir()
    option, _, after = options.partition(" && ")
    mount = f"S={directory}; mount -t tmpfs -o mode=700,size=1m tmpfs $S; mkdir $S/leases"
    setup = f"{mount} && mount -o remount,{option} $S" + (f" && ({after})" if after else "")
    asked = genvx_in(setup, directory, "devices")
    assert (asked.returncode, asked.stderr) == (0, "")
    taken = genvx_in(setup, directory, "run", "-g", "1", "--", "true")
    assert (taken.returncode, taken.stderr.count("\n")) == (6, 1)
    assert word in taken.stderr


@pytest.mark.parametrize("verb", ["devices", "envs", "status"])
def test_an_unsafe_directory_is_one_line_and_exit_code_6(cli, short_tmp, monkeypatch, verb):
    (short_tmp / "s").mkdir()
    (short_tmp / "s").chmod(0o777)
    monkeypatch.setenv("GENVX_STATE_DIR", str(short_tmp / "s"))
    monkeypatch.setenv("GENVX_SIMULATE", "1xA100-80GB")
    answer = cli(verb)
    assert (answer.returncode, answer.stdout, answer.stderr.count("\n")) == (6, "", 1)
    assert "chmod +t" in answer.stderr
