"""remotes.yml: what is read, what each key changes, and what is refused."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import genvx
from genvx.core.prelude import Prelude, plain, with_prelude
from genvx.errors import GenvxError, InvalidInput, InvalidRemotes, UnknownRemote
from genvx.fleet.hosts.hostspec import HostSpec
from genvx.fleet.remotes.keys import OF_TYPE
from genvx.fleet.remotes.pool import pooled
from genvx.fleet.remotes.reading import load, remote_named
from genvx.fleet.remotes.yamltext import parse
from genvx.ssh.config.secret import Secret
from genvx.ssh.config.sshconfig import Settler
from tests.capabilities import USER_A

SEED = """\
remotes:
  remote-gpu:
    type: ssh
    host: gpu001.mydomain.com
    user: ubuntu
    private-key: ~/.ssh/gpu001.pem
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Writes the user's own file, and returns its path."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = tmp_path / "config/genvx/remotes.yml"

    def write(text, to=path):
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(text if isinstance(text, bytes) else text.encode())
        return to

    return write


@pytest.fixture
def project(own, tmp_path, monkeypatch):
    """Writes the file of a project, in a directory below which we are."""
    below = tmp_path / "project/src"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    return lambda text: own(text, tmp_path / "project/genvx-remotes.yml")


def specs(name):
    return remote_named(name, os.environ).specs()


def refusal(kind=InvalidRemotes):
    with pytest.raises(kind) as caught:
        for remote in load().remotes.values():
            remote.specs()
    return str(caught.value)


def test_the_page_of_guild_works_as_it_stands(own):
    own(SEED)
    (spec,) = specs("remote-gpu")
    assert spec == HostSpec(
        "remote-gpu",
        "gpu001.mydomain.com",
        user="ubuntu",
        key=os.path.expanduser("~/.ssh/gpu001.pem"),
    )


# Each key, and what it is in the effective connection or the run: by the settings that ssh gives,
# or by the host's line.

BASE = "type: ssh\n    host: door\n"
VENV = Prelude("venv-path", "~/venv")
CHANGES = {
    "host": ("host: other", lambda spec, found: found.hostname == "other"),
    "hosts": ("hosts: [other, b]", lambda spec, found: found.hostname == "other"),
    "hostfile": ("hostfile: lab.hosts", lambda spec, found: found.hostname == "pooled"),
    "port": ("port: 2222", lambda spec, found: found.port == 2222),
    "user": ("user: bob", lambda spec, found: found.user == "bob"),
    "private-key": (
        "private-key: ~/.ssh/lab",
        lambda spec, found: found.missing == (os.path.expanduser("~/.ssh/lab"),),
    ),
    "connect-timeout": ("connect-timeout: 7", lambda spec, found: found.connect_timeout == 7),
    "connect-time": ("connect-time: 7", lambda spec, found: found.connect_timeout == 7),
    "proxy": ("proxy: ann@bastion:22", lambda spec, found: found.proxy_jump == "ann@bastion:22"),
    "proxy command": (
        "proxy: nc -X 5 %h %p",
        lambda spec, found: found.proxy_command == "nc -X 5 %h %p" and not found.proxy_jump,
    ),
    "password-command": (
        "password-command: pass show lab",
        lambda spec, found: spec.password_command == "pass show lab",
    ),
    "password-env": (
        "password-env: GENVX_PASSWORD_LAB",
        lambda spec, found: spec.password_env == "GENVX_PASSWORD_LAB",
    ),
    "password": (
        "password: 'hunter2'",
        lambda spec, found: spec.password == Secret("hunter2") and "hunter2" not in repr(spec),
    ),
    "venv-path": ("venv-path: ~/venv", lambda spec, found: spec.prelude == VENV),
    "guild-env": ("guild-env: ~/venv", lambda spec, found: spec.prelude == VENV),
    "conda-env": (
        "conda-env: torch",
        lambda spec, found: spec.prelude == Prelude("conda-env", "torch"),
    ),
    "venv-activate": (
        "venv-activate: source x",
        lambda spec, found: spec.prelude == Prelude("venv-activate", "source x"),
    ),
    "home": ("home: /scratch/ann/", lambda spec, found: spec.runs == "/scratch/ann/runs"),
    "use-prerelease": ("use-prerelease: yes", lambda spec, found: spec.prerelease),
    "guild-home": ("guild-home: .guild", lambda spec, found: spec.runs == "~/.guild/runs"),
}
ELSEWHERE = {"type", "description", "extends", "init"}


def test_no_key_is_left_out_here():
    assert {key.partition(" ")[0] for key in CHANGES} | ELSEWHERE >= set(OF_TYPE["ssh"])


@pytest.mark.needs("openssh")
@pytest.mark.parametrize("ssh", ["ssh", None], ids=["openssh", "paramiko"])
@pytest.mark.parametrize("key", CHANGES)
def test_each_key_changes_the_connection_or_the_run(own, tmp_path, key, ssh):
    line, holds = CHANGES[key]
    base = "type: ssh\n" if key in ("host", "hosts", "hostfile") else BASE
    path = own(f"remotes:\n  with:\n    {base}    {line}\n  without:\n    {BASE}")
    path.chmod(0o600)
    (path.parent / "lab.hosts").write_text("pooled\n")
    (tmp_path / "ssh_config").write_text("")
    settler = Settler(str(tmp_path / "ssh_config"), ssh=ssh)
    assert [holds(spec, settler.settings(spec)) for spec in specs("with")[:1]] == [True]
    assert [holds(spec, settler.settings(spec)) for spec in specs("without")] == [False]


def test_a_remote_has_what_it_extends_and_its_own_comes_first(own):
    own(
        "remotes:\n"
        "  base: {user: ann, port: 22, private-key: /k}\n"
        "  mid: {extends: base, user: bob, type: ssh}\n"
        "  leaf: {extends: [mid], host: h, port: 2222, description: a leaf}\n"
    )
    assert specs("leaf") == (HostSpec("leaf", "h", user="bob", port=2222, key="/k"),)
    assert load().remotes["leaf"].description == "a leaf"


def test_what_a_remote_says_itself_is_instead_of_another_way_that_it_would_take_over(own):
    own(
        "remotes:\n"
        "  base: {type: ssh, hostfile: x, venv-activate: y, password-command: z}\n"
        "  one: {extends: base, host: h, conda-env: c, password-env: GENVX_PASSWORD}\n"
    )
    assert specs("one") == (
        HostSpec("one", "h", password_env="GENVX_PASSWORD", prelude=Prelude("conda-env", "c")),
    )
    assert load().remotes["one"].notes == ()


def test_what_the_line_of_a_hostfile_says_comes_before_its_remote(own):
    path = own("remotes: {lab: {type: ssh, hostfile: lab.hosts, user: ann, port: 2222}}")
    (path.parent / "lab.hosts").write_text("a user=bob\nb:22\n")
    assert [(spec.name, spec.user, spec.port) for spec in specs("lab")] == [
        ("a", "bob", 2222),
        ("b:22", "ann", 22),
    ]


@pytest.mark.parametrize("text", ["1e3", "yes", "0x10", "null", "1_000", "2026-01-01"])
def test_words_are_what_is_written(own, text):
    own(f"remotes: {{{text}: {{type: ssh, host: {text}}}}}")
    assert specs(text) == (HostSpec(text, text),)


def test_anchors_and_merges_of_yaml_work(own):
    own(
        "remotes:\n  a: &a\n    type: ssh\n    host: h\n    user: ann\n"
        "  b:\n    <<: *a\n    user: bob\n"
    )
    assert specs("b") == (HostSpec("b", "h", user="bob"),)


def test_a_remote_can_be_written_out():
    assert specs("ssh:ann@h:2222") == (HostSpec("h:2222", "h", user="ann", port=2222),)
    with pytest.raises(InvalidInput, match="cannot be written out"):
        specs("s3:bucket")
    with pytest.raises(InvalidInput, match=r"^--remote ssh:-oProxyCommand=x: not a host name"):
        specs("ssh:-oProxyCommand=x")
    with pytest.raises(InvalidInput, match=r"^--remote ssh: names no host"):
        specs("ssh:")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{type: ssh, host: h, prot: 22}", "yml:1:37: unknown key 'prot'; did you mean port?"),
        ("{type: ssh, host: h, private_key: k}", "did you mean private-key?"),
        ("{type: ssh, host: h, bucket: b}", "bucket is a key of s3 remotes, not of ssh"),
        (
            "{type: ssh, host: h, password: hunter2}",
            "others can read this file, and so the password",
        ),
        ('{type: ssh, host: h, password: "hunter2\\n"}', "password has 1 to 1024 printable"),
        ("{type: ssh, host: h, pass: hunter2}", "did you mean password?"),
        ("{type: ssh, host: h, password: hunter2, password-env: GENVX_PASSWORD}", "one of them"),
        ("{type: shh, host: h}", "unknown type 'shh'; did you mean ssh?"),
        ("{type: ssh}", "lab has no host"),
        ("{host: h}", "lab has no type"),
        ("{type: ssh, host: h, hosts: a}", "host and hosts; one of them is enough"),
        ("{type: ssh, host: ann@h, user: bob}", "host names another user: ann"),
        ("{type: ssh, host: 'h:22', port: 23}", "host names another port: 22"),
        ("{type: ssh, host: h, port: 0}", "a whole number from 1 to 65535"),
        ("{type: ssh, host: h, port: ssh}", "a whole number from 1 to 65535"),
        ("{type: ssh, host: h, port: }", "port needs a value"),
        ("{type: ssh, host: [a]}", "host is one value"),
        ("{type: ssh, hosts: []}", "hosts needs a value"),
        ("{type: ssh, host: -oProxyCommand=x}", "not a host name"),
        ("{type: ssh, host: h, user: -x}", "not a user name"),
        ("{type: ssh, host: h, proxy: -oProxyCommand=x}", "not a host name"),
        ("{type: ssh, host: h, connect-timeout: 0}", "from 1 to 3600"),
        ("{type: ssh, host: h, connect-timeout: 1, connect-time: 2}", "here already, as"),
        ('{type: ssh, host: h, home: "/a\'b"}', "path of a directory on the host"),
        ("{type: ssh, host: h, use-prerelease: maybe}", "yes or no"),
        ("{type: ssh, host: h, password-env: AWS_SECRET}", "begins with GENVX_PASSWORD"),
        ('{type: ssh, host: h, password-command: "pass \'x"}', "quote that is not closed"),
        ("{type: ssh, host: h, private-key: BEGIN PRIVATE KEY}", "not the key itself"),
        ("{type: ssh, host: h, extends: lap}", "which is no remote; did you mean lab?"),
        ("{type: ssh, host: h, extends: lab}", "lab extends lab: that has no end"),
        ("[]", "lab needs keys"),
        ("{type: s3, bucket: lab}", "of type s3: it keeps runs, and nothing runs there"),
        ("{type: ec2, region: us-east-2}", "lab needs ami and instance-type"),
        ("{type: ec2, ami: a}", "ami is the id of an image such as ami-"),
        ("{type: ec2, instance_type: g5.xlarge}", "did you mean instance-type?"),
        ("{type: ec2, host: h}", "host is a key of ssh and slurm remotes, not of ec2"),
        ("{type: ssh, host: h, spot: yes}", "spot is a key of ec2 remotes, not of ssh"),
        ("{type: ec2, idle-stop: 10s}", "idle-stop is a time from 5m to 7d"),
        ("{type: ec2, idle-stop: 60}", "idle-stop: '60' has no unit; write 60h, 60m or 60s"),
        ("{type: ec2, ssh-cidr: 1.2.3.4}", "ssh-cidr is a network such as 203.0.113.7/32"),
        ("{type: ec2, address: ipv6}", "address is public-dns, public-ip or private-ip"),
        ("{type: ec2, init-timeout: 10m}", "init-timeout is a whole number from 1 to 86400"),
        ("{type: ec2, tags: team}", "tags is a mapping of names and values"),
        ('{type: ec2, tags: {"genvx:owner": me}}', "the tag genvx:owner is not yours to set"),
        ("{type: ec2, endpoint-url: host}", "endpoint-url is a URL such as"),
        ("{type: gist, whatever: b}", "of type gist, which genvx does not have"),
    ],
)
def test_what_makes_no_sense_is_a_line_that_says_where_and_what_to_do(own, entry, words):
    own(f"remotes: {{lab: {entry}}}")
    said = refusal(GenvxError)
    assert words in said
    assert "hunter2" not in said
    assert "\n" not in said
    assert said.count(".yml:") <= 1


def test_a_circle_of_many_is_refused(own):
    own("remotes: {a: {extends: b}, b: {extends: c}, c: {extends: a}}")
    assert "a extends b extends c extends a: that has no end" in refusal()


def chain(length, *, each):
    """Remotes that extend one another, each its next one so many times."""
    extends = [f"a{n}: {{extends: [{', '.join([f'a{n + 1}'] * each)}]}}" for n in range(length - 1)]
    return f"remotes: {{{', '.join([*extends, f'a{length - 1}: {{type: ssh, host: h}}'])}}}"


def test_a_remote_that_is_extended_in_a_billion_ways_is_read_at_once(project):
    project(chain(16, each=50))
    assert load(os.environ).named("a0").where == "h"


def test_a_chain_of_remotes_has_an_end(project):
    project(chain(1000, each=1))
    assert "more than 16 remotes extend each other in a chain" in refusal()


def test_hosts_with_one_address_behind_two_jump_hosts_are_two(own):
    own(
        "remotes:\n"
        "  here: {type: ssh, hosts: '10.0.0.5', proxy: gate-1}\n"
        "  there: {type: ssh, hosts: '10.0.0.5', proxy: gate-2}\n"
        "  again: {type: ssh, hosts: '10.0.0.5', proxy: gate-2}\n"
    )
    found = pooled(load(os.environ).remotes.values(), lambda name, error: None)
    assert [(spec.name, spec.proxy_jump) for spec in found] == [
        ("10.0.0.5", "gate-1"),
        ("there/10.0.0.5", "gate-2"),
    ]


LEVELS = "\n".join(f"  - &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12))
HOSTILE = {
    "a bomb of aliases": (f"remotes:\n  - &a0 x\n{LEVELS}\n", "nodes, with those that aliases"),
    "an alias within what it names": ("remotes: &a {b: *a}", "no anchor before"),
    "a tag that makes an object": ("remotes: !!python/object/apply:os.system [id]", "tags are"),
    "a tag of one's own": ("remotes: {a: !x {type: ssh}}", "tags are refused"),
    "a key twice": ("remotes:\n  a: {type: ssh}\n  a: {type: ssh}\n", "yml:3:3: a is here already"),
    "a key of a remote twice": ("remotes: {a: {host: b, host: c}}", "host is here already"),
    "two documents": ("remotes: {}\n---\nremotes: {}\n", "a second document"),
    "a deep nest": ("remotes: " + "[" * 100_000, "more than 16 levels"),
    "a control character": ("remotes: {a: {host: \x1b[2J}}", "yml:1:21: a character"),
    "an escaped control character": ('remotes: {a: {user: "\\e[2J"}}', "cannot be printed"),
    "a name to print": ('remotes: {"a\\e[2J": {}}', "not a name of a remote"),
    "a bidirectional override": ("remotes: {a: {description: \u202ex}}", "cannot be printed"),
    "a mapping as a key": ("remotes: {? {a: b} : c}", "a key is one word"),
    "another key": ("remote: {}", "unknown key 'remote'; did you mean remotes?"),
    "text": ("just text", "a mapping that begins with"),
    "a tab": ("remotes:\n\ta: {}\n", "yml:2:1: not YAML"),
    "an end that is missing": ("remotes: {a: {", "not YAML"),
    "ten megabytes": ("# " + "x" * (10 << 20), "is larger than 256 KiB"),
    "no UTF-8": (b"remotes: \xff", "is not UTF-8 text (byte 9)"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_yaml_is_one_line(own, what):
    text, words = HOSTILE[what]
    own(text)
    said = refusal()
    assert words in said
    assert said.isprintable()


@given(st.text("ab:{}[]-&*!|>%@'\"#\n \t,?~<=\\\x00\u2028", max_size=60))
def test_any_text_is_a_tree_or_one_line(text):
    try:
        tree = parse("remotes: " + text, "file")
    except InvalidRemotes as error:
        assert str(error).isprintable()
        assert str(error).startswith("file:")
    else:
        assert tree is not None


@pytest.mark.parametrize("text", ["", "# nothing\n", "remotes:\n", "---\n"])
def test_an_empty_file_has_no_remotes(own, text):
    own(text)
    assert load().remotes == {}
    with pytest.raises(UnknownRemote, match="there are none in"):
        specs("lab")


def test_a_name_that_is_mistyped_is_told_the_nearest(own):
    own(SEED)
    with pytest.raises(UnknownRemote, match="did you mean remote-gpu"):
        specs("remote-gp")


def test_without_pyyaml_a_line_says_what_to_install(own, monkeypatch):
    own(SEED)
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(InvalidInput, match=r"pip install 'genvx\[remotes\]'"):
        specs("remote-gpu")
    assert specs("ssh:h")


# Files


def test_a_link_to_ones_own_file_is_followed(own, tmp_path):
    path = own(SEED)
    path.rename(tmp_path / "dotfile")
    path.symlink_to(tmp_path / "dotfile")
    assert list(load().remotes) == ["remote-gpu"]


def test_what_is_no_file_is_refused_without_waiting_for_it(own):
    path = own(SEED)
    path.unlink()
    os.mkfifo(path)
    assert "is no regular file" in refusal()


def test_a_file_that_others_can_write_is_not_used(own):
    own(SEED).chmod(0o666)
    assert "can be written by everybody" in refusal()


@pytest.mark.needs("uids")
def test_a_file_of_another_user_is_not_used(own):
    os.chown(own(SEED), USER_A, USER_A)
    assert f"belongs to uid {USER_A}" in refusal()


def test_another_file_can_be_named_instead_of_ones_own(own, tmp_path, monkeypatch):
    own(SEED)
    monkeypatch.setenv("GENVX_REMOTES", str(own("remotes: {b: {type: ssh}}", tmp_path / "other")))
    assert list(load().remotes) == ["b"]
    monkeypatch.setenv("GENVX_REMOTES", "/nowhere/else")
    assert "cannot read /nowhere/else" in refusal()


# Projects


def test_a_remote_of_a_project_replaces_ones_own_of_that_name_as_a_whole(own, project):
    own("remotes: {a: {type: ssh, host: h, password-command: pass}, b: {type: ssh, host: b}}")
    project("remotes: {a: {type: ssh, host: elsewhere}}")
    assert specs("a") == (HostSpec("a", "elsewhere"),)
    assert specs("b") == (HostSpec("b", "b"),)


@pytest.mark.parametrize(
    "line",
    [
        *("password-command: id", "password-env: GENVX_PASSWORD", "proxy: nc %h %p"),
        *("init: id", "venv-activate: id", "password: hunter2"),
    ],
)
@pytest.mark.parametrize("how", ["of its own", "taken over"])
def test_a_project_names_no_command_and_no_secret(own, project, line, how):
    if how == "of its own":
        project(f"remotes:\n  lab:\n    {BASE}    {line}\n")
    else:
        own(f"remotes:\n  mine:\n    {BASE}    {line}\n").chmod(0o600)
        project("remotes: {lab: {extends: mine, host: elsewhere}}")
        assert specs("mine")
    assert "yml:5:" in refusal()
    assert "a project's file may name none" in refusal()


def test_a_project_s_file_that_the_user_names_is_the_users_own(project, monkeypatch):
    path = project(f"remotes:\n  lab:\n    {BASE}    password-command: id\n")
    monkeypatch.setenv("GENVX_REMOTES", str(path))
    assert [spec.password_command for spec in specs("lab")] == ["id"]


def test_a_project_may_name_a_jump_host_and_a_virtual_environment(project):
    project(f"remotes:\n  lab:\n    {BASE}    proxy: bastion\n    venv-path: venv\n")
    (spec,) = specs("lab")
    assert (spec.proxy_jump, spec.prelude) == ("bastion", Prelude("venv-path", "venv"))


def test_a_hostfile_that_a_project_names_has_nothing_run(project, tmp_path):
    project("remotes: {lab: {type: ssh, hostfile: lab.hosts}}")
    (tmp_path / "project/lab.hosts").write_text("a password_command=id\n")
    assert "can run commands" in refusal(GenvxError)


@pytest.mark.needs("uids")
@pytest.mark.parametrize("what", ["file", "link"])
def test_a_file_of_a_project_that_is_a_strangers_is_left_out_with_a_line(project, tmp_path, what):
    path = project(SEED)
    if what == "link":
        path.rename(tmp_path / "mine")
        path.symlink_to(tmp_path / "mine")
    os.lchown(path, USER_A, USER_A)
    told = []
    assert load(tell=told.append).remotes == {}
    assert told == [f"{path} is not loaded: it belongs to uid {USER_A}"]


# What comes before a command


def test_a_command_is_prepared_once_and_shown_as_it_was():
    argv = with_prelude(VENV, ("python", "it's"))
    assert with_prelude(Prelude("conda-env", "x"), argv)[4:] == ("x", "python", "it's")
    assert plain(argv) == ("python", "it's")
    assert plain(("sh", "-c", "exit 1", "genvx", "a", "b")) == (
        "sh",
        "-c",
        "exit 1",
        "genvx",
        "a",
        "b",
    )
    assert with_prelude(None, ("a",)) == ("a",)
    assert with_prelude(VENV, None) is None


def prepared(prelude, home, *command):
    argv = with_prelude(prelude, command)
    return subprocess.run(
        argv, env={"HOME": str(home), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )


@pytest.fixture
def home(tmp_path):
    """A home with a virtual environment, and a conda that knows one environment."""
    bin_ = tmp_path / "a venv/bin"
    bin_.mkdir(parents=True)
    (bin_ / "python").symlink_to(sys.executable)
    (bin_ / "tool").write_text('#!/bin/sh\necho "$VIRTUAL_ENV $*"\n')
    (bin_ / "tool").chmod(0o755)
    (bin_ / "activate").write_text(
        f'VIRTUAL_ENV=sourced PATH="{bin_}:$PATH"; export VIRTUAL_ENV PATH'
    )
    hook = tmp_path / "miniconda3/etc/profile.d/conda.sh"
    hook.parent.mkdir(parents=True)
    hook.write_text('conda() { [ "$2" = torch ] && export CONDA_DEFAULT_ENV="$2"; }\n')
    return tmp_path


@pytest.mark.parametrize("path", ["a venv", "~/a venv", "{home}/a venv"])
def test_a_virtual_environment_comes_first_on_the_path(home, path):
    done = prepared(Prelude("venv-path", path.format(home=home)), home, "tool", "$x", "it's")
    assert (done.stdout, done.stderr) == (f"{home}/a venv $x it's\n", "")


@pytest.mark.needs("bash")
def test_a_line_of_the_users_own_is_read_by_bash(home):
    line = f"source {shlex.quote(f'{home}/a venv/bin/activate')}"
    assert prepared(Prelude("venv-activate", line), home, "tool", "x").stdout == "sourced x\n"


def test_conda_activates_by_its_own_hook(home):
    done = prepared(Prelude("conda-env", "torch"), home, "sh", "-c", "echo $CONDA_DEFAULT_ENV")
    assert (done.stdout, done.stderr) == ("torch\n", "")


@pytest.mark.parametrize(
    ("prelude", "words"),
    [
        (Prelude("venv-path", "none"), "no virtual environment in {home}/none"),
        (Prelude("conda-env", "jax"), "conda does not activate jax"),
        (Prelude("venv-activate", "false"), "venv-activate failed: false"),
    ],
    ids=lambda value: getattr(value, "key", ""),
)
def test_where_it_fails_the_command_does_not_run(home, prelude, words):
    done = prepared(prelude, home, "echo", "ran")
    assert (done.stdout, done.returncode) == ("", 126)
    assert done.stderr == f"genvx: {words.format(home=home)}\n"


# Programs


def test_a_program_has_the_fleet_of_a_remote(own):
    own(SEED)
    with genvx.Fleet.from_remote("remote-gpu") as fleet:
        assert [host.name for host in fleet.hosts] == ["remote-gpu"]
    assert [host.name for host in genvx.aio.Fleet.from_remote("ssh:a,b").hosts] == ["a", "b"]
    with pytest.raises(UnknownRemote):
        genvx.Fleet.from_remote("lab")
