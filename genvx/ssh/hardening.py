"""Which algorithms a connection offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import paramiko


def harden(transport: paramiko.Transport, known: Sequence[str]) -> None:
    """Prefer kinds of host key that are known and fast ciphers; offer no broken algorithms."""
    options = transport.get_security_options()
    # A server with several keys shows the kind that the client prefers, so kinds in known_hosts
    # come first. An RSA key has three signature algorithms; that with SHA-1 (ssh-rsa) is left out.
    wanted = [
        name
        for kind in known
        for name in (("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,))
        if name in options.key_types
    ]
    options.key_types = [
        *wanted,
        *(name for name in options.key_types if name not in wanted and name != "ssh-rsa"),
    ]
    sound = [name for name in options.ciphers if "cbc" not in name and "3des" not in name]
    # Those that authenticate as well come first: without a MAC of its own for each packet, files
    # are sent up to twice as fast.
    options.ciphers = sorted(sound, key=lambda name: "gcm" not in name)
    options.digests = [n for n in options.digests if "md5" not in n and "sha1" not in n]
    options.kex = [n for n in options.kex if not n.endswith("sha1")]
