"""A directory of this machine, copied to hosts: over real SSH, without rsync."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.cli.look.test_json import checked
from tests.conftest import run_genvx
from tests.helpers import Terminal, genvx_argv, genvx_env, start_genvx, until
from tests.local.trees.trees import plant, seen

pytestmark = pytest.mark.needs("openssh")


def home_of(sandbox, number=0) -> Path:
    return Path(sandbox.hosts[number].home)


def push(*words, **options):
    return run_genvx("push", *map(str, words), **options)


def forbid_rsync(sandbox, directory: Path, monkeypatch) -> Path:
    """Have rsync and scp, on both sides, say that they were called; return what says so."""
    called = directory / "called"
    for place in (directory / "bin", Path(sandbox.directory) / "bin"):
        place.mkdir(exist_ok=True)
        for name in ("rsync", "scp", "sftp"):
            (place / name).write_text(f"#!/bin/sh\necho {name} >>{called}\nexit 1\n")
            (place / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory / 'bin'}:{os.environ['PATH']}")
    return called


def test_what_arrives_is_what_was_sent_and_only_what_changes_is_sent_again(
    sandbox, short_tmp, monkeypatch
):
    called = forbid_rsync(sandbox, short_tmp, monkeypatch)
    odd, there = short_tmp / "odd", home_of(sandbox) / "a" / "b"
    plant(odd)
    dry = push("-n", odd, "gpu-server-1:a/b")
    assert (dry.returncode, there.parent.exists()) == (0, False), dry.stderr
    assert "send    two\\nlines\n" in dry.stdout
    first = push(odd, "gpu-server-1:a/b")
    assert first.returncode == 0, first.stderr
    assert seen(there) == seen(odd)
    assert (there / "holes").stat().st_blocks * 512 < 12 << 20
    assert push(odd, "gpu-server-1:a/b").stdout == "Pushed 0 files to gpu-server-1:a/b\n"
    # Of a file that has grown, only the last piece is sent; what was made there stays.
    with open(odd / "large", "ab") as file:
        file.write(b"more")
    (odd / "plain").unlink()
    (there / "theirs").write_text("x")
    (acted,) = checked(push(odd, "gpu-server-1:a/b", "--json"))["copies"]
    assert (acted["files"], acted["bytes"] < 2 << 20, acted["deleted"]) == (1, True, 0)
    assert sorted(set(os.listdir(there)) - set(os.listdir(odd))) == ["plain", "theirs"]
    assert not called.exists()


def test_delete_asks_and_a_person_may_say_no(sandbox, short_tmp):
    code, there = short_tmp / "code", home_of(sandbox) / "code"
    code.mkdir()
    (code / ".gitignore").write_text("out/\n")
    push(code, "gpu-server-1:code")
    (there / "out").mkdir()
    (there / "out" / "result").write_text("x")
    (there / "old\x1b").write_text("x")
    refused = push(code, "gpu-server-1:code", "--delete")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        "genvx: --delete would delete 1 file in gpu-server-1:code: old\\x1b; --yes deletes them, "
        "--dry-run lists them\n"
    )
    terminal = Terminal(genvx_argv("push", str(code), "gpu-server-1:code", "--delete"), genvx_env())
    terminal.expect("  old\\x1b")
    terminal.expect("Delete them? [y/N] ")
    terminal.line("n")
    terminal.expect("nothing was deleted or copied")
    assert terminal.end() == 2
    assert (there / "old\x1b").exists()
    done = push(code, "gpu-server-1:code", "--delete", "--yes")
    assert done.stdout == "Pushed 0 files to gpu-server-1:code, and deleted 1 there\n", done.stderr
    assert sorted(os.listdir(there)) == [".gitignore", "out"]
    home = push(code, "gpu-server-1:.", "--delete", "--yes")
    assert (home.returncode, "where your home is" in home.stderr) == (2, True)


def test_a_push_that_was_killed_goes_on_and_no_link_there_is_followed(sandbox, short_tmp):
    code, there = short_tmp / "code", home_of(sandbox, 1) / "code"
    (code / "d").mkdir(parents=True)
    for number in range(200):
        (code / "d" / str(number)).write_bytes(os.urandom(1 << 18))
    client = start_genvx("push", str(code), "gpu-server-2:code")
    stage = there / ".genvx-pull"

    def arrived():
        return len(os.listdir(stage)) if stage.exists() else 0

    until(lambda: arrived() > 5, "a part has come")
    client.send_signal(signal.SIGKILL)
    client.communicate()
    # The far end may still write what it has got.
    (acted,) = checked(push(code, "gpu-server-2:code", "--json"))["copies"]
    assert 0 < acted["bytes"] < 195 << 18
    assert (seen(there), stage.exists()) == (seen(code), False)
    outside = short_tmp / "outside"
    outside.mkdir()
    os.rename(there / "d", there / "e")
    (there / "d").symlink_to(outside)
    refused = push(code, "gpu-server-2:code")
    assert refused.returncode == 6
    assert "a symbolic link or a file is in the way" in refused.stderr
    assert os.listdir(outside) == []


def test_every_host_of_a_remote_gets_it_and_one_that_fails_keeps_no_other_from_it(
    sandbox, short_tmp
):
    (short_tmp / "data").mkdir()
    (short_tmp / "data" / "a").write_text("x")
    (home_of(sandbox) / "data").write_text("in the way")
    done = run_genvx("remote", "push", str(short_tmp / "data"), "data", "--json")
    failed, other = checked(done, 6)["copies"]
    assert (failed["host"], failed["exit_code"]) == ("gpu-server-1", 6)
    assert (other["host"], other["files"]) == ("gpu-server-2", 1)
    assert (home_of(sandbox, 1) / "data" / "a").read_text() == "x"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((".", "data"), "say on which host, as in genvx push DIR HOST:data"),
        ((".", "gpu-server-1:"), "say which directory, as in gpu-server-1:DEST"),
        (("nowhere", "gpu-server-1:x"), "no such directory: "),
        (("", "gpu-server-1:x"), "the directory is empty"),
        ((), "say where it goes, as in genvx push DIR HOST:DEST"),
        (("a", "b", "gpu-server-1:x"), "one directory and one place"),
    ],
)
def test_what_cannot_be_pushed_is_refused(sandbox, short_tmp, words, said):
    refused = push(*words, cwd=short_tmp)
    assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr
