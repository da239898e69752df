"""Which lines are public keys, and how they are shown."""

from __future__ import annotations

import base64
import subprocess

import pytest

from genvx.core.publickey import MOST_KEYS, parse_key, parse_keys
from genvx.core.runs.debugport import DebugPort, OpenPort
from genvx.errors import InvalidInput


def packed(*fields):
    data = b"".join(len(each).to_bytes(4, "big") + each for each in fields)
    return base64.b64encode(data).decode("ascii")


ED25519 = f"ssh-ed25519 {packed(b'ssh-ed25519', b'k' * 32)}"
# A security key must be there to make one, so these were put together.
SK_ED25519 = "sk-ssh-ed25519@openssh.com " + packed(
    b"sk-ssh-ed25519@openssh.com", b"k" * 32, b"ssh:"
)
SK_ECDSA = "sk-ecdsa-sha2-nistp256@openssh.com " + packed(
    b"sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", b"\4" + b"k" * 64, b"ssh:"
)


@pytest.mark.needs("openssh")
@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_a_key_that_ssh_keygen_makes_has_the_fingerprint_that_it_shows(tmp_path, kind):
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "me @ ü", "-f", path])
    shown = subprocess.run(["ssh-keygen", "-lf", f"{path}.pub"], capture_output=True, text=True)
    key = parse_key((tmp_path / "key.pub").read_text().strip())
    assert shown.stdout.split()[1] == key.fingerprint
    assert (key.family, key.comment) == (kind.upper(), "me @ ü")
    with pytest.raises(InvalidInput, match="it is a private key"):
        parse_keys(path.read_text())


def test_several_keys_in_a_file_count_once_each_with_their_comments():
    text = f"# ours\n\n{ED25519} ann\r\n  {SK_ED25519}\n{SK_ECDSA} bob b\n{ED25519} again\n"
    assert parse_keys(text) == (f"{ED25519} ann", SK_ED25519, f"{SK_ECDSA} bob b")
    assert parse_key(SK_ED25519).family == "ED25519-SK"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "there is no public key in it"),
        ("# nothing", "there is no public key in it"),
        ("PuTTY-User-Key-File-3: ssh-ed25519\n", "it is a private key"),
        ("---- BEGIN SSH2 PUBLIC KEY ----\n", "ssh-keygen -i -f FILE"),
        (f'command="x" {ED25519}', "options in front of a key"),
        (f"cert-authority {ED25519} x", "options in front of a key"),
        (f"{ED25519} ok\n# no\nssh-ed25519-cert-v01@openssh.com AAAA", "it is a certificate"),
        ("ssh-dss AAAA", "OpenSSH takes no DSA keys"),
        ("hello", "not a public key: 'hello'"),
        ("ssh-ed25519", "the ssh-ed25519 key is damaged"),
        (ED25519[:-4], "the ssh-ed25519 key is damaged"),
        (ED25519.replace("AAAA", "AA.A", 1), "the ssh-ed25519 key is damaged"),
        (f"ssh-rsa {packed(b'ssh-ed25519', b'k' * 32)}", "the ssh-rsa key is damaged"),
        (f"ssh-rsa {packed(b'ssh-rsa', b'3', b'k' * 64)}", "less than 1024 bits"),
        (f"{ED25519} \x1b[31mred", "printable characters only"),
        (f"{ED25519} {'x' * 201}", "at most 200 characters"),
        (f"{ED25519} {'x' * 9000}", "too long"),
    ],
)
def test_what_is_no_public_key_is_refused_in_words(text, why):
    with pytest.raises(InvalidInput, match=why):
        parse_keys(text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"keys": ()},
        {"keys": (ED25519,) * (MOST_KEYS + 1)},
        {"keys": (f"{ED25519}\n{ED25519}",)},
        {"keys": (f'command="x" {ED25519}',)},
        {"port": -1},
        {"port": 65536},
        {"bind": "localhost"},
        {"bind": "127.0.0.1 -o x"},
        {"address": "a\x1b"},
    ],
)
def test_a_debug_port_that_cannot_be_is_refused(wrong):
    with pytest.raises(InvalidInput):
        DebugPort(**{"keys": (ED25519,), **wrong})


@pytest.mark.parametrize("user", ["", "-oProxyCommand=touch x;a"])
def test_a_host_names_no_user_that_ssh_reads_as_an_option(user):
    with pytest.raises(InvalidInput):
        OpenPort(user, "h", 2222, ED25519)


def test_the_line_that_leads_into_a_run_is_one_for_a_shell():
    port = OpenPort("a b", "::1", 2222, f"{ED25519} x")
    settings = "-o IdentitiesOnly=yes -o HostKeyAlias=genvx-run-abcd -p 2222"
    assert port.line("abcd") == f"ssh -i <private key> {settings} 'a b@::1'"
    assert port.line("abcd", "my key") == f"ssh -i 'my key' {settings} 'a b@::1'"
    assert port.known_host("abcd") == f"genvx-run-abcd {ED25519}"
