"""A password that was written down."""

from __future__ import annotations

from typing import NoReturn


class Secret:
    """Secret is a password or a passphrase, which no message and no traceback shows.

    It cannot be copied or pickled, so that a value with one in it reaches no file and no host.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    @property
    def text(self) -> str:
        """The secret itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")


__all__ = ["Secret"]
