"""Selection picks some of many hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.core.value import value
from genvx.errors import UnknownHost
from genvx.ssh.config.wildcards import matches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.fleet.hosts.hostspec import HostSpec

# Of the hosts that there are, in an error.
_MOST_NAMED = 8


def some_of(names: Sequence[str]) -> str:
    """The names of hosts for an error: the first of them, where there are many."""
    return ", ".join([*names[:_MOST_NAMED], *(["..."] if len(names) > _MOST_NAMED else [])])


@value
class Selection:
    """Selection picks some of the hosts of a hostfile.

    hosts: names or patterns, one of which must match; none given means all. excluded: names or
    patterns, none of which may match. tags: the host must have all of them.
    """

    hosts: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.hosts or self.excluded or self.tags)

    def of(self, specs: Sequence[HostSpec]) -> tuple[HostSpec, ...]:
        """Return the selected hosts, in their order.

        Raises:
            UnknownHost: no host is selected, or one of the names matches none.
        """
        # A name that matches no host is probably a typing error; without the error the act would go
        # to fewer hosts than people think.
        for pattern in self.hosts:
            if not any(_is_named(spec, pattern) for spec in specs):
                shown = printable(pattern, 60)
                there = some_of([spec.name for spec in specs])
                raise UnknownHost(f"no host {shown!r} among the hosts {there}")
        found = tuple(
            spec
            for spec in specs
            if (not self.hosts or any(_is_named(spec, pattern) for pattern in self.hosts))
            and not any(_is_named(spec, pattern) for pattern in self.excluded)
            and set(self.tags) <= set(spec.tags)
        )
        if not found:
            tags = f" with tag {printable(', '.join(self.tags), 100)}" if self.tags else ""
            raise UnknownHost(f"none of the {len(specs)} hosts is selected{tags}")
        return found


def _is_named(spec: HostSpec, pattern: str) -> bool:
    return matches(pattern, spec.name) or matches(pattern, spec.address)
