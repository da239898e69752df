"""HostSpec describes a host of a hostfile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from genvx.ssh.config.target import Target

if TYPE_CHECKING:
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
