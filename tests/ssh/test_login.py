"""Ways in: keys, the agent, passphrases, passwords, none at all; through OpenSSH and dropbear."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import threading
from pathlib import Path

import paramiko
import pexpect
import pytest

from genvx.errors import AuthenticationFailed, InvalidHostfile
from genvx.fleet.fleet import connect_fleet
from genvx.fleet.hosts import hostfile, hostnames
from genvx.sandbox import files
from tests.capabilities import USER_A
from tests.conftest import run_genvx
from tests.doors import PASSWORD, USER, door
from tests.helpers import Terminal, genvx_argv, genvx_env, until

SERVERS = [
    pytest.param("openssh", marks=pytest.mark.needs("openssh", "root", "namespaces")),
    pytest.param("dropbear", marks=pytest.mark.needs("dropbear", "root", "namespaces")),
]
NO_KEY = ("IdentityFile none", "IdentitiesOnly yes", "IdentityAgent none")


@pytest.fixture
def make_door(short_tmp, agent_cache):
    """Starts servers that end with the test; they have the agent already."""
    shutil.copytree(agent_cache, short_tmp / "cache")
    with contextlib.ExitStack() as stack:
        yield lambda kind, *settings: stack.enter_context(door(kind, short_tmp, *settings))


@pytest.fixture(params=SERVERS)
def either(request, make_door):
    """A server of each kind that takes keys and passwords."""
    return make_door(request.param)


@pytest.fixture
def openssh(make_door):
    return make_door("openssh")


def devices(environ, *options, **variables):
    return run_genvx("remote", *options, "devices", env={**environ, **variables})


def let_in(answer):
    assert (answer.returncode, answer.stderr) == (0, "")
    assert re.search(r"door +2 +2", answer.stdout)


def refused(answer, *words):
    assert answer.returncode == 4, answer.stdout
    (line,) = answer.stderr.splitlines()
    assert line.startswith("door: auth: ")
    for word in words:
        assert word in line
    assert PASSWORD not in answer.stdout + answer.stderr


def encrypted(path, kind="ed25519"):
    """Lock the key of a file with a passphrase, as ssh-keygen does."""
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "s3cret", "-f", path], check=True)


def listens(path):
    # The file is there a moment before somebody listens.
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


@contextlib.contextmanager
def agent(directory, *keys):
    """An ssh-agent that holds keys; gives its socket."""
    path = str(directory / "agent")
    process = subprocess.Popen(
        ["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: listens(path), "the agent listens")
        for key in keys:
            subprocess.run(
                ["ssh-add", "-q", str(key)], env={**os.environ, "SSH_AUTH_SOCK": path}, check=True
            )
        yield path
    finally:
        process.terminate()
        process.wait()


# Keys


def test_a_key_opens_either_server(either):
    environ = either.environ(f"IdentityFile {either.key}", "IdentityAgent none")
    let_in(devices(environ, "-H", "door"))


def test_a_job_runs_on_either_server(either):
    environ = either.environ(f"IdentityFile {either.key}", "IdentityAgent none")
    line = ("-q", "-H", "door", "run", "-g", "1", "--", "sh", "-c", "echo $GENVX_DEVICES; exit 7")
    answer = run_genvx("remote", *line, env=environ)
    assert (answer.returncode, answer.stdout, answer.stderr) == (7, "0\n", "")


def test_a_shell_opens_on_either_server(either):
    environ = either.environ(f"IdentityFile {either.key}", "IdentityAgent none")
    terminal = Terminal(
        genvx_argv("remote", "-H", "door", "activate", "-g", "2"),
        genvx_env(**environ, GENVX_TERMINAL="builtin"),
    )
    terminal.expect("(genvx)")
    terminal.line("echo d=$GENVX_DEVICES")
    terminal.expect("d=0,1\r\n")
    terminal.line("exit 3")
    assert terminal.end() == 3


def test_an_unknown_host_key_of_either_server_is_refused(either):
    (either.directory / "known_hosts").write_text("")
    answer = devices(either.environ(f"IdentityFile {either.key}"), "-H", "door")
    assert answer.returncode == 4
    assert "door: host-key: the host key of door is not known (ssh-ed25519 key SHA256:" in (
        answer.stderr
    )


def test_a_key_of_the_agent_opens_either_server(either):
    with agent(either.directory, either.key) as path:
        let_in(devices(either.environ("IdentityFile none"), "-H", "door", SSH_AUTH_SOCK=path))


def test_the_agent_that_ssh_config_names_is_asked(openssh):
    with agent(openssh.directory, openssh.key) as path:
        let_in(devices(openssh.environ("IdentityFile none", f"IdentityAgent {path}"), "-H", "door"))


def test_of_the_agents_keys_only_the_named_one_is_offered_where_ssh_config_says_so(openssh):
    others = [openssh.directory / f"other{n}" for n in range(6)]
    for other in others:
        files.make_key(str(other), "other")
    encrypted(openssh.key)
    settings = (f"IdentityFile {openssh.key}", "IdentitiesOnly yes")
    script = openssh.directory / "askpass"
    script.write_text("#!/bin/sh\necho s3cret\n")
    script.chmod(0o700)
    with agent(openssh.directory, *others) as path:
        subprocess.run(
            ["ssh-add", "-q", str(openssh.key)],
            env={
                **os.environ,
                "SSH_AUTH_SOCK": path,
                "SSH_ASKPASS": str(script),
                "SSH_ASKPASS_REQUIRE": "force",
            },
            check=True,
            stdin=subprocess.DEVNULL,
        )
        # Seven keys are one more than sshd lets anybody try.
        let_in(devices(openssh.environ(*settings), "-H", "door", SSH_AUTH_SOCK=path))


def test_an_agent_that_is_gone_does_not_matter(openssh):
    environ = openssh.environ(f"IdentityFile {openssh.key}")
    let_in(devices(environ, "-H", "door", SSH_AUTH_SOCK="/nonexistent"))


def test_an_agent_that_hangs_costs_one_deadline(openssh):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(openssh.directory / "silent"))
        silent.listen()
        environ = openssh.environ("IdentityFile none")
        variables = {"SSH_AUTH_SOCK": str(openssh.directory / "silent")}
        answer = devices(environ, "-H", "door", "-t", "2", **variables)
    assert answer.returncode == 4
    assert "door: timeout: " in answer.stderr


# Passphrases


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_locked_key_is_opened_by_the_passphrase_in_the_environment(openssh, kind):
    key = openssh.directory / f"id_{kind}"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", "s3cret", "-C", "x", "-f", key], check=True
    )
    keys = openssh.directory / "home/.ssh/authorized_keys"
    keys.write_text(Path(f"{key}.pub").read_text())
    listed = openssh.hostfile(f"key={key} password_env=GENVX_PASSWORD_KEY")
    let_in(devices(openssh.environ(), "-f", listed, GENVX_PASSWORD_KEY="s3cret"))


def test_a_passphrase_is_not_sent_to_the_host_as_a_password(openssh):
    other = openssh.directory / "other"
    files.make_key(str(other), "other")
    encrypted(other)
    # The server would take this as the password.
    subprocess.run(
        ["ssh-keygen", "-q", "-p", "-P", "s3cret", "-N", PASSWORD, "-f", other], check=True
    )
    listed = openssh.hostfile(f"key={other} password_env=GENVX_PASSWORD")
    environ = openssh.environ("IdentityAgent none")
    refused(devices(environ, "-f", listed, GENVX_PASSWORD=PASSWORD), "wants the password of bob")


def test_a_wrong_passphrase_names_where_it_came_from_and_nothing_else(openssh):
    encrypted(openssh.key)
    listed = openssh.hostfile(f"key={openssh.key} password_env=GENVX_PASSWORD")
    answer = devices(openssh.environ("IdentityAgent none"), "-f", listed, GENVX_PASSWORD="xyzzy")
    refused(answer, f"the passphrase of {openssh.key} from $GENVX_PASSWORD is wrong")
    assert "xyzzy" not in answer.stderr


def test_a_passphrase_is_asked_for_in_the_terminal_until_it_is_right(openssh):
    encrypted(openssh.key)
    environ = openssh.environ(f"IdentityFile {openssh.key}", "IdentityAgent none")
    terminal = Terminal(genvx_argv("remote", "-H", "door", "devices"), genvx_env(**environ))
    for answer in ("wrong", "s3cret"):
        terminal.expect(f"Passphrase of {openssh.key}: ")
        terminal.line(answer)
    shown = terminal.match(r"(?s)(.*)Total 2 devices")[1]
    assert "s3cret" not in shown
    assert terminal.end() == 0


def test_without_a_terminal_a_locked_key_is_a_line_that_says_what_to_do(openssh):
    encrypted(openssh.key)
    environ = openssh.environ(
        f"IdentityFile {openssh.key}", "IdentityAgent none", "IdentitiesOnly yes"
    )
    answer = devices(environ, "-H", "door")
    refused(answer, f"wants the passphrase of {openssh.key}", "load a key into your agent")


# Passwords


def test_a_password_from_the_environment_opens_either_server(either):
    listed = either.hostfile("password_env=GENVX_PASSWORD_LAB")
    let_in(devices(either.environ(*NO_KEY), "-f", listed, GENVX_PASSWORD_LAB=PASSWORD))


def test_a_password_from_a_command_opens_either_server(either):
    command = either.directory / "give password"
    command.write_text(f"#!/bin/sh\necho {PASSWORD}\necho ignored\n")
    command.chmod(0o700)
    listed = either.hostfile(f"""password_command="'{command}' x" """)
    let_in(devices(either.environ(*NO_KEY), "-f", listed))


@pytest.mark.parametrize("given", [PASSWORD, "xyzzy"])
def test_a_password_of_a_remote_opens_a_server_and_is_never_shown(openssh, given):
    path = openssh.directory / "remotes.yml"
    path.write_text(f"remotes: {{lab: {{type: ssh, host: door, user: bob, password: {given}}}}}\n")
    path.chmod(0o600)
    environ = {**openssh.environ(*NO_KEY), "GENVX_REMOTES": str(path)}
    answer = run_genvx("-r", "lab", "devices", env=environ)
    if given == PASSWORD:
        assert (answer.returncode, answer.stderr) == (0, "")
    else:
        assert (answer.returncode, answer.stdout) == (4, "")
        assert "lab: auth: does not accept the password of bob" in answer.stderr
    listed = run_genvx("remotes", "--json", env=environ)
    assert listed.returncode == 0
    assert given not in answer.stdout + answer.stderr + listed.stdout
    path.chmod(0o640)
    refused = run_genvx("-r", "lab", "devices", env=environ)
    assert f"so the password; chmod 600 {path}\n" in refused.stderr


def test_a_wrong_password_is_a_line_that_does_not_show_it(either):
    listed = either.hostfile("password_env=GENVX_PASSWORD")
    answer = devices(either.environ(*NO_KEY), "-f", listed, GENVX_PASSWORD="xyzzy")
    refused(answer, "does not accept the password of bob")
    assert "xyzzy" not in answer.stderr


def test_a_password_that_is_not_set_is_named(openssh):
    listed = openssh.hostfile("password_env=GENVX_PASSWORD")
    refused(devices(openssh.environ(*NO_KEY), "-f", listed), "$GENVX_PASSWORD is not set")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("false", "the password_command false failed with 1"),
        ("true", "the password_command true printed no password"),
        ("/nonexistent/x", "the password_command /nonexistent/x cannot be run"),
    ],
)
def test_a_password_command_that_fails_is_named(openssh, command, words):
    listed = openssh.hostfile(f"password_command={command}")
    refused(devices(openssh.environ(*NO_KEY), "-f", listed), words)


def test_a_password_is_asked_for_again_when_it_was_wrong(openssh):
    environ = openssh.environ(*NO_KEY)
    terminal = Terminal(genvx_argv("remote", "-H", "door", "devices"), genvx_env(**environ))
    for answer in ("wrong", PASSWORD):
        terminal.expect("Password of bob on door: ")
        terminal.line(answer)
    shown = terminal.match(r"(?s)(.*)Total 2 devices")[1]
    assert PASSWORD not in shown
    assert terminal.end() == 0


def test_one_password_for_one_user_is_asked_for_once_and_its_hosts_are_named(openssh):
    environ = openssh.environ(*NO_KEY)
    config = Path(environ["GENVX_SSH_CONFIG"])
    config.write_text(config.read_text().replace("Host door", "Host door door2 door3 door4"))
    asked = []

    def prompt(question):
        asked.append(question)
        return PASSWORD

    specs = hostnames.parse_names("door,door2,door3,door4")
    with connect_fleet(specs, config=str(config), prompt=prompt) as fleet:
        assert len(fleet.snapshot().succeeded) == 4
        assert len(fleet.snapshot().succeeded) == 4
    assert asked == ["Password of bob on door, door2, door3 and 1 more: "]


def test_nobody_is_asked_while_a_key_would_do(openssh):
    environ = openssh.environ(f"IdentityFile {openssh.key}", "IdentityAgent none")
    specs = hostnames.parse_names("door")

    def prompt(question):
        pytest.fail(f"asked: {question}")

    with connect_fleet(specs, config=environ["GENVX_SSH_CONFIG"], prompt=prompt) as fleet:
        assert fleet.snapshot().values()["door"].devices


def test_a_person_who_types_slowly_does_not_run_out_of_time(openssh):
    """No deadline runs while somebody is asked."""
    environ = openssh.environ(*NO_KEY)
    timeout = 3.0
    asked = threading.Event()

    def prompt(question):
        asked.wait(timeout + 1.0)
        return PASSWORD

    specs = hostnames.parse_names("door")
    with connect_fleet(
        specs, config=environ["GENVX_SSH_CONFIG"], prompt=prompt, timeout=timeout
    ) as fleet:
        assert fleet.snapshot().values()["door"].devices


def test_progress_is_not_drawn_over_the_question(openssh):
    """It appears after half a second, in which two hosts have long said that they are locked."""
    config = Path(openssh.environ(*NO_KEY)["GENVX_SSH_CONFIG"])
    config.write_text(config.read_text().replace("Host door", "Host door door2"))
    terminal = Terminal(
        genvx_argv("remote", "-H", "door,door2", "devices"), genvx_env(GENVX_SSH_CONFIG=str(config))
    )
    terminal.expect("Password of bob on door, door2: ")
    with pytest.raises(pexpect.TIMEOUT):
        terminal.child.expect_exact("hosts", timeout=1.0)
    terminal.line(PASSWORD)
    terminal.expect("Total 4 devices")
    assert terminal.end() == 0


def test_a_locked_jump_host_is_named(openssh):
    config = Path(openssh.environ(*NO_KEY)["GENVX_SSH_CONFIG"])
    config.write_text(config.read_text() + "Host far\n  ProxyJump door\n")
    answer = devices({"GENVX_SSH_CONFIG": str(config)}, "-H", "far")
    assert "far: auth: jump host door: wants the password of bob" in answer.stderr


def test_a_key_of_a_security_token_is_passed_over(openssh):
    """paramiko cannot use it; the next key can."""
    kind = b"sk-ssh-ed25519@openssh.com"

    def text(data):
        return len(data).to_bytes(4, "big") + data

    public = text(kind) + text(b"\1" * 32) + text(b"ssh:")
    private = b"\7" * 8 + public + b"\1" + text(b"handle") + text(b"") + text(b"me")
    private += bytes(range(1, 1 + -len(private) % 8))
    blob = b"openssh-key-v1\0" + text(b"none") * 2 + text(b"") + (1).to_bytes(4, "big")
    blob += text(public) + text(private)
    token = openssh.directory / "id_sk"
    token.write_text(
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        + base64.encodebytes(blob).decode()
        + "-----END OPENSSH PRIVATE KEY-----\n"
    )
    settings = (f"IdentityFile {token}", f"IdentityFile {openssh.key}", "IdentityAgent none")
    let_in(devices(openssh.environ(*settings), "-H", "door"))


def test_an_empty_variable_is_one_that_is_not_set(openssh):
    listed = openssh.hostfile("password_env=GENVX_PASSWORD")
    answer = devices(openssh.environ(*NO_KEY), "-f", listed, GENVX_PASSWORD="")
    refused(answer, "$GENVX_PASSWORD is not set")


def test_no_argument_of_any_process_is_the_password(openssh):
    listed = openssh.hostfile("password_env=GENVX_PASSWORD")
    environ = openssh.environ(*NO_KEY)
    look = "for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$f; echo; done"
    answer = run_genvx(
        *("remote", "-f", listed, "run", "-g", "1", "--", "sh", "-c", look),
        env={**environ, "GENVX_PASSWORD": PASSWORD},
    )
    assert answer.returncode == 0
    assert "genvx" in answer.stdout
    assert PASSWORD not in answer.stdout


def test_the_shell_of_a_host_with_a_password_asks_no_second_time(openssh):
    environ = openssh.environ(*NO_KEY)
    terminal = Terminal(
        genvx_argv("remote", "-H", "door", "activate", "-g", "1"), genvx_env(**environ)
    )
    terminal.expect("Password of bob on door: ")
    terminal.line(PASSWORD)
    before = terminal.expect("(genvx)")
    assert "assword" not in before
    terminal.line("exit")
    assert terminal.end() == 0


def test_a_password_after_a_key_is_a_way_in(make_door):
    strict = make_door("openssh", "AuthenticationMethods publickey,password")
    listed = strict.hostfile("password_env=GENVX_PASSWORD")
    environ = strict.environ(f"IdentityFile {strict.key}", "IdentityAgent none")
    let_in(devices(environ, "-f", listed, GENVX_PASSWORD=PASSWORD))


def test_a_key_alone_is_not_taken_for_both_steps(make_door):
    strict = make_door("openssh", "AuthenticationMethods publickey,password")
    environ = strict.environ(f"IdentityFile {strict.key}", "IdentityAgent none")
    refused(devices(environ, "-H", "door"), "wants the password of bob")


# Hostfiles


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a password=bob123", "no option 'password'"),
        ("a password_env=AWS_SECRET", "begins with GENVX_PASSWORD"),
        ("a password_env=GENVX_PASSWORD password-command=x", "not both"),
        ("""a password_command="pass 'x" """, "a quote that is not closed"),
    ],
)
def test_a_hostfile_names_where_a_password_is_and_nothing_else(text, words):
    with pytest.raises(InvalidHostfile, match=words):
        hostfile.parse(text)


@pytest.mark.parametrize("option", ["password_command=x", "ssh_config=x"])
def test_a_hostfile_that_nobody_named_has_nothing_run(option, tmp_path, cli):
    (tmp_path / "hostfile").write_text(f"a {option}\n")
    (tmp_path / "hostfile").chmod(0o600)
    answer = cli("remote", "devices", cwd=tmp_path)
    assert answer.returncode == 2
    assert "a hostfile that was not named with --hostfile may not" in answer.stderr


@pytest.mark.parametrize("how", ["option", "variable"])
def test_a_hostfile_called_hostfile_can_be_named(how, tmp_path, cli):
    (tmp_path / "hostfile").write_text("no-such.invalid password_command=x\n")
    (tmp_path / "hostfile").chmod(0o600)
    words = ["--hostfile", "hostfile"] if how == "option" else []
    env = {"GENVX_HOSTFILE": "hostfile"} if how == "variable" else {}
    answer = cli("remote", *words, "devices", cwd=tmp_path, env=env)
    assert answer.stderr.startswith("no-such.invalid: dns: ")


def test_a_hostfile_that_others_can_write_has_nothing_run(tmp_path):
    path = tmp_path / "shared"
    path.write_text("a password_command=x\n")
    path.chmod(0o666)
    with pytest.raises(InvalidHostfile, match="that others can write may not"):
        hostfile.load(str(path))


@pytest.mark.needs("root")
def test_a_hostfile_of_another_user_has_nothing_run(tmp_path):
    path = tmp_path / "theirs"
    path.write_text("a ssh_config=x\n")
    path.chmod(0o600)
    os.chown(path, USER_A, USER_A)
    with pytest.raises(InvalidHostfile, match="of another user may not"):
        hostfile.load(str(path))


# Servers with other ways in


class _Server(paramiko.ServerInterface):
    def __init__(self, methods, accepts):
        self.methods = methods
        self.accepts = accepts
        self.tried = []

    def get_allowed_auths(self, username):
        return self.methods

    def _check(self, method):
        self.tried.append(method)
        return paramiko.AUTH_SUCCESSFUL if method == self.accepts else paramiko.AUTH_FAILED

    def check_auth_none(self, username):
        return self._check("none")

    def check_auth_publickey(self, username, key):
        return self._check("publickey")

    def check_auth_password(self, username, password):
        return self._check("password")


@contextlib.contextmanager
def odd_server(methods, accepts, directory):
    """A server with other ways in, which refuses everything after that; gives it and its port."""
    server = _Server(methods, accepts)
    host_key = directory / "odd_key"
    public = files.make_key(str(host_key), "odd")
    (directory / "known_hosts").write_text(f"door {' '.join(public.split()[:2])}\n")
    key = paramiko.Ed25519Key(filename=str(host_key))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            connection, _ = listener.accept()
            transport = paramiko.Transport(connection)
            transport.add_server_key(key)
            with contextlib.suppress(paramiko.SSHException, EOFError):  # the client may go first
                transport.start_server(server=server)
                transport.join(30)
            transport.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield server, listener.getsockname()[1]
        thread.join()


def asked(directory, port, options=""):
    """Ask the odd server; the error of what comes of it."""
    lines = [
        "Host door",
        "HostName 127.0.0.1",
        f"Port {port}",
        "HostKeyAlias door",
        f"UserKnownHostsFile {directory}/known_hosts",
        "IdentityAgent none",
    ]
    (directory / "config").write_text("\n".join(lines) + "\n")
    specs = hostfile.parse(f"door user={USER} {options}")
    with connect_fleet(specs, config=str(directory / "config"), timeout=10) as fleet:
        return fleet.snapshot().failed["door"]


def test_no_authentication_at_all_is_a_way_in(tmp_path):
    with odd_server("publickey", "none", tmp_path) as (server, port):
        error = asked(tmp_path, port, "key=/nonexistent")
    assert server.tried == ["none"]
    assert not isinstance(error, AuthenticationFailed)


def test_questions_for_a_person_are_refused_with_advice(tmp_path):
    with odd_server("keyboard-interactive", None, tmp_path) as (_, port):
        error = asked(tmp_path, port, "key=/nonexistent")
    assert isinstance(error, AuthenticationFailed)
    assert "asks bob questions (keyboard-interactive)" in str(error)
    assert "log in with a key" in str(error)


def test_no_more_keys_are_offered_than_a_server_bears(tmp_path):
    keys = [tmp_path / f"key{n}" for n in range(9)]
    for key in keys:
        files.make_key(str(key), "x")
    with (
        agent(tmp_path, *keys) as path,
        pytest.MonkeyPatch.context() as patch,
        odd_server("publickey", None, tmp_path) as (server, port),
    ):
        patch.setenv("SSH_AUTH_SOCK", path)
        specs = hostfile.parse(f"door user={USER} port={port}")
        config = "\n".join(
            [
                "Host door",
                "HostName 127.0.0.1",
                "HostKeyAlias door",
                "IdentityFile none",
                f"UserKnownHostsFile {tmp_path}/known_hosts",
            ]
        )
        (tmp_path / "config").write_text(config + "\n")
        with connect_fleet(specs, config=str(tmp_path / "config"), timeout=10) as fleet:
            error = fleet.snapshot().failed["door"]
    assert server.tried.count("publickey") == 5
    assert "does not accept bob with the keys at hand" in str(error)


def test_json_does_not_show_a_password(openssh):
    listed = openssh.hostfile("password_env=GENVX_PASSWORD")
    answer = run_genvx(
        *("remote", "-f", listed, "devices", "--json"),
        env={**openssh.environ(*NO_KEY), "GENVX_PASSWORD": PASSWORD},
    )
    assert json.loads(answer.stdout)["hosts"][0]["devices"]
    assert PASSWORD not in answer.stdout
