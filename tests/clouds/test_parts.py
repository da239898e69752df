"""Parts of a start and a stop: networks, keys, prices, and what is asked of AWS."""

from __future__ import annotations

import base64
import datetime
import json
import os
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from genvx.clouds.aws.account import Account
from genvx.clouds.ec2 import access, prices
from genvx.clouds.ec2.cloud import Cloud, dead_man
from genvx.clouds.ec2.hostkeys import host_keys
from genvx.clouds.ec2.wanted import Machine, Wanted, usual_user
from genvx.errors import InvalidInput, InvalidRemotes, NotRunning
from genvx.fleet.remotes.pool import specs_named
from genvx.fleet.remotes.reading import load
from genvx.fleet.remotes.rented import place_of, wanted_of
from genvx.keypair import new_key
from tests.clouds.aws import REGION, stubbed
from torture.pretendcloud import IMAGE

KEY = new_key("ann")[1]
WANTED = Wanted(IMAGE, "g5.xlarge", KEY, cidrs=("10.0.0.0/8",))


@pytest.fixture
def lab(cloud):
    return Cloud(Account(REGION, endpoint_url=cloud.url), "lab")


@pytest.fixture
def answered(my_aws):
    """A remote in a cloud whose answers a test writes."""
    return Cloud(Account(REGION), "lab")


@pytest.fixture
def remote(tmp_path, monkeypatch):
    """Writes remotes.yml with one remote of type ec2, and returns that."""
    path = tmp_path / "remotes.yml"
    monkeypatch.setenv("GENVX_REMOTES", str(path))
    monkeypatch.setenv("HOME", str(tmp_path))

    def write(more=""):
        path.write_text(
            f"remotes:\n  lab:\n    type: ec2\n    region: us-east-2\n    ami: {IMAGE}\n"
            f"    instance-type: g5.xlarge\n{more}"
        )
        return load(os.environ).named("lab")

    return write


def launch(lab, wanted=WANTED):
    group = access.group(lab, wanted)
    return lab.launch(wanted, access.key_pair(lab, wanted.public_key), [group])


def test_where_we_were_before_is_not_let_in_any_more(lab, cloud):
    group = access.group(lab, WANTED)

    def let_in():
        (found,) = cloud.client().describe_security_groups(GroupIds=[group])["SecurityGroups"]
        return {
            (each["FromPort"], cidr)
            for each in found["IpPermissions"]
            for cidr in [r["CidrIp"] for r in each["IpRanges"]]
            + [r["CidrIpv6"] for r in each.get("Ipv6Ranges", ())]
        }

    access.let_in(lab, group, ["192.0.2.7/32"], 22)
    assert let_in() == {(22, "192.0.2.7/32")}
    access.let_in(lab, group, ["198.51.100.9/24", "2001:db8::7/128"], 22)
    assert let_in() == {(22, "198.51.100.0/24"), (22, "2001:db8::7/128")}
    access.let_in(lab, group, ["198.51.100.0/24"], 2222)
    assert let_in() == {(2222, "198.51.100.0/24")}


def test_our_address_is_what_a_service_says_and_nothing_that_is_none():
    said = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(said[-1])

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        said.append(b"203.0.113.7\n")
        assert access.our_address(url) == "203.0.113.7/32"
        for wrong in (b"<html>log in</html>", b"0.0.0.0/0", b""):
            said.append(wrong)
            with pytest.raises(InvalidInput, match=r"write it as ssh-cidr: 203\.0\.113\.7/32"):
                access.our_address(url)
        server.shutdown()


def test_of_two_machines_with_the_tags_the_one_that_was_there_is_kept(lab, cloud, monkeypatch):
    monkeypatch.setattr("genvx.clouds.ec2.cloud.time.sleep", lambda seconds: None)
    first = launch(lab)
    # Another computer has another key, and so another token; it looked before the first was there.
    second = launch(lab, replace(WANTED, public_key=new_key("ann")[1]))
    assert second.id == first.id
    assert [each["InstanceId"] for each in cloud.live()] == [first.id]
    assert lab.machine().id == first.id


def test_where_a_machine_was_ended_by_hand_the_next_start_makes_one_more(lab, cloud):
    first = launch(lab)
    cloud.client().terminate_instances(InstanceIds=[first.id])
    second = launch(lab)
    assert second.id != first.id
    assert launch(lab).id == second.id
    assert [each["InstanceId"] for each in cloud.live()] == [second.id]


def test_what_is_asked_of_ec2_for_a_spot_machine_in_a_subnet_that_stops_itself(lab, cloud):
    (subnet, *_) = cloud.client().describe_subnets()["Subnets"]
    wanted = replace(
        WANTED, spot=True, subnet=subnet["SubnetId"], idle=3600.0, first=600.0, tags={"a": "b"}
    )
    asked = lab._asked(wanted, "key", ["sg-1"])
    assert asked["InstanceMarketOptions"]["SpotOptions"]["SpotInstanceType"] == "persistent"
    assert asked["InstanceInitiatedShutdownBehavior"] == "stop"
    assert asked["UserData"] == "#!/bin/sh\nshutdown -P +70\n" == dead_man(4200)
    assert asked["NetworkInterfaces"][0]["AssociatePublicIpAddress"] is True
    assert {each["ResourceType"] for each in asked["TagSpecifications"]} == {
        *("instance", "volume", "network-interface", "spot-instances-request")
    }
    tags = {each["Key"]: each["Value"] for each in asked["TagSpecifications"][0]["Tags"]}
    assert (tags["genvx:user"], tags["a"]) == ("ubuntu", "b")
    assert asked["BlockDeviceMappings"][0]["Ebs"]["VolumeType"] == "gp3"
    with pytest.raises(InvalidInput, match="needs 15 GiB; root-device-size has less"):
        lab._asked(replace(wanted, disk=8), "key", ["sg-1"])


def test_a_spot_machine_is_ended_after_its_request_which_would_start_it_again(answered):
    spot = Machine("i-1", "running", "g5.xlarge", IMAGE, None, {}, {}, spot=True)
    with stubbed(answered.service) as stub:
        stub.add_response(
            "describe_spot_instance_requests",
            {"SpotInstanceRequests": [{"SpotInstanceRequestId": "sir-1"}]},
        )
        stub.add_response(
            "cancel_spot_instance_requests", {}, {"SpotInstanceRequestIds": ["sir-1"]}
        )
        stub.add_response("terminate_instances", {}, {"InstanceIds": ["i-1"]})
        answered.end([spot])
        stub.assert_no_pending_responses()


def test_older_kinds_of_machines_have_only_the_console_that_was_kept(answered):
    machine = Machine("i-1", "running", "p2.xlarge", IMAGE, None, {}, {})
    with stubbed(answered.service) as stub:
        stub.add_client_error("get_console_output", "UnsupportedOperation")
        stub.add_response("get_console_output", {"Output": "hello"}, {"InstanceId": "i-1"})
        assert answered.console(machine) == "hello"


def test_host_keys_are_those_of_the_last_whole_list_on_the_console():
    kind, text = KEY.split()[:2]
    old = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + bytes(32)).decode()
    begin, end = "-----BEGIN SSH HOST KEY KEYS-----\r\n", "-----END SSH HOST KEY KEYS-----\r\n"
    console = f"boot\r\n{begin}{old} root@a\r\n{end}boot\r\n{begin}{kind} {text} root@b\r\n{end}"
    assert host_keys(console) == [(kind, base64.b64decode(text))]
    assert host_keys(f"{begin}{kind} {text}") == []
    assert host_keys(f"{begin}ssh-rsa {text} of another kind\r\n{end}") == []
    assert host_keys("Linux") == []


def test_a_price_is_that_of_an_hour_on_demand_or_the_latest_of_a_spot_machine(answered):
    dimension = {"pricePerUnit": {"USD": "3.0600000000"}}
    product = {"terms": {"OnDemand": {"a": {"priceDimensions": {"b": dimension}}}}}
    assert prices.on_demand_of({"PriceList": [json.dumps(product)]}) == 3.06
    assert prices.on_demand_of({"PriceList": []}) is None
    now = datetime.datetime(2026, 11, 28, tzinfo=datetime.UTC)
    zone = {"AvailabilityZone": "us-east-2a"}
    history = [
        {**zone, "SpotPrice": "0.9", "Timestamp": now},
        {**zone, "SpotPrice": "2.0", "Timestamp": now - datetime.timedelta(hours=1)},
    ]
    with stubbed(answered.service) as stub:
        stub.add_response("describe_spot_price_history", {"SpotPriceHistory": history})
        assert prices.price(answered, "g5.xlarge", spot=True) == 0.9
        stub.add_client_error("describe_spot_price_history", "UnauthorizedOperation")
        assert prices.price(answered, "g5.xlarge", spot=True) is None


@pytest.mark.parametrize(
    ("image", "user"),
    [
        ("ubuntu/images/hvm-ssd/ubuntu-noble-24.04", "ubuntu"),
        ("Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.7 (Amazon Linux 2023)", "ec2-user"),
        ("al2023-ami-2023.6-kernel-6.1-x86_64", "ec2-user"),
        ("debian-12-amd64", "admin"),
        ("my-own-image", None),
    ],
)
def test_the_user_of_an_image_is_known_by_its_name(image, user):
    assert usual_user(image) == user


def test_what_the_machine_lets_in_is_the_other_half_of_the_private_key(remote, tmp_path):
    with pytest.raises(InvalidInput, match="make one with ssh-keygen -t ed25519"):
        wanted_of(remote())
    private, line = new_key("ann")
    bare = " ".join(line.split()[:2])
    (tmp_path / "mine").write_bytes(private)
    assert wanted_of(remote("    private-key: mine\n")).public_key == bare
    assert wanted_of(remote(f"    public-key: {line}\n")).public_key == bare
    Path(tmp_path, ".ssh").mkdir()
    Path(tmp_path, ".ssh/id_ed25519.pub").write_text(f"{line}\n")
    assert wanted_of(remote()).public_key == bare
    with pytest.raises(InvalidInput, match="private-key: there is no file"):
        wanted_of(remote("    private-key: none\n"))


def test_an_address_and_a_user_from_the_cloud_are_checked_before_they_are_words_for_ssh(remote):
    def machine(address, **tags):
        return Machine("i-1", "running", "g5.xlarge", IMAGE, None, {"public-dns": address}, tags)

    spec = place_of(remote(), machine("ec2-1.aws.com", **{"genvx:user": "ubuntu"}))
    assert (spec.address, spec.user, spec.host_key_alias) == ("ec2-1.aws.com", "ubuntu", "i-1")
    assert place_of(remote(), machine("a", **{"genvx:user": "-oProxyCommand=x"})).user is None
    with pytest.raises(InvalidInput, match="the address of i-1: not a host name"):
        place_of(remote(), machine("-oProxyCommand=x"))
    with pytest.raises(InvalidInput, match="has no public-dns address; write address: private-ip"):
        place_of(remote(), machine(""))
    # What is written comes before what the image says.
    mine = remote("    user: ann\n")
    assert mine.at(place_of(mine, machine("a", **{"genvx:user": "ubuntu"}))).user == "ann"


def test_a_file_of_a_project_names_no_server_for_credentials(remote, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("genvx-remotes.yml").write_text(
        f"remotes: {{theirs: {{type: ec2, region: us-east-2, ami: {IMAGE}, "
        "instance-type: g5.xlarge, endpoint-url: 'http://evil.example'}}\n"
    )
    remote()
    with pytest.raises(InvalidRemotes, match="endpoint-url is a server for your credentials"):
        load(os.environ).named("theirs").require_ssh()


def test_of_several_remotes_those_that_run_are_asked_and_the_others_are_named(
    cloud, tmp_path, monkeypatch
):
    path = tmp_path / "remotes.yml"
    monkeypatch.setenv("GENVX_REMOTES", str(path))
    path.write_text(
        f"remotes:\n{cloud.remote('a')}{cloud.remote('b')}  c: {{type: ssh, host: lab}}\n"
    )
    with pytest.raises(NotRunning, match=r"a is not started.*; remote b is not started"):
        specs_named("a,b", os.environ)
    launch(Cloud(Account(REGION, endpoint_url=cloud.url), "a"))
    said = []
    assert [spec.name for spec in specs_named("a,b,c", os.environ, said.append)] == ["a", "c"]
    assert said == ["remote b is not started; start it: genvx remotes start b"]
