"""A remote of type ec2, from its start to its end, on a cloud on loopback and a real sshd."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from genvx.cli import main
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.fleet.connect import connect
from genvx.fleet.remotes.reading import load
from genvx.fleet.renting import starting
from genvx.keypair import new_key
from genvx.sandbox.ports import reserved
from tests.cli.look.test_json import VALIDATOR
from tests.clouds.aws import CREDENTIALS
from tests.helpers import start_genvx, until


@pytest.fixture
def remotes(tmp_path, monkeypatch):
    """Writes remotes.yml."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = tmp_path / "config/genvx/remotes.yml"
    path.parent.mkdir(parents=True)
    return lambda text: path.write_text(f"remotes:\n{text}")


@pytest.fixture
def door(sandbox, tmp_path, monkeypatch):
    """Names of machines lead to gpu-server-2. Returns more keys of a remote, and known_hosts."""
    known = tmp_path / "known_hosts"
    host = sandbox.hosts[1]
    config = tmp_path / "ssh_config"
    config.write_text(
        "Host *.amazonaws.com\n  HostName 127.0.0.1\n  IdentityAgent none\n"
        f"  Port {host.port}\n  UserKnownHostsFile {known}\n  GlobalKnownHostsFile /dev/null\n"
    )
    monkeypatch.setenv("GENVX_SSH_CONFIG", str(config))
    user = Path(sandbox.ssh_config).read_text().partition("User ")[2].split()[0]
    return {"user": user, "private_key": f"{sandbox.directory}/id_ed25519"}, known


@pytest.fixture
def my_keys(tmp_path):
    """Keys of a remote whose machine nobody gets into."""
    private, _ = new_key("ann")
    (tmp_path / "mine").write_bytes(private)
    return {"user": "ann", "private_key": f"{tmp_path}/mine"}


def console_of(sandbox, cloud):
    """Have machines print the host key of gpu-server-2 on their console, as cloud-init does."""
    line = Path(sandbox.hosts[1].path("host_key.pub")).read_text().strip()
    (cloud.directory / "console").write_text(
        f"-----BEGIN SSH HOST KEY KEYS-----\n{line}\n-----END SSH HOST KEY KEYS-----\n"
    )
    return line.split()[1]


@pytest.fixture
def typed(capfd):
    """Has a command line done in this process, which has botocore already; what was printed."""

    def typed(*words, code=0):
        capfd.readouterr()
        found = main.run(list(words))
        shown = capfd.readouterr()
        assert found == code, shown.err
        return shown

    return typed


@pytest.mark.needs("openssh")
def test_a_machine_is_started_used_stopped_and_ended_from_the_command_line(
    cloud, remotes, door, sandbox, typed
):
    keys, known = door
    remotes(
        cloud.remote(
            **keys,
            root_device_size=120,
            tags="{team: vision}",
            init="echo got ready; echo >> ~/inits",
        )
    )
    key = console_of(sandbox, cloud)
    status = typed("remotes", "status", "v100", code=2)
    assert "remote v100 is not started; start it: genvx remotes start v100" in status.err
    asked = typed("remotes", "start", "v100", code=2)
    assert (
        "this would start a new g5.12xlarge in us-east-2; -y does it without a question"
        in asked.err
    )
    assert cloud.instances() == []

    # Two start it at once.
    both = [start_genvx("remotes", "start", "v100", "-y") for _ in range(2)]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    (instance,) = cloud.instances()
    name = instance["InstanceId"]
    assert sorted(out for out, _ in said) == [
        f"got ready\nv100 ({name}) is available\n",
        f"v100 ({name}) is available\n",
    ]
    assert Path(sandbox.hosts[1].home, "inits").read_text() == "\n"
    assert known.read_text().split()[:3] == [name, "ssh-ed25519", key]
    assert instance["InstanceType"] == "g5.12xlarge"
    assert instance["MetadataOptions"]["HttpTokens"] == "required"
    tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
    assert (tags["genvx:remote"], tags["team"]) == ("v100", "vision")
    (volume,) = cloud.client().describe_volumes()["Volumes"]
    assert (volume["Size"], volume["VolumeType"]) == (120, "gp3")
    (group,) = cloud.client().describe_security_groups(
        Filters=[{"Name": "tag:genvx:remote", "Values": ["v100"]}]
    )["SecurityGroups"]
    rules = [r for rule in group["IpPermissions"] for r in rule["IpRanges"]]
    assert [rule["CidrIp"] for rule in rules] == ["127.0.0.1/32"]

    # All that a remote over SSH does works on it.
    assert (
        f"v100 ({name}, g5.12xlarge in us-east-2, 4 x NVIDIA A10G, up "
        in typed("remotes", "status", "v100").out
    )
    document = json.loads(typed("remotes", "status", "v100", "--json").out)
    VALIDATOR.validate(document)
    assert (document["available"], document["machine"]["id"]) == (True, name)
    begun = typed("run", "-d", "-g", "1", "-r", "v100", "--", "sh", "-c", "echo hi; echo 1 > out")
    run = begun.out.strip()
    assert typed("watch", "-r", "v100", run).out == "hi\n"
    typed("pull", "-r", "v100", run)

    # The laptop is lost: another one has only remotes.yml.
    known.unlink()
    refused = typed("--remote", "v100", "devices", code=4)
    assert f"the host key of {name} is not known" in refused.err
    again = typed("remotes", "start", "v100", "-y")
    assert f"{name} runs already" in again.err
    assert f"its host keys are those on the console of {name}" in again.err

    stopped = typed("remotes", "stop", "v100", "-y")
    assert f"{name} is stopped; its disk is billed until: genvx remotes stop v100 --terminate" in (
        stopped.err
    )
    assert [each["State"]["Name"] for each in cloud.instances()] == ["stopped"]
    status = typed("remotes", "status", "v100", code=2)
    assert "remote v100 is stopped; start it: genvx remotes start v100" in status.err
    typed("remotes", "start", "v100", "-y")
    assert [each["InstanceId"] for each in cloud.instances("running")] == [name]
    assert Path(sandbox.hosts[1].home, "inits").read_text() == "\n"

    ended = typed("remotes", "stop", "v100", "-y", "--terminate", "--json")
    assert "nothing of it is left, and nothing is billed" in ended.err
    document = json.loads(ended.out)
    VALIDATOR.validate(document)
    assert (document["remote"], document["machine"]["state"]) == ("v100", "terminated")
    assert cloud.live() == []
    assert cloud.client().describe_key_pairs()["KeyPairs"] == []
    groups = cloud.client().describe_security_groups()["SecurityGroups"]
    assert [each["GroupName"] for each in groups if "genvx" in each["GroupName"]] == []


@pytest.fixture
def told(sandbox):
    """What gpu-server-2 was told to do instead of shutting down, a line each."""
    file = Path(sandbox.hosts[1].home, "told")
    for name in ("shutdown", "sudo"):
        fake = Path(sandbox.directory, "bin", name)
        fake.write_text(f'#!/bin/sh\n[ "$1" = -n ] && shift\necho "$*" >> {file}\n')
        fake.chmod(0o755)
    return lambda: [line for line in file.read_text().splitlines() if line.startswith("-")]


@pytest.mark.needs("openssh")
def test_a_machine_on_which_no_lease_lives_shuts_itself_down(sandbox, told):
    with connect() as fleet:
        host = fleet.host("gpu-server-2")
        with host.acquire(Ask(Requirements())):
            assert host.stop_when_idle(0.5, 0.0) == ""
            # There is one watch, which has a new time.
            assert host.stop_when_idle(0.6, 0.0) == ""
            assert told() == ["-c", "-c"]
        until(lambda: len(told()) == 3, "it shuts down")
        assert told()[2].startswith("-P +1 genvx: no lease has lived here for long")
        with host.acquire(Ask(Requirements())):
            until(lambda: told()[3:] == ["-c"], "that is called off for a new lease")


@pytest.mark.needs("openssh")
def test_init_runs_until_it_has_succeeded_once(cloud, remotes, door, sandbox, told, capfd):
    keys, known = door

    def start(init, **how):
        remotes(cloud.remote(**keys, init=init, init_timeout=1, idle_stop="60m"))
        lines = []
        rental, wanted = starting.begin(load().named("v100"), lines.append)
        # moto's machines print nothing on their consoles, and nobody waits for that here.
        code = starting.start(rental, wanted, starting.Start(30.0, console_patience=0.0, **how))
        return code, capfd.readouterr().out, "\n".join(lines), rental.machine.id

    code, shown, said, name = start("echo one; exit 7")
    assert (code, shown) == (7, "one\n")
    assert f"is accepted at first sight, for {name} alone" in said
    assert known.read_text().split()[0] == name
    assert f"{name} stops itself after 1 h without a lease" in said
    assert f"init ended with exit code 7; {name} (g5.12xlarge) is running and is billed" in said
    code, shown, said, _ = start("echo two; sleep 60")
    assert (code, shown) == (124, "two\n")
    assert "init did not end within 1 s (init-timeout)" in said
    assert start("echo three")[:2] == (0, "three\n")
    assert start("echo three")[:2] == (0, "")
    assert start("echo four")[:2] == (0, "")
    assert start("echo four", reinit=True)[:2] == (0, "four\n")
    assert told() == ["-c"] * 6


def test_each_failure_of_a_start_says_the_step_what_exists_and_what_it_costs(
    cloud, remotes, my_keys, monkeypatch, typed
):
    remotes(cloud.remote(**my_keys) + cloud.remote("home", **my_keys, ssh_cidr=None))

    def refused(**errors):
        cloud.control(errors=errors)
        return typed("remotes", "start", "v100", "-y", code=4).err.splitlines()[-1]

    nothing = "; no machine was started, and nothing is billed"
    # Nobody knows then what is there.
    unknown = "whether a machine is there and billed is not known: genvx remotes status v100 says"
    assert unknown in refused(DescribeInstances="UnauthorizedOperation")
    assert unknown in typed("remotes", "stop", "v100", "-y", code=4).err
    assert refused(RunInstances="UnauthorizedOperation") == (
        "genvx: could not start a machine: AWS does not allow ec2:RunInstances; ask the "
        f"administrator of the account to allow it{nothing}"
    )
    said = refused(RunInstances="InsufficientInstanceCapacity")
    assert said.startswith("genvx: could not start a machine: EC2 has no g5.12xlarge left in us-ea")
    assert said.endswith(f"(InsufficientInstanceCapacity){nothing}")
    assert cloud.live() == []

    # A machine that never comes up.
    cloud.control()
    monkeypatch.setenv("GENVX_SSH_CONFIG", str(Path.cwd() / "closed"))
    with reserved() as port:
        Path("closed").write_text(f"Host *\n  HostName 127.0.0.1\n  Port {port}\n")
        last = typed("remotes", "start", "v100", "-y", "--timeout", "1", code=4).err.splitlines()[
            -1
        ]
        (instance,) = cloud.live()
        name = instance["InstanceId"]
        assert f"could not get into its machine: not within 1 s (127.0.0.1 port {port} ref" in last
        bill = f"{name} (g5.12xlarge) is running and is billed until: genvx remotes stop v100"
        assert last.endswith(f"; {bill}")
        # Ctrl-C while it is waited for.
        process = start_genvx("remotes", "start", "v100", "-y")
        assert process.stderr is not None
        seen = []
        until(lambda: seen.append(process.stderr.readline()) or "not answer yet" in seen[-1])
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=30)
        assert process.returncode == 130
        assert f"interrupted while trying to get into its machine; {bill}\n" in rest
        assert "to go on: genvx remotes start v100\n" in rest

    # Nobody says from where we come.
    monkeypatch.setenv("GENVX_CHECKIP", "http://127.0.0.1:9/")
    said = typed("remotes", "start", "home", "-y", code=2).err
    assert "write it as ssh-cidr: 203.0.113.7/32; no machine was started" in said
    for variable in CREDENTIALS:
        monkeypatch.delenv(variable)
    (line,) = typed("remotes", "status", "v100", code=2).err.splitlines()
    assert line.startswith("genvx: no credentials for AWS: run aws configure")
