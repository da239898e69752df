"""What is known of a host before it is asked, and which hosts of many are meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import UnknownHost
from genvx.ssh.target import Target
from genvx.ssh.wildcards import matches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.core.device import VisibleAs


@dataclass(frozen=True)
class HostSpec(Target):
    """One host of a hostfile: how to reach it, and which of its devices may be used.

    name: what tables show and results are keyed by; unique in a fleet.
    gpus: the indices that may be used; None for all. tags, slots: kept for those who place by
    them. visible_as: how CUDA is told of devices there where nobody says.
    """

    python: str | None = None
    gpus: tuple[int, ...] | None = None
    tags: tuple[str, ...] = ()
    slots: int | None = None
    visible_as: VisibleAs | None = None


@dataclass(frozen=True)
class Selection:
    """Some of the hosts of a hostfile.

    hosts: names or patterns, of which one must fit; excluded: of which none may; tags: all of them.
    """

    hosts: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.hosts or self.excluded or self.tags)

    def of(self, specs: Sequence[HostSpec]) -> tuple[HostSpec, ...]:
        """The hosts that are meant.

        Raises:
            UnknownHost: there is none, or none for one of the names.
        """
        for pattern in self.hosts:
            if not any(_is_named(spec, pattern) for spec in specs):
                raise UnknownHost(f"no host {printable(pattern, 60)!r} among the hosts")
        found = tuple(
            spec
            for spec in specs
            if (not self.hosts or any(_is_named(spec, pattern) for pattern in self.hosts))
            and not any(_is_named(spec, pattern) for pattern in self.excluded)
            and set(self.tags) <= set(spec.tags)
        )
        if not found:
            tags = f" with {printable(', '.join(self.tags), 100)}" if self.tags else ""
            raise UnknownHost(f"none of the {len(specs)} hosts is left{tags}")
        return found


def _is_named(spec: HostSpec, pattern: str) -> bool:
    return matches(pattern, spec.name) or matches(pattern, spec.address)
