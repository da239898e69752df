"""The processes that hold an environment, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from collections.abc import Iterable

    from genvx.core.leases.environment import Environment
    from genvx.core.snapshot import Snapshot

_MOST_ROWS = 8
_MOST_PIDS = 3

UNSEEN = "a process that only its owner and root can see"


def pids(env: Environment) -> str:
    """Return the pids that hold an environment: those that took it, and those that are stopped.

    If only other processes hold it, the oldest of these; "?" if none can be seen, "-" if it needs
    none.
    """
    if not env.holders:
        return "?" if env.holders is None else "-"
    took = [each for each in env.holders if each.pid in env.pids]
    main = took or list(env.holders[:1])
    # A stopped process holds devices and does nothing: people look for it when GPUs are idle but
    # held.
    shown = main + [each for each in env.holders if each.stopped and each not in main]
    text = ", ".join(f"{e.pid}{' (stopped)' if e.stopped else ''}" for e in shown[:_MOST_PIDS])
    more = len(shown) - _MOST_PIDS
    return text + (f" and {more} more" if more > 0 else "")


def rows(env: Environment, snapshot: Snapshot) -> list[list[str]]:
    """Return a row for each process that holds an environment; the last says if its taker has
    ended.
    """
    if env.holders is None:
        return [["held by", UNSEEN]]
    if not env.holders:
        return [["held by", "its time"]]
    texts = [each.described(snapshot.boottime_ns) for each in env.holders[:_MOST_ROWS]]
    if len(env.holders) > _MOST_ROWS:
        texts.append(f"and {len(env.holders) - _MOST_ROWS} more")
    if env.outlived:
        texts.append("(the shell or command that took it has ended)")
    return [["held by" if n == 0 else "", text] for n, text in enumerate(texts)]


def outliving(snapshot: Snapshot, shown: Optional[Iterable[Environment]] = None) -> list[str]:
    """Return a line for each environment whose shell or command has ended: what holds it now.

    shown: only these environments.
    """
    outlived = [e for e in (snapshot.environments if shown is None else shown) if e.outlived]
    lines = []
    for env in outlived[:_MOST_ROWS]:
        held = env.holders or ()
        texts = [each.described(snapshot.boottime_ns) for each in held[:_MOST_PIDS]]
        texts += [f"{len(held) - _MOST_PIDS} more"] * (len(held) > _MOST_PIDS)
        lines.append(
            f"{env.label} of {env.owner}: the process that took it has ended; "
            f"held by {' and '.join(texts)}"
        )
    if len(outlived) > _MOST_ROWS:
        lines.append(f"{len(outlived) - _MOST_ROWS} more whose shell or command has ended")
    return lines


def in_line(env: Environment) -> str:
    """Return the processes that hold an environment, with their programs, in one line."""
    held = env.holders or ()
    shown = [f"{e.pid} ({e.program})" for e in held[:_MOST_PIDS]]
    more = len(held) - _MOST_PIDS
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
