"""The error for a host key that is not accepted."""

from __future__ import annotations

import base64
import hashlib
import os
import shlex

from genvx.core.text import printable
from genvx.errors import HostKeyError
from genvx.ssh.hostkey.verdict import Verdict


def fingerprint(blob: bytes) -> str:
    """Return the fingerprint of a key, as ssh prints it."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii")
    return "SHA256:" + digest.rstrip("=")


def refusal(
    verdict: Verdict, name: str, kind: str, blob: bytes, *, advice: str, known_in: str = ""
) -> HostKeyError:
    """Make the error for a key that is not accepted: its fingerprint, and what to do.

    advice: what to do about an unknown key. known_in: the file with the old key, if it changed.
    """
    shown = f"{kind} key {fingerprint(blob)}"
    if verdict is Verdict.REVOKED:
        return HostKeyError(f"the host key of {name} is revoked ({shown}); do not connect")
    if verdict is Verdict.CHANGED:
        usual = os.path.expanduser("~/.ssh/known_hosts")
        file = "" if known_in == usual else f" -f {printable(shlex.quote(known_in), 200)}"
        return HostKeyError(
            f"the host key of {name} has changed ({shown}): somebody may be intercepting the "
            "connection; if the host was reinstalled, remove the old key with ssh-keygen -R "
            f"{shlex.quote(name)}{file}"
        )
    return HostKeyError(f"the host key of {name} is not known ({shown}){advice}")
