"""The hosts of several remotes together, each once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from genvx.errors import GenvxError, NotRunning
from genvx.fleet.remotes.reading import remotes_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from genvx.fleet.hosts.hostspec import HostSpec
    from genvx.fleet.remotes.remote import Remote

# Each costs a thread and a connection.
_AT_ONCE = 16


def specs_of(
    remote: Remote,
    environ: Mapping[str, str] | None = None,
    prompt: Callable[[str], str | None] | None = None,
) -> tuple[HostSpec, ...]:
    """Return the hosts of a remote; connect to none. For a machine that is rented ask the cloud,
    for an allocation Slurm, at the login node.

    prompt: asks a person for a password or a passphrase of the login node.

    Raises:
        NotRunning: its machine does not run. CloudError: the cloud does not say where that is. And
        as Remote.specs.
    """
    if remote.type == "slurm":
        # Imported here: few remotes are allocations.
        from genvx.fleet.allocating.remote import nodes

        remote.require_ssh()
        return nodes(remote, environ, prompt)
    if remote.type != "ec2":
        return remote.specs()
    # Imported here: few remotes are rented.
    from genvx.fleet.remotes.rented import running

    remote.require_ssh()
    return (remote.at(running(remote)),)


def specs_named(
    names: str,
    environ: Mapping[str, str],
    tell: Callable[[str], object] = lambda line: None,
    prompt: Callable[[str], str | None] | None = None,
) -> tuple[HostSpec, ...]:
    """Return the hosts of the remotes that a person names, several after commas; connect to none.

    tell: called with a line about a remote of several whose machine does not run, and about a file
    that is not loaded.

    Raises:
        NotRunning: none of them runs. UnknownRemote, InvalidRemotes, InvalidInput: as remote_named,
        and as specs_of.
    """
    remotes = remotes_named(names, environ, tell)
    if len(remotes) == 1:
        return specs_of(remotes[0], environ, prompt)
    for remote in remotes:
        remote.require_ssh()
    resting: list[GenvxError] = []

    def failed(name: str, error: GenvxError) -> None:
        if not isinstance(error, NotRunning):
            raise error
        resting.append(error)

    found = pooled(remotes, failed)
    if not found:
        raise NotRunning("; ".join(map(str, resting)))
    for error in resting:
        tell(str(error))
    return found


def pooled(
    remotes: Iterable[Remote], failed: Callable[[str, GenvxError], object]
) -> tuple[HostSpec, ...]:
    """Return the hosts of remotes over SSH; connect to none.

    A host that several remotes reach in the same way is there once. Of two with one name the second
    is called REMOTE/HOST. failed: called with a remote whose hosts cannot be known, and why.
    """
    found: dict[str, HostSpec] = {}
    ways = set()
    # Without a type it is there for others, which extend it.
    hosts = [remote for remote in remotes if remote.type in ("ssh", "ec2", "slurm")]
    for remote, specs in zip(hosts, _specs(hosts), strict=True):
        if isinstance(specs, GenvxError):
            failed(remote.name, specs)
            continue
        for spec in specs:
            # With the way: a private address means another machine behind each jump host.
            through = (spec.proxy_jump, spec.proxy_command, spec.ssh_config)
            way = (spec.address, spec.user, spec.port, spec.runs, spec.step, *through)
            if way in ways:
                continue
            ways.add(way)
            name = spec.name if spec.name not in found else f"{remote.name}/{spec.name}"
            found[name] = replace(spec, name=name)
    return tuple(found.values())


def _specs(remotes: Sequence[Remote]) -> list[tuple[HostSpec, ...] | GenvxError]:
    """Return the hosts of each remote, or why they cannot be known; clouds are asked at once."""

    def specs(remote: Remote) -> tuple[HostSpec, ...] | GenvxError:
        try:
            return specs_of(remote)
        except GenvxError as error:
            return error

    if sum(remote.type != "ssh" for remote in remotes) < 2:
        return [specs(remote) for remote in remotes]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(specs, remotes))
