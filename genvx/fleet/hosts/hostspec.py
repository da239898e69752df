"""HostSpec describes a host of a hostfile; Selection picks some of many hosts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import InvalidInput, UnknownHost
from genvx.ssh.config.target import Target
from genvx.ssh.config.wildcards import matches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.core.device import VisibleAs
    from genvx.core.prelude import Prelude
    from genvx.fleet.hosts.step import Step


@dataclass(frozen=True)
class HostSpec(Target):
    """HostSpec is one host of a hostfile: how to reach it, and which of its devices may be used.

    name: the key of results and the name in tables; unique in a fleet. python: the path of an
    interpreter on the host; None looks for one. gpus: the indices of the devices that may be used;
    None for all. tags, slots: kept for selection and for MPI. visible_as: the default form of
    CUDA_VISIBLE_DEVICES on the host. runs: the directory there that has one's runs; None for the
    usual one. prelude: what comes before each command there; None for nothing. prerelease: whether
    environments that are made there may have versions that are no final ones. in_use: whether
    devices are taken, too, that somebody uses without a lease. step: where commands run, if that is
    a node behind the login node of a cluster; the rest of this is the way to the login node.
    """

    python: str | None = None
    gpus: tuple[int, ...] | None = None
    tags: tuple[str, ...] = ()
    slots: int | None = None
    visible_as: VisibleAs | None = None
    runs: str | None = None
    prelude: Prelude | None = None
    prerelease: bool = False
    in_use: bool = False
    step: Step | None = None


def require_direct(spec: HostSpec, what: str) -> None:
    """Refuse what needs an SSH connection that ends at the host itself. what: as in "tunnels".

    Raises:
        InvalidInput: the host is a node of an allocation.
    """
    if spec.step is not None:
        raise InvalidInput(
            f"{printable(spec.name)} is a node of Slurm, where genvx runs commands through the "
            f"login node; {what} are not possible there"
        )


@dataclass(frozen=True)
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
                raise UnknownHost(f"no host {printable(pattern, 60)!r} among the hosts")
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
