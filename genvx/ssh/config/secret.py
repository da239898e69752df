"""A password that was written down."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Secret:
    """Secret is a password or a passphrase, which no message and no traceback shows."""

    text: str = field(repr=False)
