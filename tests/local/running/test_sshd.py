"""An sshd of one's own for one connection, on real OpenSSH."""

from __future__ import annotations

import os
import secrets
import shlex
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from genvx.errors import CommandNotFound, StateError
from genvx.local.running import sshd
from genvx.sandbox import files

SERVE = """
import os, subprocess, sys
from genvx.local.running import sshd
key, *places = sys.argv[1:]
variables = {"DEVICES": "0,1", "TOKEN": os.environ["HIDDEN"], "NAME": 'a "b\\\\ c'}
argv = sshd.command(sshd.find({}), key, places, variables)
sys.exit(subprocess.run(argv).returncode)
"""
# The home of the user is read-only, and nothing on it can be executed.
APART = """
set -e
mount --bind "$D/passwd" /etc/passwd
mount --bind "$D/shadow" /etc/shadow
mount --bind "$D/home" "$D/home"
mount -o remount,bind,ro,noexec "$D/home"
cd /
exec setpriv --reuid="$1" --regid="$1" --clear-groups "$2" -S -c "$3" "$4" "$D/home" "$D/var"
"""


def host_key(places):
    """The host key that a server would have."""
    line = next(
        line
        for line in Path(sshd.command("sshd", "key", places, {})[-1]).read_text().splitlines()
        if line.startswith("HostKey ")
    )
    return Path(line.split()[1]).read_bytes()


@pytest.mark.needs("openssh", "uids", "namespaces")
@pytest.mark.parametrize("uid", [12345, 0], ids=["a user", "root without a password"])
def test_it_needs_no_root_and_no_home_that_can_be_written(short_tmp, world, uid):
    name = "root" if uid == 0 else "carol"
    short_tmp.chmod(0o755)
    for each in ("home", "var"):
        (short_tmp / each).mkdir(mode=0o700)
        os.chown(short_tmp / each, uid, uid)
    lines = [
        line for line in Path("/etc/passwd").read_text().splitlines() if line.split(":")[0] != name
    ]
    entry = f"{name}:x:{uid}:{uid}::{short_tmp}/home:/bin/sh"
    (short_tmp / "passwd").write_text("\n".join([entry, *lines, ""]))
    (short_tmp / "shadow").write_text(f"{name}:!*:19000::::::\n")
    (short_tmp / "shadow").chmod(0o640)
    public = files.make_key(str(short_tmp / "key"), "test")
    server = ["unshare", "--mount", "sh", "-c", APART, "sh", str(uid), world.python, SERVE, public]
    line = [
        *("ssh", "-F", "/dev/null", "-o", f"ProxyCommand={shlex.join(server)}"),
        *("-o", f"UserKnownHostsFile={short_tmp}/known_hosts", "-o", "LogLevel=ERROR"),
        *("-o", "StrictHostKeyChecking=accept-new", "-i", f"{short_tmp}/key", f"{name}@x"),
        "id -u; echo $DEVICES; echo $NAME; echo $TOKEN; ps -ww -eo args",
    ]
    token = secrets.token_hex()
    environ = {**os.environ, "D": str(short_tmp), "PYTHONPATH": world.path, "HIDDEN": token}
    for _ in range(2):
        answer = subprocess.run(line, capture_output=True, text=True, timeout=60, env=environ)
        assert (answer.returncode, answer.stderr) == (0, "")
        first, devices, label, hidden, *commands = answer.stdout.splitlines()
        assert (first, devices, label, hidden) == (str(uid), "0,1", "a _b_ c", token)
        assert commands
        assert not any(token in each for each in commands)
    # Where such an sshd can open no terminal, it says so instead of ending the connection.
    answer = subprocess.run(
        [line[0], "-tt", *line[1:-1], "id -u"],
        capture_output=True,
        text=True,
        timeout=60,
        env=environ,
        stdin=subprocess.DEVNULL,
    )
    refused = "PTY allocation request failed" in answer.stderr
    assert refused or (answer.returncode, answer.stdout.strip()) == (0, str(uid))
    assert os.listdir(short_tmp / "home") == []
    assert os.listdir(short_tmp / "var") == ["host_key"]
    assert stat.S_IMODE((short_tmp / "var" / "host_key").stat().st_mode) == 0o600


@pytest.mark.needs("openssh")
def test_of_many_who_make_a_host_key_at_once_all_have_the_same(tmp_path):
    place = tmp_path / "a" / "place"
    keys = []
    makers = [
        threading.Thread(target=lambda: keys.append(host_key([str(place)]))) for _ in range(5)
    ]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert len(keys) == 5
    assert len(set(keys)) == 1
    assert b"OPENSSH PRIVATE KEY" in keys[0]


@pytest.mark.needs("openssh")
def test_what_a_killed_maker_has_left_is_deleted_and_the_key_stays(tmp_path):
    key = host_key([str(tmp_path)])
    for name in ("host_key.0a1b2c", "host_key.0a1b2c.pub"):
        (tmp_path / name).write_text("half")
    assert host_key([str(tmp_path)]) == key
    assert os.listdir(tmp_path) == ["host_key"]


@pytest.mark.needs("openssh")
@pytest.mark.parametrize("which", [".", "host_key"])
def test_a_host_key_that_others_could_have_written_is_not_used(tmp_path, which):
    host_key([str(tmp_path)])
    (tmp_path / which).chmod(0o777)
    with pytest.raises(StateError, match="could be of another user"):
        host_key([str(tmp_path)])


def test_a_host_without_openssh_is_said(monkeypatch):
    monkeypatch.setattr(sshd, "_PLACES", "/nowhere")
    with pytest.raises(CommandNotFound, match="no sshd here; ssh-config needs OpenSSH's server"):
        sshd.find({"PATH": "/nowhere"})


def test_a_place_for_the_host_key_that_cannot_be_read_leaves_the_next_one(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    good = tmp_path / "good"
    assert sshd.host_key([str(tmp_path / "loop" / "ssh"), str(good)]) == sshd.host_key([str(good)])
