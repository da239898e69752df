"""Bad input gets one clear line, the right exit code, no traceback, and no control
character; nothing happens.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import run_genvx
from tests.helpers import (
    Terminal,
    end,
    genvx_argv,
    genvx_env,
    held_on_hosts,
    start_genvx,
    until,
)
from torture.servers import misbehaving, silent


def one_line(answer, code):
    assert answer.returncode == code, (answer.stdout, answer.stderr)
    assert answer.stdout == ""
    assert answer.stderr.count("\n") == 1
    assert answer.stderr[:-1].isprintable()
    return answer.stderr


GROUPS = ("remote", "jupyter", "admin", "sandbox")


@pytest.mark.parametrize("verb", ["run", "activate"])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--gpus", "-1"], "--gpus is a whole number"),
        (["--gpus", "1.5"], "--gpus is a whole number"),
        (["--gpus", "99999"], "--gpus is a whole number"),
        (["--gpus", "; rm -rf /"], "not a request for GPUs"),
        (["--gpus", "A100:B200:2"], "not a request for GPUs"),
        (["--gpus", "80G..24G"], "no device has 80 GiB or more and 24 GiB or less"),
        (["--min-memory", "much"], "not a size"),
        (["--device", "$(touch x)"], "neither the number nor the UUID"),
        (["--device", "0", "--gpus", "2"], "2 GPUs wanted, but 1 devices named"),
        (["--spread", "--pack", "-g", "1"], "either --spread or --pack"),
        (["--tag", "x", "-g", "1"], "select hosts of genvx remote"),
        (["--gpus", ""], "--gpus is a whole number"),
        (["--gpus", "\x1b[31m"], "\\x1b[31m"),
        (["--gpu-memory", "40"], "no unit"),
        (["--gpu-memory", "-40G"], "--gpu-memory: not a size"),
        (["--gpu-memory", "0G"], "out of range"),
        (["--gpu-memory", "9999999T"], "out of range"),
        (["--name", "a\nb"], "printable"),
        (["--name", "\x1b]0;pwned\x07"], "printable"),
        (["--name", " a"], "space"),
        (["--name", "x" * 200], "128"),
        (["-n", "2"], "only a name; try --gpus 2, or genvx remote run --nodes 2"),
        (["--time", "2"], "--time: '2' has no unit; write 2h, 2m or 2s"),
        (["--wait", "30"], "'30' has no unit"),
        (["--wait", "30x"], "not a duration: '30x'"),
        (["--no-such-option"], "No such option"),
    ],
)
def test_bad_requests(state, verb, arguments, words):
    assert words in one_line(run_genvx(verb, *arguments, "--", "true"), 2)
    assert not state.exists() or not list(state.rglob("*.lease"))


def test_a_name_with_quotes_and_commands_is_only_a_name(state, tmp_path):
    name = "'; touch pwned; $(touch pwned) `touch pwned` \" | & > pwned"
    answer = run_genvx("run", "-n", name, "--", "printenv", "GENVX_ENVIRONMENT_NAME")
    assert answer.stdout == name + "\n"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["frobnicate"], "No such command"),
        *(([group], f"{group}: Missing command; see genvx {group} --help") for group in GROUPS),
        (["devices", "extra"], "unexpected extra argument"),
        (["release"], "Missing argument"),
        (["run", "--gpus"], "requires an argument"),
        (["release", "nope"], "no active environment 'nope' here"),
        (["release", "\x1b[2J"], "\\x1b[2J"),
        (["run"], "no command to run"),
        (["completion", "cmd"], "completion is for"),
        (["deactivate"], "no environment is active"),
        (["runs", "--since", "5"], "--since: '5' has no unit"),
        (["runs", "stop", "1", "--grace", "soon"], "--grace: not a duration"),
        (["acquire", "--for", "99999d"], "--for: a duration is more than 0 and at most 36500d"),
        (["run", "-d", "--project", "/no/such", "--", "true"], "no such directory: /no/such"),
        (["run", "-d", "--notify", "http://x.org/", "--", "true"], "a webhook needs https://"),
        (["run", "-d", "--only-host", "a", "--", "true"], "select hosts of genvx remote"),
        (["sweep", "-P", "a=0..1", "--trials", "1", "--notify", "x", "--", "true"], "no notifier"),
        (["sweep", "--space", "no.json", "--", "true"], "cannot read no.json: No such file"),
        (["run", "-d", "-C", "x" * 5000, "-g", "1", "--", "true"], "--chdir has at most 4096"),
        (
            ["run", "-d", "--notify", "mail -s x me", "-g", "1", "--", "true"],
            "--notify is the name of a notifier, or command:PATH,",
        ),
        (["devices", "--interval", "0"], "0.2"),
        (["admin", "provision", "--fence"], "only root's systemd filters devices"),
        (["sandbox", "up", "--gpus", "x"], "not a number of GPUs"),
        (["sandbox", "up", "--gpus", "-1"], "not a number of GPUs"),
        (["sandbox", "up", "--server", "iis"], "openssh or embedded"),
        (["sandbox", "down", "--dir", "/var/tmp/genvx-no-such"], "no sandbox is up"),
        (["sandbox", "up", "--dir", "/var/tmp/a b"], "no spaces"),
    ],
)
def test_bad_usage(state, arguments, words):
    assert words in one_line(run_genvx(*arguments), 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "GENVX_HOSTFILE"),
        (["-f", "no-such-file"], "cannot read the hostfile"),
        (["-H", "a;b"], "not a host name"),
        (["-H", ""], "names no host"),
        (["-H", "-oProxyCommand=touch pwned"], "not a host name"),
        (["-H", "a", "-f", "b"], "not both"),
        (["-H", "a", "-t", "0"], "duration"),
        (["-H", "a", "-t", "soon"], "--timeout: not a duration"),
        (["-H", "a", "-l", "-x"], "not a user name"),
        (["-H", "a", "--fanout", "0"], "fanout"),
        (["-H", "a,b", "sweep", "-P", "a=1,2", "--on", "c", "--", "x"], "in this fleet of a, b"),
        (["-H", "a;b", "run", "--", "x"], "not a host name"),
        (["-H", "a", "run", "-d", "-N", "2", "--retries", "1", "-g", "1", "--", "x"], "--retries"),
    ],
)
def test_bad_hosts(state, tmp_path, arguments, words):
    verb = [] if {"run", "sweep"} & {*arguments} else ["devices"]
    assert words in one_line(run_genvx("remote", *arguments, *verb), 2)
    assert not (tmp_path / "pwned").exists()


def test_a_bad_hostfile_line_is_named(state, tmp_path):
    (tmp_path / "h").write_text("good\nbad\x1b[31m host\n")
    line = one_line(run_genvx("remote", "-f", "h", "devices"), 2)
    assert "h:2:" in line


@pytest.mark.parametrize(
    "text", ["x", "-1xA", "2xA100", "2xA100-80", "9999xA100-80GB", "2xA100-80GB;id", ","]
)
def test_a_bad_simulation_is_named(state, monkeypatch, text):
    monkeypatch.setenv("GENVX_SIMULATE", text)
    assert "GENVX_SIMULATE" in one_line(run_genvx("devices"), 2)


def test_an_ssh_config_that_ssh_refuses_is_that_hosts_failure(state, tmp_path, monkeypatch):
    (tmp_path / "cfg").write_text("Nonsense yes\n")
    monkeypatch.setenv("GENVX_SSH_CONFIG", str(tmp_path / "cfg"))
    answer = run_genvx("remote", "-H", "a", "devices", "--no-header", "--no-summary")
    assert "a: config: ssh refuses its configuration" in one_line(answer, 4)


@pytest.mark.needs("openssh")
def test_one_good_one_refusing_and_one_silent_host(sandbox, tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    with misbehaving(silent) as port:
        hosts = f"127.0.0.1:{closed},gpu-server-2,127.0.0.1:{port}"
        answer = run_genvx("remote", "-H", hosts, "-t", "5", "devices")
    assert answer.returncode == 4
    assert answer.stdout.splitlines()[1].split()[:3] == ["gpu-server-2", "2", "2"]
    assert answer.stdout.splitlines()[-1] == "Total 2 devices with 2 available on 1 hosts"
    assert [line.split(": ")[:2] for line in answer.stderr.splitlines()] == [
        [f"127.0.0.1:{closed}", "refused"],
        [f"127.0.0.1:{port}", "timeout"],
    ]


@pytest.mark.parametrize(
    "words",
    [
        ("run", "-g", "1", "--", "true"),
        ("run", "-g", "1", "--wait", "--", "true"),
        ("run", "-g", "1", "-N", "2", "--", "true"),
        ("run", "--id", "mine", "--", "true"),
        ("acquire", "-g", "1", "--for", "1h"),
        ("release", "mine"),
        ("ssh-config", "mine"),
    ],
)
def test_where_no_host_answers_that_is_the_headline_and_the_code_is_4(state, words):
    answer = run_genvx("remote", "-H", "no-such-1.invalid,no-such-2.invalid", *words)
    assert (answer.returncode, answer.stdout) == (4, "")
    headline, *reasons = answer.stderr.splitlines()
    assert headline == "No host answered"
    assert [reason.split(":")[0].strip() for reason in reasons] == [
        "no-such-1.invalid",
        "no-such-2.invalid",
    ]


@pytest.mark.needs("openssh")
def test_where_one_answers_that_it_is_full_the_code_is_3(sandbox):
    keeper = start_genvx("remote", "run", "-g", "2", "--", "sleep", "600")
    until(held_on_hosts)
    hosts = ("-H", "no-such.invalid,gpu-server-2")
    answer = run_genvx("remote", *hosts, "run", "-g", "1", "--", "true")
    assert answer.returncode == 3
    assert answer.stderr.startswith("Cannot find a host with enough available resources\n")
    end(keeper)


@pytest.mark.needs("openssh")
def test_a_command_that_is_not_there_is_127_and_names_the_host(sandbox):
    answer = run_genvx("remote", "run", "-g", "2", "--", "no-such-command")
    assert (answer.returncode, answer.stderr) == (
        127,
        "genvx: gpu-server-2: command not found: no-such-command\n",
    )
    terminal = Terminal(
        genvx_argv("remote", "activate", "-g", "2", "--", "/etc/passwd"), genvx_env()
    )
    terminal.expect("genvx: gpu-server-2: not an executable file: /etc/passwd")
    assert terminal.end() == 126


@pytest.mark.needs("openssh")
def test_quiet_and_exit_on_error(sandbox):
    hosts = ["-H", "no-such.invalid,gpu-server-1"]
    quiet = run_genvx("remote", *hosts, "-q", "devices")
    assert (quiet.returncode, quiet.stderr) == (4, "")
    strict = run_genvx("remote", "-H", "no-such.invalid", "-e", "devices")
    assert "no-such.invalid" in one_line(strict, 4)


def test_no_room_locally_is_one_line(state):
    assert "3 GPUs wanted, but this host has 2 at most" in one_line(
        run_genvx("run", "-g", "3", "true"), 2
    )


@pytest.mark.needs("uids")
def test_somebody_elses_environment_cannot_be_released(world, shared_state, monkeypatch):
    from tests.capabilities import USER_A, USER_B
    from tests.local.test_hostile_users import TAKE

    env = {"GENVX_STATE_DIR": str(shared_state), "GENVX_SIMULATE": "1xA100-80GB"}
    holder = world.start(USER_A, TAKE.format(count=1, name="theirs"), **env)
    assert holder.stdout.readline()
    code = (
        "import sys\nfrom genvx.errors import GenvxError\nfrom genvx.local.host import LocalHost\n"
        "try: LocalHost().release('theirs')\n"
        "except GenvxError as e: print(e); sys.exit(e.exit_code)"
    )
    answer = world.run(USER_B, code, **env)
    assert answer.returncode == 5
    assert "belongs to" in answer.stdout
    holder.kill()
    holder.communicate()


def connections_to(port):
    lines = Path("/proc/net/tcp").read_text().splitlines()
    return sum(
        line.split()[2].endswith(f":{port:04X}") and line.split()[3] == "01" for line in lines
    )


def test_ctrl_c_ends_a_waiting_question_with_130(state):
    with misbehaving(silent) as port:
        terminal = Terminal(
            genvx_argv("remote", "-H", f"127.0.0.1:{port},localhost:{port}", "-t", "50", "devices"),
            genvx_env(),
        )
        # Both are connected, and wait for a banner.
        until(lambda: connections_to(port) == 2)
        terminal.key("\x03")
        assert terminal.end() == 130
        assert "Traceback" not in terminal.child.before


def test_a_pipe_that_is_closed_is_no_error(state):
    command = " ".join(genvx_argv("devices", "--json")) + " | head -c 1"
    answer = subprocess.run(["sh", "-c", command], env=genvx_env(), capture_output=True, text=True)
    assert (answer.stdout, answer.stderr) == ("{", "")


@pytest.mark.parametrize("arguments", [["--help"], ["remote", "--help"], [], ["-h"]])
def test_help_fits_a_screen(state, arguments):
    answer = run_genvx(*arguments)
    assert answer.returncode == 0
    assert answer.stdout.count("\n") <= 55
    assert max(map(len, answer.stdout.splitlines())) <= 100


@pytest.mark.parametrize(
    "verb", ["devices", "envs", "activate", "run", "status", "release", "doctor"]
)
def test_every_verb_has_help_with_an_example(state, verb):
    for arguments in ([verb], ["remote", verb]):
        answer = run_genvx(*arguments, "--help")
        assert answer.returncode == 0
        assert "Example: genvx" in answer.stdout


def test_a_long_question_shows_how_far_it_is_on_a_terminal_only(state):
    with misbehaving(silent) as port:
        words = ["remote", "-H", f"no-such.invalid,127.0.0.1:{port}", "-t", "2", "devices"]
        terminal = Terminal(genvx_argv(*words), genvx_env())
        terminal.expect("/2 hosts, ")
        terminal.expect("failed")
        assert terminal.end() == 4
        assert "hosts," not in run_genvx(*words).stderr
