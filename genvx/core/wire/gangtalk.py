"""What the supervisors of a gang's parts say to each other: lines of ASCII over TCP.

    node 0    genvx-gang 1 NONCE            once somebody has connected
    a part    part RANK NONCE PROOF         it knows the secret
    node 0    node0 PROOF                   so does node 0
    both      alive                         every ALIVE_EVERY seconds
    node 0    go                            the commands start now
    both      ended CODE RANK               a command has ended; if CODE is not 0, all are to end

A proof is an HMAC of the secret over both nonces, so the secret is never sent, and what somebody
has recorded is of no use later. Nothing else is understood; who says anything else is hung up on.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Optional

from genvx.core.runs.part import MOST_NODES
from genvx.core.value import value
from genvx.core.wire.plain import Malformed

# Seconds. A part is given up after so long a silence: a cut network comes back, but a host without
# power does not. One whose connection has ended, and not only fallen silent, has less time to
# connect again: then its supervisor was killed, or something between the hosts has cut it off.
ALIVE_EVERY = 30.0
SILENT_FOR = 300.0
RETURN_WITHIN = 10.0
# So long a part tries to connect before it is accepted, and a stranger may stay a stranger.
CONNECT_WITHIN = 5.0
PROVE_WITHIN = 10.0

LONGEST_LINE = 256
_NONCE_DIGITS = 32
_PROOF_DIGITS = 64
_VERSION = "1"

ALIVE, GO = "alive\n", "go\n"


@value
class Word:
    """A line that was understood: what it says, and its numbers and hexadecimal words."""

    what: str
    code: int = 0
    rank: int = 0
    nonce: str = ""
    proof: str = ""


def greeting(nonce: str) -> str:
    """What node 0 says first."""
    return f"genvx-gang {_VERSION} {nonce}\n"


def introduction(rank: int, nonce: str, proof: str) -> str:
    """What a part answers."""
    return f"part {rank} {nonce} {proof}\n"


def welcome(proof: str) -> str:
    """What node 0 says to a part that it knows."""
    return f"node0 {proof}\n"


def ended(code: int, rank: int) -> str:
    """That the command of a node has ended."""
    return f"ended {code} {rank}\n"


def proof(secret: str, role: str, run: str, rank: int, *nonces: str) -> str:
    """What only somebody can say who knows the secret.

    role: "part" or "node0", so that neither can be answered with its own words. nonces: of node 0,
    then of the part.
    """
    said = " ".join((role, run, str(rank), *nonces))
    return hmac.new(secret.encode(), said.encode(), hashlib.sha256).hexdigest()


def same(one: str, other: str) -> bool:
    """Compare two proofs in a time that says nothing about where they differ."""
    return hmac.compare_digest(one, other)


def split(data: bytes) -> tuple[list[bytes], bytes]:
    """The lines in what was received, and the beginning of the next one.

    Raises:
        Malformed: a line is too long.
    """
    *lines, rest = data.split(b"\n")
    if any(len(line) > LONGEST_LINE for line in (*lines, rest)):
        raise Malformed("a line is too long")
    return lines, rest


def read(line: bytes) -> Word:
    """Understand a line.

    Raises:
        Malformed: it is none of ours.
    """
    try:
        words = line.decode("ascii").split(" ")
    except UnicodeDecodeError:
        raise Malformed("not a line of a gang") from None
    what, *rest = words
    word: Optional[Word] = None
    if what in ("alive", "go") and not rest:
        word = Word(what)
    elif what == "ended" and len(rest) == 2:
        word = Word(what, code=_number(rest[0], 255), rank=_number(rest[1], MOST_NODES - 1))
    elif what == "genvx-gang" and len(rest) == 2 and rest[0] == _VERSION:
        word = Word(what, nonce=_digits(rest[1], _NONCE_DIGITS))
    elif what == "part" and len(rest) == 3:
        word = Word(
            what,
            rank=_number(rest[0], MOST_NODES - 1),
            nonce=_digits(rest[1], _NONCE_DIGITS),
            proof=_digits(rest[2], _PROOF_DIGITS),
        )
    elif what == "node0" and len(rest) == 1:
        word = Word(what, proof=_digits(rest[0], _PROOF_DIGITS))
    if word is None:
        raise Malformed("not a line of a gang")
    return word


def _number(text: str, most: int) -> int:
    if not text.isdigit() or len(text) > len(str(most)) or int(text) > most:
        raise Malformed("not a line of a gang")
    return int(text)


def _digits(text: str, count: int) -> str:
    if len(text) != count or not set(text) <= set("0123456789abcdef"):
        raise Malformed("not a line of a gang")
    return text
