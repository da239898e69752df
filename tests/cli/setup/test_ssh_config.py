"""genvx ssh-config: plain ssh, scp and sftp land inside of an environment."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from genvx.cli.ask.where import Where
from genvx.cli.entries import files
from genvx.cli.entries.entry import entry as entry_for
from genvx.cli.entries.target import Goal
from genvx.errors import InvalidInput
from tests.conftest import run_genvx
from tests.helpers import start_genvx, until

pytestmark = pytest.mark.needs("openssh")


@pytest.fixture
def job(sandbox, tmp_path, monkeypatch):
    """An environment named train with two GPUs on gpu-server-2; and a home of our own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    (tmp_path / "home").mkdir()
    line = ("run", "-g", "2", "--name", "train", "--", "sh", "-c", "echo $GENVX_DEVICES; cat")
    process = start_genvx("remote", *line, stdin=subprocess.PIPE)
    assert process.stdout.readline() == "0,1\n"
    yield process
    process.communicate()


@pytest.fixture
def entry(job, tmp_path):
    """A file of ssh_config with what `ssh-config train` prints."""
    answer = run_genvx("remote", "ssh-config", "train")
    assert (answer.returncode, answer.stderr) == (0, "")
    path = tmp_path / "config"
    path.write_text(answer.stdout)
    return path


def ran(*argv, **options):
    answer = subprocess.run(
        argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, **options
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    return answer.stdout


def holders(name="train"):
    """The processes that hold each environment of that name, wherever."""
    rows = run_genvx("remote", "envs", "--json").stdout
    return [
        {holder["pid"]: holder["command"] for holder in env["holders"]}
        for host in json.loads(rows)["hosts"]
        for env in host["environments"]
        if env["name"] == name
    ]


def test_ssh_lands_inside_of_the_environment(entry):
    seen = ran(
        "ssh", "-F", str(entry), "genvx-train", "printenv GENVX_DEVICES CUDA_VISIBLE_DEVICES"
    )
    devices, uuids = seen.splitlines()
    assert devices == "0,1"
    assert uuids.count("SIM-") == 2


def test_a_command_has_its_own_exit_code_and_streams(entry):
    line = ("ssh", "-F", str(entry), "genvx-train", "cat; echo err >&2; exit 7")
    answer = subprocess.run(line, input="in", capture_output=True, text=True, timeout=60)
    assert (answer.returncode, answer.stdout, answer.stderr) == (7, "in", "err\n")


def test_scp_and_sftp_copy_there_and_back(entry, tmp_path):
    data = os.urandom(300_000)
    (tmp_path / "a").write_bytes(data)
    there = tmp_path / "there"
    ran("scp", "-q", "-F", str(entry), str(tmp_path / "a"), f"genvx-train:{there}")
    assert there.read_bytes() == data
    (tmp_path / "batch").write_text(f"get {there} {tmp_path}/back\n")
    ran("sftp", "-q", "-b", str(tmp_path / "batch"), "-F", str(entry), "genvx-train")
    assert (tmp_path / "back").read_bytes() == data


def test_a_connection_holds_on_to_the_environment(entry, job):
    ssh = subprocess.Popen(
        ["ssh", "-F", str(entry), "genvx-train", "echo there; cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert ssh.stdout.readline() == "there\n"
    job.communicate()
    assert len(holders()) == 1
    ssh.communicate(timeout=30)
    until(lambda: holders() == [])


def test_an_environment_that_has_ended_is_one_line(entry, job):
    job.communicate()
    answer = subprocess.run(
        ["ssh", "-F", str(entry), "genvx-train", "true"], capture_output=True, text=True, timeout=60
    )
    assert answer.returncode == 255
    assert "genvx: no active environment" in answer.stderr


def test_a_host_is_an_entry_for_the_environment_that_one_has_there(job, tmp_path):
    answer = run_genvx("remote", "ssh-config", "gpu-server-2")
    assert answer.returncode == 0
    path = tmp_path / "config"
    path.write_text(answer.stdout)
    assert ran("ssh", "-F", str(path), "genvx-gpu-server-2", "printenv GENVX_DEVICES") == "0,1\n"


def test_an_environment_that_is_named_like_a_host_does_not_stand_in_for_it(job, tmp_path):
    line = ("run", "-g", "1", "--only-host", "gpu-server-1", "--name", "gpu-server-2", "--", "cat")
    other = start_genvx("remote", *line, stdin=subprocess.PIPE)
    until(lambda: holders("gpu-server-2"))
    answer = run_genvx("remote", "ssh-config", "gpu-server-2")
    path = tmp_path / "config"
    path.write_text(answer.stdout)
    assert ran("ssh", "-F", str(path), "genvx-gpu-server-2", "printenv GENVX_DEVICES") == "0,1\n"
    rows = json.loads(run_genvx("remote", "envs", "--name", "gpu-server-2", "--json").stdout)
    (env,) = (env for host in rows["hosts"] for env in host["environments"])
    answer = run_genvx("remote", "ssh-config", env["id"])
    assert f"Host genvx-{env['id']}\n" in answer.stdout
    other.communicate()


def test_write_keeps_the_entry_where_ssh_finds_it_and_remove_takes_it_out(job, tmp_path):
    ssh = tmp_path / "home" / ".ssh"
    ssh.mkdir()
    (ssh / "config").write_text("Host other\n    Port 7\n")
    for _ in range(2):
        answer = run_genvx("remote", "ssh-config", "train", "--write")
        assert (answer.returncode, answer.stdout) == (0, "ssh genvx-train\n")
    ours = tmp_path / "home" / ".config" / "genvx" / "ssh" / "config"
    text = (ssh / "config").read_text()
    assert text == f'Include "{ours}"\n\nHost other\n    Port 7\n'
    assert ours.read_text().count("Host ") == 1
    seen = ran("ssh", "-F", str(ssh / "config"), "genvx-train", "printenv GENVX_DEVICES")
    assert seen == "0,1\n"
    assert run_genvx("remote", "ssh-config", "train", "--remove").returncode == 0
    assert ours.read_text() == ""
    assert run_genvx("remote", "ssh-config", "train", "--remove").returncode == 2


def test_the_newest_entry_of_a_name_is_the_one_that_counts(job, tmp_path):
    """An environment ends, and another of its name begins."""
    assert run_genvx("remote", "ssh-config", "train", "--write").returncode == 0
    job.communicate()
    line = ("run", "-g", "1", "--name", "train", "--", "cat")
    other = start_genvx("remote", *line, stdin=subprocess.PIPE)
    until(holders)
    assert run_genvx("remote", "ssh-config", "train", "--write").returncode == 0
    ours = tmp_path / "home" / ".config" / "genvx" / "ssh" / "config"
    assert ours.read_text().count("genvx-train") == 1
    assert ran("ssh", "-F", str(ours), "genvx-train", "printenv GENVX_DEVICES") == "0\n"
    other.communicate()


def test_entries_that_are_written_at_the_same_time_are_all_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    together = threading.Barrier(8)

    def write(number):
        together.wait(30)
        files.keep([f"genvx-{number}"], f"# one\nHost genvx-{number}\n    HostKeyAlias a\n")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert files.file().read_text().count("Host genvx-") == 8


def test_an_entry_means_the_same_files_in_every_directory(tmp_path, monkeypatch):
    config = tmp_path / "100%done"
    for name, path in (("HOME", tmp_path), ("XDG_CONFIG_HOME", config)):
        monkeypatch.setenv(name, str(path))
    monkeypatch.setenv("GENVX_SSH_CONFIG", "~/lab_config")
    where = Where(remote=True, hostfile="~/hosts")
    text = entry_for(where, ["genvx-h"], Goal(SimpleNamespace(name="h")), "raz")
    (tmp_path / "config").write_text(text)
    line = ("ssh", "-G", "-F", tmp_path / "config", "genvx-h")
    read = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    assert f"GENVX_SSH_CONFIG={tmp_path}/lab_config" in read
    assert f" -f {tmp_path}/hosts " in read
    assert f"\nuserknownhostsfile {config}/genvx/ssh/known_hosts\n" in read


def test_a_path_that_would_be_two_lines_of_ssh_config_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    where = Where(remote=True, hostfile="/tmp/a\nProxyCommand evil")
    with pytest.raises(InvalidInput, match="cannot be written into ssh_config"):
        entry_for(where, ["genvx-h"], Goal(SimpleNamespace(name="h")), "raz")


def test_what_is_neither_host_nor_environment_is_refused(job):
    answer = run_genvx("remote", "ssh-config", "nothing")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == "genvx: 'nothing' is no host, and no environment or run of yours\n"


def test_python_is_named_by_its_path(entry):
    assert "ProxyCommand /usr/bin/env " in entry.read_text()
    assert f"{sys.executable} -P -m genvx remote -f /" in entry.read_text()


def test_a_connection_that_ends_leaves_the_others_alone(entry, job):
    before = holders()
    ran("ssh", "-F", str(entry), "genvx-train", "true")
    until(lambda: holders() == before)
    job.stdin.write("still there\n")
    job.stdin.flush()
    assert job.stdout.readline() == "still there\n"


SERVER = """
import os, socket
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    connection, _ = listener.accept()
    with connection:
        connection.sendall(os.environ["GENVX_DEVICES"].encode())
"""


def test_an_editors_way_in_works_one_connection_a_script_on_stdin_and_a_forwarded_port(
    entry, short_tmp
):
    """What Emacs and VS Code do: sessions share a connection, a server that was started by a script
    is reached through it."""
    (before,) = holders()
    shared = ("-F", str(entry), "-o", f"ControlPath={short_tmp}/c", "-o", "ControlMaster=auto")
    first = subprocess.Popen(
        ("ssh", *shared, "-T", "genvx-train", "bash"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    first.stdin.write(f"{sys.executable} -c '{SERVER}' &\n")
    first.stdin.flush()
    port = first.stdout.readline().strip()
    assert ran("ssh", *shared, "genvx-train", "echo $GENVX_DEVICES") == "0,1\n"
    ran("ssh", *shared, "-O", "forward", "-L", f"{short_tmp}/s:127.0.0.1:{port}", "genvx-train")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{short_tmp}/s")
        assert client.recv(100) == b"0,1"
    (now,) = holders()
    assert len(now) == len(before) + 1, "an sshd closes the lease, and who started it holds it"
    first.communicate("exit 3\n", timeout=60)
    assert first.returncode == 3
