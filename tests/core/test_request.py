from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genvx.core.device import Device
from genvx.core.requests.models import is_model
from genvx.core.requests.requirements import Requirements
from genvx.errors import GenvxError, InvalidQuantity, UnknownDevice

GIB = 1 << 30
MIB = 1 << 20


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("2", Requirements(2)),
        ("A100:2", Requirements(2, models=("A100",))),
        ("a100", Requirements(1, models=("a100",))),
        ("A100,H100:80G..:2", Requirements(2, models=("A100", "H100"), at_least=80 * GIB)),
        ("80G:4", Requirements(4, at_least=80 * GIB)),
        ("..24G", Requirements(1, at_most=24 * GIB)),
        ("24G..48G:1", Requirements(1, at_least=24 * GIB, at_most=48 * GIB)),
        ("RTX 3090:1", Requirements(1, models=("RTX 3090",))),
        ("1g.10gb:2", Requirements(2, models=("1g.10gb",))),
        (" 2 ", Requirements(2)),
    ],
)
def test_what_people_type_is_understood(typed, wanted):
    assert Requirements.parse(typed) == wanted


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "-1",
        "A100:",
        ":2",
        "A100::2",
        "x:y:2",
        "2:A100",
        "2.5",
        "3090",
        "A100:-1",
        "5000",
        "$(x)",
    ],
)
def test_what_is_no_request_is_refused(typed):
    with pytest.raises(InvalidQuantity):
        Requirements.parse(typed)


@pytest.mark.parametrize("typed", ["8xA100", "8xA100:8", "8 x A100"])
def test_a_count_before_a_model_is_answered_with_how_it_is_written(typed):
    with pytest.raises(InvalidQuantity, match=r"8 A100 GPUs are written A100:8"):
        Requirements.parse(typed)


@given(st.text(max_size=30))
def test_whatever_is_typed_is_a_request_or_one_printable_line(typed):
    try:
        str(Requirements.parse(typed)).encode()
    except GenvxError as error:
        assert str(error).isprintable()


def test_named_devices_are_counted():
    wanted = Requirements.parse(devices=["0,3", "GPU-77"])
    assert (wanted.gpus, wanted.devices) == (3, ("0", "3", "GPU-77"))


@pytest.mark.parametrize("devices", [["$(x)"], ["0,"], ["-1"]])
def test_what_can_be_no_device_is_refused(devices):
    with pytest.raises(UnknownDevice):
        Requirements.parse(devices=devices)


@pytest.mark.parametrize(("gpus", "devices"), [("3", ["0,1"]), (None, ["0,0"])])
def test_a_count_that_is_not_that_of_the_named_devices_is_refused(gpus, devices):
    with pytest.raises(InvalidQuantity):
        Requirements.parse(gpus, devices=devices)


def test_the_larger_of_two_lower_bounds_holds():
    assert Requirements.parse("24G..:1", min_memory="40G").at_least == 40 * GIB


def test_sizes_that_nothing_has_are_refused():
    with pytest.raises(InvalidQuantity, match="no device has 48 GiB or more and 24 GiB or less"):
        Requirements.parse("48G..24G")


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("NVIDIA A100-SXM4-80GB", "NVIDIA A100"),
        ("NVIDIA A100-SXM4-80GB", "A100-80GB"),
        ("NVIDIA A100-SXM4-80GB", "a100-sxm4"),
        ("NVIDIA GeForce RTX 3090", "rtx3090"),
        ("NVIDIA GeForce RTX 3090", "RTX 3090"),
        ("NVIDIA GeForce RTX 3090", "3090"),
        ("NVIDIA GeForce RTX 3090 Ti", "3090ti"),
        ("NVIDIA RTX 6000 Ada Generation", "rtx 6000 ada"),
        ("Tesla V100-SXM2-16GB", "v100"),
        ("NVIDIA H100 80GB HBM3", "H100"),
    ],
)
def test_models_match_as_people_type_them(name, typed):
    assert is_model(name, typed)


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("NVIDIA A100-SXM4-80GB", "A10"),
        ("NVIDIA A10", "A100"),
        ("NVIDIA L40S", "L40"),
        ("NVIDIA GH200 480GB", "H200"),
        ("NVIDIA GeForce RTX 3090 Ti", "RTX 3090"),
        ("NVIDIA RTX 6000 Ada Generation", "RTX 6000"),
        ("NVIDIA A100-SXM4-40GB", "A100-80GB"),
    ],
)
def test_another_model_does_not_match(name, typed):
    assert not is_model(name, typed)


def test_only_a_profile_names_a_mig_instance():
    name = "NVIDIA A100-SXM4-80GB MIG 1g.10gb"
    matched = [
        t
        for t in ("1g.10gb", "a100 1g.10gb", "A100", "2g.20gb")
        if is_model(name, t, instance=True)
    ]
    assert matched == ["1g.10gb", "a100 1g.10gb"]


@pytest.mark.parametrize(
    ("mib", "box"),
    # What nvidia-smi tells of an H100, an A10, a T4, an L40S and a B200.
    [(81559, 80), (23028, 24), (15360, 16), (46068, 48), (183359, 192)],
)
def test_a_size_means_what_the_box_says(mib, box):
    device = Device("GPU-1", 0, "some", mib * MIB)
    assert Requirements.parse(f"{box}G..").mismatch(device) is None
    assert Requirements.parse(f"..{box}G").mismatch(device) is None
    assert Requirements.parse(f"{box * 1.1:.0f}G..").mismatch(device) is not None


def test_a_size_cannot_be_asked_of_a_device_that_does_not_tell_it():
    device = Device("GPU-1", 0, "GB10", None)
    assert Requirements.parse("1G..").mismatch(device) == "does not report its memory"
