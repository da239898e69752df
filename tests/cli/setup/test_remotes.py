"""Hosts by name on the command line: --remote before and after verbs, and genvx remotes."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from genvx.cli import app, main
from genvx.cli.parse.scan import on_remote
from genvx.sandbox import files
from genvx.sandbox.ports import reserved
from tests.cli.look.test_json import VALIDATOR
from tests.cli.setup.test_completion import offered
from tests.conftest import run_genvx

# The YAML of Guild's page on remote training, with a host that is there, and its port.
SEED = """\
remotes:
  remote-gpu:
    type: ssh
    host: 127.0.0.1
    user: {user}
    private-key: {key}
    port: {port}
"""


@pytest.fixture
def remotes(tmp_path, monkeypatch):
    """Writes remotes.yml."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def write(text):
        path = tmp_path / "config/genvx/remotes.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return write


@pytest.fixture
def seed(sandbox, monkeypatch):
    """The text of SEED for gpu-server-1. ssh_config only says where host keys are."""
    here = sandbox.directory
    Path(here, "keys_config").write_text(
        "Host 127.0.0.1\n  HostKeyAlias gpu-server-1\n  IdentityAgent none\n"
        f"  UserKnownHostsFile {here}/known_hosts\n  GlobalKnownHostsFile /dev/null\n"
        "Host other\n  HostName 127.0.0.1\n  HostKeyAlias gpu-server-2\n  IdentityAgent none\n"
        f"  UserKnownHostsFile {here}/known_hosts\n  GlobalKnownHostsFile /dev/null\n"
    )
    monkeypatch.setenv("GENVX_SSH_CONFIG", f"{here}/keys_config")
    user = Path(sandbox.ssh_config).read_text().partition("User ")[2].split()[0]
    return SEED.format(user=user, key=f"{here}/id_ed25519", port=sandbox.hosts[0].port)


def ok(*words, code=0):
    answer = run_genvx(*words)
    assert answer.returncode == code, answer.stderr
    return answer.stdout


@pytest.mark.needs("openssh")
def test_the_commands_of_guilds_pages_work_as_they_stand(remotes, seed):
    remotes(
        seed + "  broken: {extends: remote-gpu, venv-path: none, home: there}\n"
        "  stuck: {extends: remote-gpu, venv-activate: sleep 600}\n"
    )
    assert ok("remotes").splitlines()[1].split() == [
        *("remote-gpu", "ssh"),
        f"{seed.split('user: ')[1].split()[0]}@127.0.0.1:{seed.split('port: ')[1].strip()}",
    ]
    available = f"{ok('remotes').splitlines()[1].split()[2]}) is available: 1 x A100-80GB"
    assert available in ok("remotes", "status", "remote-gpu")
    assert available in ok("remote", "status", "remote-gpu")
    document = json.loads(ok("remote", "status", "remote-gpu", "--json"))
    VALIDATOR.validate(document)
    assert (document["available"], document["hosts"][0]["total"]) == (True, 1)
    for line in (("--remote", "remote-gpu", "check"), ("check", "--remote", "remote-gpu")):
        checks = {row.split()[1] for row in ok(*line).splitlines()[1:]}
        assert checks >= {"genvx", "python", "disk", "driver", "clock"}
    begun = run_genvx("run", "-d", "-g", "1", "-r", "remote-gpu", "--", "echo", "-r", "x")
    run = begun.stdout.strip()
    assert f"genvx: to see its output: genvx --remote remote-gpu watch {run}\n" in begun.stderr
    assert ok("watch", "-r", "remote-gpu", run) == "-r x\n"
    assert run in ok("runs", "list", "--remote", "remote-gpu")
    assert ok("label", "-r", "remote-gpu", "1", "best").startswith(f"Labelled run {run} (best)")
    for act in ("delete", "restore", "delete", "purge"):
        ok("runs", act, "-y", "-r", "remote-gpu", run)
    begun = run_genvx("run", "-d", "-g", "1", "-r", "remote-gpu", "--", "true")
    run = begun.stdout.strip()
    assert run in ok("--remote", "remote-gpu", "runs", "info", "1")
    # Where its Python is missing, nothing runs, and the check says so.
    assert "no virtual environment" in ok("check", "-r", "broken", code=4)
    stuck = ok("remote", "--remote", "stuck", "-t", "5", "check", code=4)
    assert "venv-activate sleep 600: not done within 5 s" in stuck, stuck
    ok("run", "-q", "-g", "1", "-r", "broken", "--", "true", code=126)
    assert run not in ok("runs", "-r", "broken")


@pytest.mark.needs("openssh")
def test_each_reason_for_which_a_remote_is_not_available_has_its_words(
    remotes, seed, tmp_path, sandbox
):
    files.make_key(str(tmp_path / "stranger"), "test")
    with socket.create_server(("127.0.0.1", 0)) as silent, reserved() as closed:
        remotes(
            f"{seed}"
            f"  down: {{extends: remote-gpu, port: {closed}}}\n"
            f"  stranger: {{extends: remote-gpu, private-key: {tmp_path}/stranger}}\n"
            "  changed: {extends: remote-gpu, host: other}\n"
            f"  silent: {{extends: remote-gpu, port: {silent.getsockname()[1]}, connect-time: 1}}\n"
            "  archive: {type: s3, bucket: lab}\n"
        )
        said = {
            name: run_genvx("remotes", "status", name)
            for name in ("down", "stranger", "changed", "silent", "archive", "nowhere")
        }
    assert {answer.returncode for answer in said.values()} == {2}
    assert {answer.stdout for answer in said.values()} == {""}
    assert {answer.stderr.count("\n") for answer in said.values()} == {1}
    for name, words in {
        "down": "it is down: ",
        "stranger": "authentication failed: ",
        "changed": "its host key is refused: ",
        "silent": "it does not answer: no answer from 127.0.0.1 port",
        "archive": "no credentials for AWS",
        "nowhere": "no remote 'nowhere'",
    }.items():
        assert words in said[name].stderr
    assert "within 1 s" in said["silent"].stderr
    assert "changed" in said["changed"].stderr.partition("refused: ")[2]


@pytest.mark.needs("openssh")
def test_a_remote_over_ssh_is_not_started_or_stopped_but_its_init_is_run(remotes, seed):
    remotes(f"{seed}    init: |\n      echo one\n      echo two >&2\n      exit 7\n")
    for group in ("remote", "remotes"):
        for act in ("start", "stop"):
            answer = run_genvx(group, act, "remote-gpu")
            assert answer.returncode == 2
            assert "is of type ssh, which cannot be started or stopped" in answer.stderr
        done = run_genvx(group, "start", "remote-gpu", "--reinit", "-y")
        assert (done.stdout, done.stderr, done.returncode) == ("one\n", "two\n", 7)
    done = run_genvx("remotes", "start", "remote-gpu", "--reinit", "--json")
    document = json.loads(done.stdout)
    VALIDATOR.validate(document)
    assert document["hosts"] == [{"host": "remote-gpu", "ok": True, "exit_code": 7}]
    assert (sorted(done.stderr.split()), done.returncode) == (["one", "two"], 7)
    remotes(seed)
    assert "has no init" in run_genvx("remotes", "start", "remote-gpu", "--reinit").stderr


@pytest.mark.needs("openssh")
def test_all_remotes_are_one_table_in_which_a_run_is_once(remotes, sandbox):
    with reserved() as closed:
        remotes(
            "remotes:\n"
            f"  lab: {{type: ssh, hostfile: {sandbox.hostfile}}}\n"
            "  one: {type: ssh, host: gpu-server-1}\n"
            "  twice: {type: ssh, host: gpu-server-1, user: root}\n"
        )
        alone = ok("run", "-d", "-g", "1", "-r", "one", "--", "true").strip()
        gang = ok("run", "-d", "-N", "2", "-g", "1", "-r", "lab", "--wait", "--", "true").strip()
        listed = run_genvx("runs", "--all-remotes")
        assert listed.stderr == ""
        assert listed.returncode == 0
        assert [listed.stdout.count(run) for run in (alone, gang)] == [1, 1]
        remotes(
            f"remotes:\n  lab: {{type: ssh, hostfile: {sandbox.hostfile}}}\n"
            f"  dead: {{type: ssh, host: 127.0.0.1, port: {closed}}}\n"
            "  lost: {type: ssh, hostfile: /nowhere}\n"
        )
        some = run_genvx("runs", "--all-remotes")
    assert [some.stdout.count(run) for run in (alone, gang)] == [1, 1]
    lines = some.stderr.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["lost", "dead"]
    assert some.returncode == 4


def test_the_list_connects_to_nothing_and_says_what_has_no_effect(remotes, tmp_path):
    remotes(
        "remotes:\n"
        "  lab: {type: ssh, hostfile: ~/lab.hosts, description: the pool, use-prerelease: yes}\n"
        "  both: {extends: lab, venv-path: v, conda-env: c}\n"
        "  base: {user: ann}\n"
        "  archive: {type: s3, bucket: lab, root: runs}\n"
    )
    answer = run_genvx("remotes")
    rows = [line.split() for line in answer.stdout.splitlines()]
    assert rows == [
        ["NAME", "TYPE", "WHERE", "DESCRIPTION"],
        ["lab", "ssh", "~/lab.hosts", "the", "pool"],
        ["both", "ssh", "~/lab.hosts", "the", "pool"],
        ["base", "-", "-"],
        ["archive", "s3", "s3://lab/runs"],
    ]
    assert "genvx: both: conda-env has no effect beside venv-path\n" in answer.stderr
    document = json.loads(run_genvx("remotes", "--json").stdout)
    VALIDATOR.validate(document)
    assert [each["line"] for each in document["remotes"]] == [2, 3, 4, 5]
    remotes("")
    assert "genvx: no remotes; " in run_genvx("remotes").stderr


@pytest.mark.parametrize(
    ("line", "remote"),
    [
        ("check -r lab", True),
        ("--remote lab check", True),
        ("--remote=lab devices", True),
        ("runs info 1 --remote lab", True),
        ("run -dr lab -- x", True),
        ("run -drlab -- x", True),
        ("run -g 1 -r lab python -r x", True),
        ("run -g 1 python -r x", False),
        ("run -- python --remote x", False),
        ("run -n -r -- x", False),
        ("run -C --remote -- x", False),
        ("config -r lab", False),
        ("remote check -r lab", False),
    ],
)
def test_a_remote_is_named_where_an_option_of_genvx_can_stand(line, remote):
    words = line.split()
    assert on_remote(app.root(), words) == (["remote", *words] if remote else words)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("devices -r lab -H a", "give either --remote or -H and --hostfile"),
        ("remote -H a status lab", "give either the name of a remote or -H"),
        ("stop -r lab", "genvx --remote NAME runs stop RUN ends a run"),
        ("remote -H a stop lab", "give either the name of a remote or -H"),
        ("runs -r lab --all-remotes", "give either --all-remotes or --remote"),
        ("devices -r", "requires an argument"),
        ("-r lab config", "config is for this machine only"),
        ("remote status gpu1", "no remote 'gpu1'"),
        ("remotes lab", "genvx remotes status lab shows one"),
        ("remotes strat lab", "there is no strat here; did you mean start?"),
    ],
)
def test_what_cannot_be_meant_is_refused(remotes, state, capsys, line, words):
    remotes("remotes: {lab: {type: ssh, host: h}}")
    assert main.run(line.split()) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_names_of_remotes_are_offered(remotes):
    remotes("remotes: {lab: {type: ssh, host: h}, gpu: {type: ssh, host: h}}")
    for line in ("genvx --remote ", "genvx runs -r ", "genvx remotes status "):
        assert offered(line) == ["lab", "gpu"]
    assert offered("genvx check -r la") == ["lab"]
    remotes("remotes: [")
    assert offered("genvx --remote ") == []


@pytest.mark.needs("openssh")
def test_an_entry_of_ssh_config_leads_through_a_remote(remotes, seed, tmp_path):
    remotes(seed)
    assert "remote --remote remote-gpu ssh-proxy" in ok(
        "ssh-config", "remote-gpu", "-r", "remote-gpu"
    )
    (tmp_path / "genvx-remotes.yml").write_text(seed)
    answer = run_genvx("ssh-config", "remote-gpu", "-r", "remote-gpu")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "is of a project's file" in answer.stderr
