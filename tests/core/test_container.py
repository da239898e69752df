"""The words that start a run's command in a container, for each runtime."""

from __future__ import annotations

import pytest

from genvx.core.runs import container
from genvx.core.runs.container import Container, Inside, Mount, Runtime, parse_mount
from genvx.core.value import replace
from genvx.errors import InvalidInput

GPUS = ("GPU-aaaa", "GPU-bbbb")
INSIDE = Inside(
    "genvx-3f0c5d1a",
    "3f0c5d1a",
    1000,
    1001,
    "/home/ann/x",
    (Mount("/home/ann/x", "/home/ann/x"), Mount("/srv/data", "/data", read_only=True)),
    GPUS,
    {"TOKEN": "secret", "PATH": "/opt/bin"},
)
ARGV = ("python", "train.py", "--lr", "1")


def words(runtime, **changes):
    return container.words(
        runtime, f"/usr/bin/{runtime.value}", "img", replace(INSIDE, **changes), ARGV
    )


def test_podman_gets_each_gpu_by_its_uuid_and_the_lease_as_descriptor_3():
    found = words(Runtime.PODMAN)
    assert found[:3] == ("/usr/bin/podman", "run", "--rm")
    assert "--device=nvidia.com/gpu=GPU-aaaa" in found
    assert "--device=nvidia.com/gpu=GPU-bbbb" in found
    assert "--preserve-fds=1" in found
    assert "--userns=keep-id" in found


def test_podman_of_root_keeps_no_ids():
    assert "--userns=keep-id" not in words(Runtime.PODMAN, uid=0, gid=0)


def test_docker_gets_all_gpus_in_one_quoted_value():
    found = words(Runtime.DOCKER)
    assert '--gpus="device=GPU-aaaa,GPU-bbbb"' in found
    assert not any(word.startswith(("--device", "--userns", "--preserve")) for word in found)


@pytest.mark.parametrize("runtime", [Runtime.PODMAN, Runtime.DOCKER])
def test_what_both_have(runtime):
    found = words(runtime)
    assert found[-5:] == ("img", *ARGV)
    assert "--user=1000:1001" in found
    assert "--workdir=/home/ann/x" in found
    assert "--label=genvx.run=3f0c5d1a" in found
    assert "--entrypoint=" in found
    assert "type=bind,source=/srv/data,target=/data,readonly" in found
    assert "type=bind,source=/home/ann/x,target=/home/ann/x" in found
    assert "--tty" in words(runtime, tty=True)
    assert "--tty" not in found
    assert "--init" not in words(runtime, init=False)


@pytest.mark.parametrize("runtime", list(Runtime))
def test_without_gpus_no_device_is_asked_for(runtime):
    found = words(runtime, devices=())
    assert not any(word.startswith(("--gpus", "--device", "--nv")) for word in found)


def test_an_image_that_asks_hooks_for_all_gpus_does_not_get_them():
    asked = "NVIDIA_VISIBLE_DEVICES"
    assert container.hook_variables(Runtime.PODMAN, GPUS) == {asked: "void"}
    assert container.hook_variables(Runtime.DOCKER, GPUS) == {asked: "GPU-aaaa,GPU-bbbb"}
    assert container.hook_variables(Runtime.DOCKER, ()) == {asked: "void"}


@pytest.mark.parametrize("runtime", list(Runtime))
def test_no_word_has_the_value_of_a_variable_that_the_client_can_pass_on(runtime):
    assert not any("secret" in word for word in words(runtime))
    around = {"PATH": "/usr/bin", "HOME": "/home/ann"}
    passed = container.client_variables(runtime, around, INSIDE.variables)
    assert passed["PATH"] == "/usr/bin"
    assert passed["HOME"] == "/home/ann"
    assert "secret" in passed.values()


@pytest.mark.parametrize(
    "name", ["PATH", "HOME", "DOCKER_HOST", "CONTAINERS_CONF", "LD_PRELOAD", "XDG_RUNTIME_DIR"]
)
def test_no_variable_of_a_command_changes_what_the_client_does(name):
    for runtime in Runtime:
        assert name not in container.client_variables(runtime, {}, {name: "x"})
    found = words(Runtime.DOCKER, variables={name: "x"})
    assert f"--env={name}=x" in found


def test_apptainer_binds_and_gets_variables_by_prefix():
    found = words(Runtime.APPTAINER)
    assert found == (
        *("/usr/bin/apptainer", "exec", "--nv"),
        *("--bind", "/home/ann/x:/home/ann/x", "--bind", "/srv/data:/data:ro"),
        *("--pwd", "/home/ann/x", "img"),
        *ARGV,
    )
    passed = container.client_variables(Runtime.APPTAINER, {}, INSIDE.variables)
    assert passed["APPTAINERENV_PATH"] == "/opt/bin"
    assert passed["SINGULARITYENV_TOKEN"] == "secret"


def test_a_directory_below_another_is_mounted_with_it():
    found = container.own_mounts(["/a/b/", "/a", "/ab", "/a/b/c"])
    assert found == (Mount("/a", "/a"), Mount("/ab", "/ab"))


@pytest.mark.parametrize("image", ["", "-v/:/x", "a b", "a\nb", "a\x1b[2J"])
def test_an_image_that_is_an_option_or_no_name_is_refused(image):
    with pytest.raises(InvalidInput, match="--image is the name"):
        Container(image)


@pytest.mark.parametrize(
    "text",
    ["", "/a", "/a:", ":/a", "/a:b", "/a:/", "/a:/..", "/a:/b:rw,z", "/a,b:/c", '/a":/c', "/:/"],
)
def test_a_mount_that_makes_no_sense_is_refused(text):
    with pytest.raises(InvalidInput):
        parse_mount(text)


def test_mounts_are_read():
    assert parse_mount("data:/data") == Mount("data", "/data")
    assert parse_mount("/a:/b:ro") == Mount("/a", "/b", read_only=True)
