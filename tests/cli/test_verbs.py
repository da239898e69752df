"""What people see: tables, lines, and what root does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, run_genvx
from tests.helpers import (
    Terminal,
    end,
    genvx_argv,
    genvx_env,
    held_on_hosts,
    start_genvx,
    until,
)


def rows(answer):
    assert answer.returncode == 0, answer.stderr
    return [re.split(r"\s{2,}", line) for line in answer.stdout.splitlines()]


def test_devices_are_shown_with_who_has_them(state):
    shown = rows(run_genvx("run", "-g", "1", "-n", "my env", "--", *genvx_argv("devices")))
    assert shown[0] == ["GPU", "NAME", "MEMORY", "USED", "UTIL", "STATE", "USER", "ENV", "SINCE"]
    assert shown[1][:6] == ["0", "A100-80GB (simulated)", "80 GiB", "0 MiB", "0 %", "leased"]
    assert shown[1][7] == "my env"
    assert shown[2][5] == "free"
    assert shown[4] == ["Total 2 devices with 1 available"]


def test_a_share_is_shown_as_shared(state):
    inside = genvx_argv("devices", "--csv", "--no-header")
    answer = run_genvx("run", "--gpu-memory", "40G", "--", *inside)
    assert answer.stdout.splitlines()[0].split(",")[5] == "shared"
    shown = run_genvx("run", "--gpu-memory", "40G", "--", *genvx_argv("envs"))
    assert "0 (simulated, 40 GiB each)" in shown.stdout


def test_header_and_summary_can_be_left_out(state):
    answer = run_genvx("devices", "--no-header", "--no-summary")
    assert len(answer.stdout.splitlines()) == 2
    assert run_genvx("envs", "--no-header", "--no-summary").stdout.strip() == ""


def test_a_terminal_that_cannot_show_a_name_shows_it_escaped(state):
    answer = run_genvx(
        "run", "-g", "0", "-n", "日本", "--", *genvx_argv("envs"), env={"PYTHONIOENCODING": "ascii"}
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "\\u65e5\\u672c" in answer.stdout


def test_status_shows_this_environment_or_this_host(state):
    outside = run_genvx("status").stdout
    assert "devices       2, 2 available" in outside
    inside = run_genvx("run", "-g", "2", "-n", "x", "--", *genvx_argv("status")).stdout
    assert re.search(r"environment  x \([0-9a-f]{8}\)", inside)
    assert "0, 1: A100-80GB (simulated)" in inside


def test_status_does_not_believe_a_variable_that_names_a_dead_environment(state):
    answer = run_genvx("status", env={"GENVX_ENVIRONMENT_ID": "deadbeef"})
    assert "deadbeef: not active any more" in answer.stdout


@pytest.mark.needs("openssh")
def test_remote_verbs_show_a_line_a_host(sandbox):
    assert rows(run_genvx("remote", "status"))[:3] == [
        ["HOST", "DRIVER", "DEVICES", "AVAILABLE", "ENVS", "GENVX"],
        ["gpu-server-1", "simulated", "1", "1", "0", rows(run_genvx("version"))[0][0].split()[1]],
        ["gpu-server-2", "simulated", "2", "2", "0", rows(run_genvx("version"))[0][0].split()[1]],
    ]
    by_device = rows(run_genvx("remote", "devices", "-v"))
    assert [row[:2] for row in by_device[1:4]] == [
        ["gpu-server-1", "0"],
        ["gpu-server-2", "0"],
        ["gpu-server-2", "1"],
    ]
    doctor = rows(run_genvx("remote", "doctor"))
    assert doctor[0] == ["HOST", "CHECK", "RESULT", "ADVICE"]
    assert any("warning: devices are simulated" in row for row in doctor)


@pytest.mark.needs("openssh")
def test_releasing_on_a_host_frees_its_devices(sandbox):
    process = start_genvx("remote", "run", "-g", "2", "-n", "x", "--", "sleep", "600")
    until(held_on_hosts)
    answer = run_genvx("remote", "release", "x")
    assert re.fullmatch(r"Released x \([0-9a-f]{8}\) on gpu-server-2: 2 devices\n", answer.stdout)
    assert "gpu-server-2,2,2" in run_genvx("remote", "devices", "--csv").stdout
    missing = run_genvx("remote", "release", "x")
    assert missing.returncode == 2
    assert missing.stderr == "genvx: no active environment 'x' on any host\n"
    end(process)


@pytest.mark.needs("openssh")
def test_a_name_on_two_hosts_must_be_told_apart(make_sandbox):
    make_sandbox("1", "1")
    both = [start_genvx("remote", "run", "-g", "1", "-n", "x", "--", "sleep", "600") for _ in "ab"]
    until(lambda: held_on_hosts() == ["x", "x"])
    answer = run_genvx("remote", "release", "x")
    assert answer.returncode == 2
    assert "give its id, or one host with -H" in answer.stderr
    assert run_genvx("remote", "-H", "gpu-server-1", "release", "x").returncode == 0
    for process in both:
        end(process)


@pytest.mark.needs("openssh")
def test_watch_keeps_its_connections(sandbox):
    terminal = Terminal(genvx_argv("remote", "devices", "-w", "--interval", "0.2"), genvx_env())
    for _ in range(3):
        terminal.expect("Total 3 devices with 3 available on 2 hosts")
    terminal.key("\x03")
    assert terminal.end() == 130
    # Three looks or more, and one login each.
    for host in sandbox.hosts:
        log = Path(host.path("log")).read_text()
        assert log.count("Accepted publickey") == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_of_that_shell(state, shell):
    answer = run_genvx("completion", shell)
    assert answer.returncode == 0
    assert "_GENVX_COMPLETE" in answer.stdout


@pytest.mark.needs("bash")
def test_completion_completes_verbs(state):
    answer = run_genvx(
        env={"_GENVX_COMPLETE": "complete_bash", "COMP_WORDS": "genvx dev", "COMP_CWORD": "1"}
    )
    assert answer.stdout.split() == ["devices"]


def test_a_fault_is_one_line_and_asks_for_a_report(state, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import genvx.core.quantities.amounts as u\n"
        "def broken(size): raise RuntimeError('boom\\x1b[31m')\n"
        "u.format_memory = broken\n"
    )
    env = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    answer = subprocess.run(
        genvx_argv("devices"), env={**os.environ, **env}, capture_output=True, text=True
    )
    assert (answer.returncode, answer.stderr.count("\n")) == (1, 1)
    assert "a fault of genvx: RuntimeError: boom\\x1b[31m" in answer.stderr
    assert "GENVX_DEBUG=1" in answer.stderr


@pytest.mark.needs("namespaces")
@pytest.mark.parametrize(("arguments", "mode"), [([], "1777"), (["--group", "daemon"], "3770")])
def test_provisioning_makes_what_the_docs_say_and_can_be_done_again(arguments, mode):
    words = " ".join([sys.executable, "-m", "genvx", "admin", "provision", *arguments])
    script = f"""
set -e
mount -t tmpfs tmpfs /var/lib; mkdir -p /etc/tmpfiles.d; mount -t tmpfs tmpfs /etc/tmpfiles.d
umask 077
{words}; {words}
stat -c '%a %U %n' /var/lib/genvx /var/lib/genvx/leases /var/lib/genvx/acquire.lock
cat /etc/tmpfiles.d/genvx.conf
unset GENVX_STATE_DIR
export GENVX_SIMULATE=1xA100-80GB
{sys.executable} -m genvx run -g 1 -- find /var/lib/genvx/leases -name '*.lease'
"""
    answer = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], env=genvx_env(), capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr
    assert "755 root /var/lib/genvx\n" in answer.stdout
    assert f"{mode} root /var/lib/genvx/leases\n" in answer.stdout
    lock = "666" if mode == "1777" else "660"
    assert f"{lock} root /var/lib/genvx/acquire.lock\n" in answer.stdout
    assert f"d /var/lib/genvx/leases {mode} root" in answer.stdout
    assert re.search(r"/var/lib/genvx/leases/0/[0-9a-f]{16}\.lease\n$", answer.stdout)


@pytest.mark.needs("root")
def test_provisioning_for_a_group_that_is_not_there_does_nothing(state):
    answer = run_genvx("admin", "provision", "--group", "no-such-group")
    assert (answer.returncode, answer.stderr) == (
        2,
        "genvx: no group 'no-such-group' on this machine\n",
    )
