"""The classes of verbs of genvx remote: its options may be written after its verbs, too."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from genvx.cli.parse.commands import Divided, Group, Verb
from genvx.cli.parse.pages import page, text_of, usage_of

if TYPE_CHECKING:
    from collections.abc import Iterator

# Not accepted after verbs that take GPUs, but answered with a hint (words/options.py): Slurm users
# mean the time of a job by -t, and --host used to select from a hostfile.
_ELSEWHERE = ("--host", "-t")


class RemoteVerb(Verb):
    """RemoteVerb is a verb of genvx remote; options of the group may be written after it."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options of the verb, and those of the group that the verb does not have."""
        ours = super().get_params(ctx)
        return [*ours, *_where(ctx, ours)]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of the verb; the options of the group are only mentioned."""
        ours = super().get_params(ctx)
        # A verb has one text for this machine and for many hosts. Examples that are about many
        # hosts already say "remote".
        text = text_of(self).replace("Example: genvx ", "Example: genvx remote ")
        text = text.replace(" remote remote", " remote")
        formatter.write(page(ctx.command_path, text, ours, usage_of(ours)))
        formatter.write(
            "\nHosts: -H A,B, --hostfile FILE or --remote NAME, before or after the verb;\n"
            "see genvx remote --help.\n"
        )

    def invoke(self, ctx: Any) -> Any:
        """Run the verb on the hosts that are named before or after it; those after it win."""
        _take_where(ctx, self.params)
        return super().invoke(ctx)


class DividedRemoteVerb(Divided, RemoteVerb):
    """A verb of genvx remote whose command comes behind `--`."""


class RemoteGroup(Group):
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
    taken = {name for each in ours for name in each.opts}
    if "--only-host" in taken:
        taken.update(_ELSEWHERE)
    for param in _remote(ctx).command.params:
        names = [name for name in param.opts if name not in taken]
        if names:
            # A copy: the option of the group keeps the names that the verb has taken for itself.
            behind = copy.copy(param)
            behind.opts = names
            yield behind
