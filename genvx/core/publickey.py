"""Public keys of SSH, as they are in .pub files: read, checked and shown."""

from __future__ import annotations

import base64
from typing import Optional

from genvx.core.text import printable
from genvx.core.value import value
from genvx.errors import InvalidInput

# sshd reads lines of at most 8 KiB; an RSA key of 16384 bits has 2.8 KiB.
LONGEST_LINE = 8000
MOST_KEYS = 64
LONGEST_COMMENT = 200

# What ssh calls each kind, and of how many fields its data consists, the kind itself included.
_KINDS = {
    "ssh-rsa": ("RSA", 3),
    "ssh-ed25519": ("ED25519", 2),
    "ecdsa-sha2-nistp256": ("ECDSA", 3),
    "ecdsa-sha2-nistp384": ("ECDSA", 3),
    "ecdsa-sha2-nistp521": ("ECDSA", 3),
    "sk-ssh-ed25519@openssh.com": ("ED25519-SK", 3),
    "sk-ecdsa-sha2-nistp256@openssh.com": ("ECDSA-SK", 4),
}
_LEAST_RSA_BITS = 1024


@value
class PublicKey:
    """A public key. kind: the first word of its line. data: what it consists of, encoded."""

    kind: str
    data: bytes
    comment: str = ""

    @property
    def family(self) -> str:
        """What ssh calls its kind, such as ED25519."""
        return _KINDS[self.kind][0]

    @property
    def fingerprint(self) -> str:
        """Its fingerprint, as ssh shows it."""
        import hashlib  # its library costs a few milliseconds, and few lines show fingerprints

        digest = base64.b64encode(hashlib.sha256(self.data).digest()).decode("ascii")
        return f"SHA256:{digest.rstrip('=')}"

    @property
    def bare(self) -> str:
        """The line of its .pub file, without the comment."""
        return f"{self.kind} {base64.b64encode(self.data).decode('ascii')}"

    def __str__(self) -> str:
        return f"{self.fingerprint} ({self.comment or self.family})"


def parse_key(line: str) -> PublicKey:
    """Read the line of a .pub file.

    Raises:
        InvalidInput: it is no such line, or has more than a key and a comment.
    """
    if len(line) > LONGEST_LINE:
        raise InvalidInput("a line is too long for a public key")
    if not line.isprintable():
        raise InvalidInput("a public key has printable characters only, on one line")
    words = line.split(None, 2)
    kind = words[0] if words else ""
    if "-cert-v01@" in kind:
        raise InvalidInput("it is a certificate; give the public key itself")
    if kind == "ssh-dss":
        raise InvalidInput("OpenSSH takes no DSA keys any more; genvx keygen makes another one")
    if kind not in _KINDS:
        if any(f" {each} " in f" {line} " for each in _KINDS):
            raise InvalidInput("there are options in front of a key; give the key alone")
        raise InvalidInput(f"not a public key: {printable(line, 40)!r}")
    comment = words[2].strip() if len(words) > 2 else ""
    if len(comment) > LONGEST_COMMENT:
        raise InvalidInput(f"the comment of a key has at most {LONGEST_COMMENT} characters")
    try:
        data = base64.b64decode(words[1] if len(words) > 1 else "", validate=True)
    except ValueError:
        data = b""
    fields = _fields(data)
    if fields is None or len(fields) != _KINDS[kind][1] or fields[0] != kind.encode("ascii"):
        raise InvalidInput(f"the {kind} key is damaged; copy the whole line")
    if kind == "ssh-rsa" and int.from_bytes(fields[2], "big").bit_length() < _LEAST_RSA_BITS:
        raise InvalidInput(f"the RSA key has less than {_LEAST_RSA_BITS} bits")
    return PublicKey(kind, data, comment)


def _fields(data: bytes) -> Optional[list[bytes]]:
    """The fields of the data of a key, each behind its length; None if they do not fill it."""
    found = []
    while data:
        size = int.from_bytes(data[:4], "big")
        if len(data) < 4 + size:
            return None
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    return found


def parse_keys(text: str) -> tuple[str, ...]:
    """The lines of all keys in a .pub file, or in several of them; each key once.

    Raises:
        InvalidInput: there is none, or something else.
    """
    if "PRIVATE KEY-----" in text or text.startswith("PuTTY-User-Key-File"):
        raise InvalidInput("it is a private key, which stays with its owner")
    if "BEGIN SSH2 PUBLIC KEY" in text:
        raise InvalidInput("it is no key of OpenSSH; ssh-keygen -i -f FILE prints it as one")
    found: dict[bytes, str] = {}
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            key = parse_key(line.strip())
            found.setdefault(key.data, f"{key.bare} {key.comment}".rstrip())
    if not found:
        raise InvalidInput("there is no public key in it")
    return tuple(found.values())
