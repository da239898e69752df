"""The first part of the agent: what questions need.

A host that is new to us is asked a question first, most often, and the whole agent is ten times as
much to send and to compile as its answer needs. So the operations in `QUESTIONS` start an agent
that has less. It cannot answer wrongly: where it would import a module that it does not have, it
ends (loader.py), and the client asks the whole agent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genvx.core.wire.operation import Operation

# The classes of operations that the first part answers.
QUESTIONS = frozenset(("TakeSnapshot", "ShowPolicy", "ShowUse", "FindPort"))

# What the first part does not have, with all that begins so. pynvml stays: a host with GPUs needs
# it for each question.
_LATER = (
    "filelock",
    "genvx.core.block",
    "genvx.core.clocks",
    "genvx.core.command",
    "genvx.core.enforcing",
    "genvx.core.escalation",
    "genvx.core.finding",
    "genvx.core.gang",
    "genvx.core.job",
    "genvx.core.launchers",
    "genvx.core.leases.grant",
    "genvx.core.leases.hold",
    "genvx.core.leases.ownership",
    "genvx.core.leases.starter",
    "genvx.core.logind",
    "genvx.core.notifying",
    "genvx.core.prelude",
    "genvx.core.projects",
    "genvx.core.publickey",
    "genvx.core.requests.ask",
    "genvx.core.requests.obstacles",
    "genvx.core.requests.onemodel",
    "genvx.core.requests.preference",
    "genvx.core.requests.ranges",
    "genvx.core.running",
    "genvx.core.runs",
    "genvx.core.screen",
    "genvx.core.sweeps",
    "genvx.core.wire.act",
    "genvx.core.wire.askcodec",
    "genvx.core.wire.containercodec",
    "genvx.core.wire.dispatchcodec",
    "genvx.core.wire.enforcing",
    "genvx.core.wire.files.supervisionfiles",
    "genvx.core.wire.files.turnfiles",
    "genvx.core.wire.findingcodec",
    "genvx.core.wire.gang",
    "genvx.core.wire.grantcodec",
    "genvx.core.wire.job",
    "genvx.core.wire.notifiercodec",
    "genvx.core.wire.ongoing",
    "genvx.core.wire.progress",
    "genvx.core.wire.replyreader",
    "genvx.core.wire.run",
    "genvx.core.wire.tree",
    "genvx.core.wire.view",
    "genvx.local.answers",
    "genvx.local.delivered",
    "genvx.local.diskerror",
    "genvx.local.doctor",
    "genvx.local.enforcing",
    "genvx.local.granting",
    "genvx.local.idling",
    "genvx.local.inside",
    "genvx.local.joiningline",
    "genvx.local.looker",
    "genvx.local.provisioning",
    "genvx.local.python",
    "genvx.local.running",
    "genvx.local.runs",
    "genvx.local.shells",
    "genvx.local.signals",
    "genvx.local.startfiles",
    "genvx.local.state.runkind",
    "genvx.local.state.signs",
    "genvx.local.state.turnkinds",
    "genvx.local.tmpfiles",
    "genvx.local.trees",
    "genvx.local.turn",
    "genvx.local.waiting",
    "genvx.shell",
    "genvx.shown",
)
# Of these packages it has no more than that.
_ONLY = {
    "genvx.agent": ("", "__main__", "farend", "replied", "serve"),
    "genvx.core.line": ("", "ticket"),
    "genvx.core.placing": ("", "holdings"),
}


def in_first_part(module: str) -> bool:
    """Return whether the first part of the agent has a module."""
    for package, names in _ONLY.items():
        if module == package or module.startswith(f"{package}."):
            return module[len(package) + 1 :] in names
    return not module.startswith(_LATER)


def enough_for(operation: Operation[Any]) -> bool:
    """Return whether the first part of the agent answers an operation."""
    return type(operation).__name__ in QUESTIONS
