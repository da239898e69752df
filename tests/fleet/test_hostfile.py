from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genvx.errors import InvalidHostfile, UnknownHost
from genvx.fleet.hosts import hostfile
from genvx.fleet.hosts.hostfile import find, load, parse
from genvx.fleet.hosts.hostnames import parse_names
from genvx.fleet.hosts.hostspec import HostSpec
from tests.capabilities import USER_A
from tests.conftest import ROOT


def names(text):
    return [spec.name for spec in parse(text)]


def test_every_form_of_a_host_is_read():
    text = """
# a comment

gpu-server-1
raz@gpu-server-2:2222   # behind a host too
gpu[08-10].lab
[2001:db8::7]:22
fe80::1%eth0
10.0.0.7  user=ubuntu  key=/k.pem  python=/opt/py/bin/python3  gpus=0,2-3  tags=a,b  runs=/scratch/a
worker-1 slots=4 max_slots=8
DOMAIN\\user@win
"""
    assert parse(text) == (
        HostSpec("gpu-server-1", "gpu-server-1"),
        HostSpec("gpu-server-2:2222", "gpu-server-2", user="raz", port=2222),
        HostSpec("gpu08.lab", "gpu08.lab"),
        HostSpec("gpu09.lab", "gpu09.lab"),
        HostSpec("gpu10.lab", "gpu10.lab"),
        HostSpec("[2001:db8::7]:22", "2001:db8::7", port=22),
        HostSpec("fe80::1%eth0", "fe80::1%eth0"),
        HostSpec(
            "10.0.0.7",
            "10.0.0.7",
            user="ubuntu",
            key="/k.pem",
            python="/opt/py/bin/python3",
            runs="/scratch/a",
            gpus=(0, 2, 3),
            tags=("a", "b"),
        ),
        HostSpec("worker-1", "worker-1", slots=4),
        HostSpec("win", "win", user="DOMAIN\\user"),
    )


def test_the_example_in_the_repository_uses_every_option_once():
    specs = load(str(ROOT / "hostfile.example"))
    text = (ROOT / "hostfile.example").read_text()
    assert len(specs) > 5
    for option in hostfile.OPTIONS:
        assert f"{option}=" in text


def test_hostfiles_of_other_programs_are_read_as_they_are():
    """Each as its program writes it; genvx takes the hosts, and no limit from the numbers."""
    open_mpi = """
# Open MPI
node-1 slots=4 max_slots=8
node-2 slots = 4 max-slots = 8
node-3 cpus=64
"""
    assert parse(open_mpi) == (
        HostSpec("node-1", "node-1", slots=4),
        HostSpec("node-2", "node-2", slots=4),
        HostSpec("node-3", "node-3"),
    )
    hydra = "node-1:4\nnode-2:8 binding=rr ifname=ib0\nnode-3\n"  # MPICH, Intel MPI
    assert parse(hydra) == (
        HostSpec("node-1", "node-1", slots=4),
        HostSpec("node-2", "node-2", slots=8),
        HostSpec("node-3", "node-3"),
    )
    nodes = "node-1\nnode-1\nnode-2\nnode-1\n"  # $PBS_NODEFILE, or srun hostname
    assert parse(nodes) == (
        HostSpec("node-1", "node-1", slots=3),
        HostSpec("node-2", "node-2"),
    )
    deepspeed = "worker-1 slots=8\r\nworker-2 slots=8\r\n"
    assert [(spec.name, spec.slots) for spec in parse(deepspeed)] == [
        ("worker-1", 8),
        ("worker-2", 8),
    ]
    slurm = "gpu[01-02,07],big1 # $SLURM_JOB_NODELIST"
    assert names(slurm) == ["gpu01", "gpu02", "gpu07", "big1"]


def test_a_number_behind_a_host_is_a_port_where_it_can_be_one():
    assert parse("a:22\nb:2222\nraz@c:80\n[::1]:7\nd port=7") == (
        HostSpec("a:22", "a", port=22),
        HostSpec("b:2222", "b", port=2222),
        HostSpec("c:80", "c", user="raz", port=80),
        HostSpec("[::1]:7", "::1", port=7),
        HostSpec("d", "d", port=7),
    )


def test_a_mark_of_byte_order_is_no_part_of_the_first_host(tmp_path):
    (tmp_path / "h").write_bytes(b"\xef\xbb\xbfa\n")
    assert [spec.name for spec in load(str(tmp_path / "h"))] == ["a"]


def test_ranges_multiply_and_lists_are_ranges():
    assert names("r[1-2]n[1,3]") == ["r1n1", "r1n3", "r2n1", "r2n3"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\nb c=1", "hostfile:2:3: no option 'c'"),
        ("a prot=22", "did you mean port"),
        ("a port=70000", "1 to 65535"),
        ("a:0", "1 to 65535"),
        ("a:x", "1 to 65535"),
        ("a\na user=x", "a is listed already, on line 1, with other options"),
        ("a:64", "write port=64, or slots=64 if it is a number of processes"),
        ("a 4", "an option is written name=value, as slots=4, not '4'"),
        ("a slots =", "slots needs a value"),
        ("a slots = many", "slots is a whole number"),
        ("^a", "^ excludes a host in MPI"),
        ("a,,b", "not a host name: ''"),
        ("-oProxyCommand=x", "not a host name"),
        ("a;rm", "not a host name"),
        ("$(id)", "not a host name"),
        ("a b", "name=value"),
        ("a user=-l", "not a user name"),
        ("-x@a", "not a user name"),
        ("a gpus=x", "gpus are indices"),
        ("a gpus=3-1", "gpus are indices"),
        ("a runs=scratch", "absolute path"),
        ("a runs=/x';reboot;'", "absolute path"),
        ("a runs=$HOME/x", "absolute path"),
        ("a runs=~bob/x", "absolute path"),
        ("a runs=/x\\", "absolute path"),
        ("a runs=/x!y", "absolute path"),
        ("a python=python3", "absolute path"),
        ("a python=/x'y", "absolute path"),
        ('a key="x', "a quote is not closed"),
        ("a key=", "needs a value"),
        ("a tags=a,,b", "tags are words"),
        ("a user=x user=y", "given twice"),
        ("a[1-99999999]", "not a range"),
        ("a[5-1]", "not a range"),
        ("[2001:db8::g]:22", "not an IPv6 address"),
        ("a\x1b[31m", "not a host name"),
        ("ä", "not a host name"),
        ("# nothing\n\n", "names no host"),
        ("a slots=many", "slots is a whole number"),
    ],
)
def test_a_bad_line_names_its_place_and_shows_it_printably(text, words):
    with pytest.raises(InvalidHostfile) as caught:
        parse(text)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_relative_paths_start_at_the_hostfile(tmp_path):
    (tmp_path / "h").write_text('a key="my keys/k" ssh_config=cfg\n')
    (spec,) = load(str(tmp_path / "h"))
    assert (spec.key, spec.ssh_config) == (f"{tmp_path}/my keys/k", f"{tmp_path}/cfg")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a\0b", b"", b"x" * (5 << 20)])
def test_a_file_that_is_no_hostfile_is_one_line(tmp_path, content):
    (tmp_path / "h").write_bytes(content)
    with pytest.raises(InvalidHostfile) as caught:
        load(str(tmp_path / "h"))
    assert str(caught.value).isprintable()


def test_a_missing_or_unreadable_file_is_invalid(tmp_path):
    for path in (tmp_path / "nope", tmp_path):
        with pytest.raises(InvalidHostfile, match="cannot read"):
            load(str(path))


def test_names_after_dash_h_are_read_like_lines():
    specs = parse_names("a, raz@b:22,g[1-2,5],")
    assert [s.name for s in specs] == ["a", "b:22", "g1", "g2", "g5"]
    assert [s.name for s in parse_names("a,b,a")] == ["a", "b"]
    assert [s.name for s in parse_names("a:4")] == ["a:4"]
    for wrong in ("", ",", "a,u@a", "a b", "-x"):
        with pytest.raises(InvalidHostfile):
            parse_names(wrong)


@pytest.mark.parametrize(
    "name", ["[1-3]" * 12 + "[" * 60_000, "a[" + "1-9999," * 2000 + "1]", "[1]" * 5000]
)
def test_a_name_that_would_take_for_ever_is_refused(name):
    with pytest.raises(InvalidHostfile, match="at most 1024 characters"):
        parse(name)


def test_more_hosts_than_anybody_has_are_refused():
    with pytest.raises(InvalidHostfile, match="more than 10000 hosts"):
        parse("[1-3]" * 12)
    with pytest.raises(InvalidHostfile, match="more than 10000 hosts"):
        parse("a[1-6000,1-6000]")


def test_the_first_hostfile_that_exists_is_found(tmp_path):
    (tmp_path / "second").touch()
    places = [str(tmp_path / "first"), str(tmp_path / "second")]
    assert find({}, places) == places[1]
    assert find({"GENVX_HOSTFILE": "/x"}, places) == "/x"
    with pytest.raises(UnknownHost, match="GENVX_HOSTFILE"):
        find({}, places[:1])


STRANGER = USER_A
STRANGE = {
    f"belongs to uid {STRANGER}": lambda place: os.chown(place / "hostfile", STRANGER, STRANGER),
    "can be written by everybody": lambda place: (place / "hostfile").chmod(0o666),
    f"is in a directory of uid {STRANGER}": lambda place: os.chown(place, STRANGER, STRANGER),
    "is in a directory that can be written by everybody": lambda place: place.chmod(0o777),
}


@pytest.mark.needs("root")
@pytest.mark.parametrize("why", STRANGE)
def test_a_strangers_hostfile_where_we_are_is_passed_over_with_a_line(tmp_path, monkeypatch, why):
    place, own = tmp_path / "place", tmp_path / "own"
    place.mkdir()
    (place / "hostfile").write_text("evil\n")
    own.write_text("mine\n")
    monkeypatch.chdir(place)
    assert find({}, ["hostfile", str(own)]) == "hostfile"
    STRANGE[why](place)
    said = []
    assert find({}, ["hostfile", str(own)], said.append) == str(own)
    assert said == [
        f"the hostfile ./hostfile is not used: it {why}; name it with --hostfile if you mean it"
    ]
    assert [spec.name for spec in load("hostfile")] == ["evil"]


@pytest.mark.needs("root")
def test_a_link_of_a_strangers_to_a_file_of_ours_is_not_followed_either(tmp_path, monkeypatch):
    (tmp_path / "mine").write_text("mine\n")
    (tmp_path / "hostfile").symlink_to("mine")
    monkeypatch.chdir(tmp_path)
    assert find({}, ["hostfile"]) == "hostfile"
    os.chown("hostfile", STRANGER, STRANGER, follow_symlinks=False)
    with pytest.raises(UnknownHost):
        find({}, ["hostfile"])


@pytest.mark.needs("root")
def test_a_hostfile_in_a_sticky_directory_is_ones_own(tmp_path, monkeypatch):
    (tmp_path / "hostfile").write_text("mine\n")
    tmp_path.chmod(0o1777)
    monkeypatch.chdir(tmp_path)
    assert find({}, ["hostfile"]) == "hostfile"


@pytest.mark.needs("root")
def test_a_hostfile_that_becomes_a_strangers_is_not_loaded_unless_it_is_named(tmp_path):
    path = tmp_path / "hostfile"
    path.write_text("evil\n")
    os.chown(path, STRANGER, STRANGER)
    with pytest.raises(InvalidHostfile, match=f"is not used: it belongs to uid {STRANGER}"):
        load(str(path), named=False)


@given(st.text(max_size=80))
def test_no_text_raises_anything_but_invalid_hostfile_and_names_are_safe(text):
    try:
        specs = parse(text)
    except InvalidHostfile as error:
        assert str(error).isprintable()
    else:
        for spec in specs:
            assert not spec.address.startswith("-")
            assert not set(spec.address) & set(" ;$`'\"\\|&<>()")
