from __future__ import annotations

import base64
import hashlib
import hmac
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genvx.errors import HostKeyError
from genvx.ssh.hostkey.hostkeymemory import remember
from genvx.ssh.hostkey.hostkeys import KnownHosts
from genvx.ssh.hostkey.verdict import Verdict

KEY, OTHER = b"\0\0\0\x0bssh-ed25519key", b"\0\0\0\x0bssh-ed25519other"
B64 = base64.b64encode(KEY).decode()


def known(tmp_path, *lines: str | bytes) -> KnownHosts:
    path = tmp_path / "known_hosts"
    path.write_bytes(b"\n".join(x if isinstance(x, bytes) else x.encode() for x in lines))
    return KnownHosts([str(path)])


def hashed(name):
    salt = os.urandom(20)
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


@pytest.mark.parametrize(
    ("names", "name", "verdict"),
    [
        ("host", "host", Verdict.KNOWN),
        ("HOST", "host", Verdict.KNOWN),
        ("a,host,b", "host", Verdict.KNOWN),
        ("*.lab", "x.lab", Verdict.KNOWN),
        ("h?st", "host", Verdict.KNOWN),
        ("*,!host", "host", Verdict.UNKNOWN),
        ("[host]:2222", "[host]:2222", Verdict.KNOWN),
        ("host", "[host]:2222", Verdict.UNKNOWN),
        ("h.st", "host", Verdict.UNKNOWN),
        ("10.0.0.?", "10.0.0.7", Verdict.KNOWN),
    ],
)
def test_names_match_as_in_openssh(tmp_path, names, name, verdict):
    assert known(tmp_path, f"{names} ssh-ed25519 {B64} a comment").judge(name, KEY) is verdict


def test_hashed_names_match(tmp_path):
    hosts = known(tmp_path, f"{hashed('host')} ssh-ed25519 {B64}")
    assert hosts.judge("host", KEY) is Verdict.KNOWN
    assert hosts.judge("tsoh", KEY) is Verdict.UNKNOWN


def test_another_key_is_changed_and_a_revoked_one_is_revoked(tmp_path):
    hosts = known(tmp_path, f"host ssh-ed25519 {B64}", f"@revoked * ssh-ed25519 {B64}")
    assert hosts.judge("host", OTHER) is Verdict.CHANGED
    assert hosts.judge("host", KEY) is Verdict.REVOKED


def test_one_bad_line_does_not_make_the_good_ones_count_for_nothing(tmp_path):
    hosts = known(
        tmp_path,
        b"\xff\xfe \x80 garbage",
        "host",
        "host ssh-ed25519 !!!",
        f"@cert-authority * ssh-ed25519 {B64}",
        f"@strange host ssh-ed25519 {B64}",
        "|1|broken ssh-ed25519 AAAA",
        f"host ssh-ed25519 {B64}",
    )
    assert hosts.judge("host", KEY) is Verdict.KNOWN
    assert hosts.has_authority("host")


def test_a_certificate_authority_alone_trusts_no_plain_key(tmp_path):
    hosts = known(tmp_path, f"@cert-authority * ssh-ed25519 {B64}")
    assert hosts.judge("host", KEY) is Verdict.UNKNOWN


def test_missing_files_are_empty_and_unreadable_ones_are_errors(tmp_path):
    assert KnownHosts([str(tmp_path / "no")]).judge("h", KEY) is Verdict.UNKNOWN
    with pytest.raises(HostKeyError, match="cannot read"):
        KnownHosts([str(tmp_path)])


def test_a_new_key_is_appended_on_a_line_of_its_own(tmp_path):
    path = tmp_path / "ssh" / "known_hosts"
    remember(str(path), "a", "ssh-ed25519", KEY)
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    remember(str(path), "[b]:22", "ssh-ed25519", OTHER)
    hosts = KnownHosts([str(path)])
    assert hosts.judge("a", KEY) is Verdict.KNOWN
    assert hosts.judge("[b]:22", OTHER) is Verdict.KNOWN
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_key_that_cannot_be_remembered_is_not_accepted(tmp_path):
    with pytest.raises(HostKeyError, match="cannot remember"):
        remember(str(tmp_path), "a", "ssh-ed25519", KEY)


@given(st.binary(max_size=300))
def test_no_file_makes_an_unknown_key_known(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("k") / "known_hosts"
    path.write_bytes(data)
    assert KnownHosts([str(path)]).judge("host", KEY) is not Verdict.KNOWN
