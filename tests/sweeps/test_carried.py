"""Hosts of a sweep on their way to the one that runs it."""

from __future__ import annotations

import pytest

from genvx.core.device import VisibleAs
from genvx.core.prelude import Prelude
from genvx.errors import InvalidInput, StateError
from genvx.fleet.hosts.hostspec import HostSpec
from genvx.ssh.config.secret import Secret
from genvx.ssh.config.sshconfig import Settler
from genvx.sweeps import carried


def config(path, text):
    path.write_text(text)
    return Settler(str(path)).settings


@pytest.fixture
def here(tmp_path):
    return config(
        tmp_path / "here",
        "Host gpu\n  HostName gpu.example.com\n  User alice\n  Port 2222\n  ProxyJump bastion\n",
    )


def arrived(tmp_path, specs, here, there, **more):
    path = tmp_path / "hosts.json"
    path.write_bytes(carried.written([carried.carried(each, here(each), **more) for each in specs]))
    return carried.read(str(path), there), path.read_text()


def test_a_host_is_found_as_here_unless_it_is_known_there(tmp_path, here):
    there = config(tmp_path / "there", "Host gpu\n  HostName 10.0.0.7\n")
    nothing = config(tmp_path / "nothing", "")
    spec = HostSpec("gpu", "gpu")
    ((found,), _), _ = arrived(tmp_path, [spec], here, nothing)
    assert (found.name, found.address, found.user, found.port) == (
        *("gpu", "gpu.example.com", "alice", 2222),
    )
    ((found,), _), _ = arrived(tmp_path, [spec], here, there)
    assert (found.address, found.user, found.port) == ("gpu", None, None)


def test_what_is_said_of_devices_travels_and_keys_and_secrets_stay(tmp_path, here, monkeypatch):
    spec = HostSpec(
        "gpu",
        "gpu",
        key="/home/alice/.ssh/id_rsa",
        password=Secret("hunter2"),  # of the key
        proxy_jump="bastion",
        gpus=(1, 3),
        visible_as=VisibleAs.INDEX,
        prelude=Prelude("python-path", "/opt/env/bin"),
        in_use=True,
        tags=("lab",),
    )
    (specs, shares), text = arrived(tmp_path, [spec], here, here, per_gpu=3)
    (found,) = specs
    assert (found.gpus, found.visible_as, found.prelude) == (
        spec.gpus,
        spec.visible_as,
        spec.prelude,
    )
    assert (found.in_use, found.tags, shares) == (True, ("lab",), {"gpu": 3})
    assert (found.key, found.password, found.proxy_jump) == (None, None, None)
    assert not any(word in text for word in ("hunter2", "id_rsa", "bastion"))


@pytest.mark.parametrize(
    "secret",
    [
        {"password": Secret("hunter2")},
        {"password_env": "GENVX_PASSWORD"},
        {"password_command": "pass x"},
    ],
)
def test_a_host_that_needs_a_password_is_refused_by_name(here, secret):
    spec = HostSpec("gpu", "gpu", **secret)
    with pytest.raises(InvalidInput, match="gpu needs a password, and passwords do not travel"):
        carried.carried(spec, here(spec))


@pytest.mark.parametrize("text", ["", "[]", '{"hosts": [{"name": 3}]}', '{"hosts": [{}]}'])
def test_a_file_that_is_none_is_an_error_in_words(tmp_path, here, text):
    path = tmp_path / "hosts.json"
    path.write_text(text)
    with pytest.raises(StateError, match="cannot read the hosts of the sweep"):
        carried.read(str(path), here)
