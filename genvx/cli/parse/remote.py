"""The classes of verbs of genvx remote: its options may be written after its verbs, too."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from genvx.cli.parse.commands import Divided, Verb, VerbGroup
from genvx.cli.parse.remoteoption import not_behind

if TYPE_CHECKING:
    from collections.abc import Iterator


class RemoteVerb(Verb):
    """RemoteVerb is a verb of genvx remote; options of the group may be written after it."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options of the verb, and those of the group that the verb does not have."""
        ours = super().get_params(ctx)
        return [*ours, *_where(ctx, ours)]

    def invoke(self, ctx: Any) -> Any:
        """Run the verb on the hosts that are named before or after it; those after it win."""
        _take_where(ctx, self.params)
        return super().invoke(ctx)


class DividedRemoteVerb(Divided, RemoteVerb):
    """A verb of genvx remote whose command comes behind `--`."""


class RemoteGroup(VerbGroup):
    """A group of verbs of genvx remote, whose options may stand behind its name, too."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Our options, and those of genvx remote that are not ours."""
        ours = super().get_params(ctx)
        return [*ours, *_where(ctx, ours)]

    def invoke(self, ctx: Any) -> Any:
        """Run a verb on the hosts that are named before us or behind us."""
        _take_where(ctx, self.params)
        return super().invoke(ctx)


def _remote(ctx: Any) -> Any:
    """The context of genvx remote, to which a verb belongs."""
    found = ctx.parent
    while isinstance(found.command, RemoteGroup):
        found = found.parent
    return found


def _take_where(ctx: Any, ours: list[Any]) -> None:
    """Have what is said behind a verb of where to ask count more than what is said before it."""
    remote = _remote(ctx)
    behind = {each.name: ctx.params.pop(each.name) for each in _where(ctx, ours)}
    given = {
        name: value
        for name, value in behind.items()
        if ctx.get_parameter_source(name).name == "COMMANDLINE"
    }
    if given:
        remote.params.update(given)
        remote.command.callback(**remote.params)


def _where(ctx: Any, ours: list[Any]) -> Iterator[Any]:
    """Yield the options of the group that are accepted after a verb with the options `ours`."""
    taken = not_behind(name for each in ours for name in each.opts)
    for param in _remote(ctx).command.params:
        names = [name for name in param.opts if name not in taken]
        if names:
            # A copy: the option of the group keeps the names that the verb has taken for itself.
            behind = copy.copy(param)
            behind.opts = names
            yield behind
