"""What users mount on what is theirs stops nobody else, whether its server is dead or says nothing;
and a /var/tmp that only some see is told of.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from genvx.core.requests.ask import Ask
from genvx.local.host import LocalHost
from genvx.local.state import mounts
from tests.capabilities import USER_A, USER_B
from tests.helpers import ROOT, genvx_argv, genvx_env

FUSE = ROOT / "tests" / "fuse.py"

# Everything that looks at others' files, in one process.
LOOK = """
import json
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.local.host import LocalHost
from genvx.local.turns import take_turn
host = LocalHost()
doctor = [finding.result for finding in host.doctor()]
hold = host.acquire(Ask(Requirements(2), name="mine"))
joined = host.join(hold.grant.environment_id)
take_turn(host, hold.grant.environment_id, patience=10).withdraw()
shown = host.snapshot()
print(json.dumps({"names": [e.name for e in shown.environments], "odd": list(shown.odd),
                  "notes": list(hold.grant.notes), "doctor": doctor}))
host.release("mine")
"""


def file_of(user, path):
    path.touch()
    os.chown(path, user, user)
    path.chmod(0o666)
    return path


def directory_of(user, path):
    path.mkdir()
    os.chown(path, user, user)
    return path


@pytest.mark.needs("uids", "fuse")
@pytest.mark.parametrize("mode", ["hung", "dead"])
@pytest.mark.parametrize("layout", ["provisioned", "sticky"])
@pytest.mark.parametrize("user", [USER_B, 0])
def test_a_mount_on_what_is_ones_own_stops_nobody(world, shared_state, mode, layout, user):
    root, leases, prefix, lock = shared_state, shared_state / "leases", "", "acquire.lock"
    if layout == "sticky":
        root = leases = shared_state / "flat"
        prefix, lock = ".genvx-", ".genvx.lock"
        root.mkdir()
        root.chmod(0o1777)
    own = directory_of(USER_A, leases / f"{prefix}{USER_A}")
    places = [
        # Regular files may be mounted on by all who may write them.
        file_of(0 if layout == "provisioned" else USER_A, root / lock),
        directory_of(USER_A, leases / f"{prefix}{USER_A}.0123abcd"),
        directory_of(USER_A, leases / f"{prefix}{USER_B}"),
        directory_of(USER_A, leases / f"{prefix}0"),
        file_of(USER_A, own / "00aa00aa00aa00aa.lease"),
        file_of(USER_A, own / "00aa00aa00aa00aa.ticket"),
        file_of(USER_A, own / "00aa00aa00aa00aa.turn"),
    ]
    for uid in range(70000, 70600 if layout == "sticky" else 70000):  # a crowd
        directory_of(USER_A, leases / f"{prefix}{uid}")
    answer = subprocess.run(
        [
            *("unshare", "--mount", sys.executable, FUSE, mode, str(user), *places, "--"),
            *world.command(LOOK),
        ],
        env=world.environ(GENVX_STATE_DIR=str(root), GENVX_SIMULATE="2xA100-80GB"),
        cwd="/",
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, (answer.returncode, answer.stderr)
    shown = json.loads(answer.stdout)
    assert shown["names"] == ["mine"]
    assert [odd for odd in shown["odd"] if "a file system is mounted on it" not in odd] == []
    assert len(shown["odd"]) == 5
    assert all("a file system is mounted on it" in note for note in shown["notes"])
    assert any("has a file system mounted on it" in line for line in shown["doctor"])


def test_what_is_opened_is_what_was_checked(short_tmp):
    (short_tmp / "file").write_text("mine")
    (short_tmp / "link").symlink_to("file")
    directory = os.open(short_tmp, mounts.OPEN_DIRECTORY)
    mount = mounts.mount_of(directory)
    descriptor = mounts.open_file("file", directory, mount)
    assert os.read(descriptor, 10) == b"mine"
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)
    for opener in (mounts.open_file, mounts.open_directory):
        with pytest.raises(OSError, match=r"link|Not a directory"):
            opener("link", directory, mount)
    os.close(directory)


PRIVATE = """
mkdir -p $S/systemd-private-0-job/tmp
chmod 1777 $S $S/systemd-private-0-job/tmp
mount --bind $S/systemd-private-0-job/tmp /var/tmp
"""
IS_PRIVATE = 'from genvx.local.state import mountinfo; print(mountinfo.is_private("/var/tmp"))'


@pytest.mark.needs("namespaces", "root")
def test_a_var_tmp_of_ones_own_is_told_of(short_tmp):
    script = f"""
set -e
mount -t tmpfs tmpfs /var/lib
{PRIVATE.replace("$S", str(short_tmp))}
unset GENVX_STATE_DIR
export GENVX_SIMULATE=1xA100-80GB
{" ".join(genvx_argv())} run -g 1 -- true
{" ".join(genvx_argv())} acquire -g 1 --for 1h >/dev/null
{" ".join(genvx_argv())} doctor || true
"""
    answer = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], env=genvx_env(), capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr
    line = "/var/tmp is not that of the whole machine here (PrivateTmp"
    assert line in answer.stdout
    assert answer.stderr.startswith(f"genvx: {line}")
    assert answer.stderr.splitlines() == answer.stderr.splitlines()[:1] * 2


@pytest.mark.needs("namespaces", "root")
@pytest.mark.parametrize(
    ("setup", "private"),
    [
        (PRIVATE, True),
        ("mount -t tmpfs tmpfs /var/tmp", True),
        ("mount -t tmpfs tmpfs /var", True),
        ("mount --bind /var/tmp /var/tmp", False),
        ("true", False),
    ],
)
def test_only_a_var_tmp_that_others_do_not_see_is_private(short_tmp, setup, private):
    script = f"{setup.replace('$S', str(short_tmp))}\nexec {sys.executable} -c '{IS_PRIVATE}'"
    answer = subprocess.run(
        ["unshare", "--mount", "sh", "-ec", script], env=genvx_env(), capture_output=True, text=True
    )
    assert answer.stdout == f"{private}\n", answer.stderr


@pytest.mark.needs("namespaces")
def test_in_a_time_namespace_reservations_are_judged_by_the_clock_of_the_machine(state):
    """Root's clean-up would delete everybody's."""
    host = LocalHost()
    from genvx.core.requests.requirements import Requirements

    host.reserve(Ask(Requirements(1), lasts=600.0, name="kept"))
    for offset in ("864000", "-1"):
        answer = subprocess.run(
            ["unshare", "--time", "--boottime", offset, "--fork", *genvx_argv("envs")],
            env=genvx_env(),
            capture_output=True,
            text=True,
        )
        assert "kept" in answer.stdout, answer.stderr
    assert [each.name for each in host.snapshot().environments] == ["kept"]
