"""What `--help` shows of genvx, of a group of verbs, or of a verb."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.parse.declaring import Group, Option, Parameter, without
from genvx.cli.parse.loading import Verbs, root
from genvx.cli.parse.pages import filled, names, page, sections, usage_of
from genvx.cli.parse.remoteoption import not_behind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from genvx.cli.parse.declaring import Command
    from genvx.cli.parse.table import Entry

NAMES = ("-h", "--help")
_TEXT = "Show this message and exit."
_HELP = Parameter("help", bool, Option(*NAMES), NAMES, _TEXT, default=False)
_HOSTS = """
Hosts: -H A,B, --hostfile FILE or --remote NAME, before or after the verb;
see genvx remote --help.
"""


def help_of(words: Iterable[str]) -> str | None:
    """Return the help of a verb or a group of verbs; None if there is none.

    words: what is typed after genvx.
    """
    path: list[Command] = [root()]
    for word in words:
        group = path[-1]
        if not isinstance(group, Group) or word not in group.verbs:
            return None
        path.append(group.verbs[word])
    typed = " ".join(each.name for each in path)
    last, remotely = path[-1], len(path) > 2 and path[1].name == "remote"
    if isinstance(last, Group):
        ours = [*last.parameters, _HELP]
        if remotely:
            # Those of genvx remote may stand behind the name of the group, too.
            taken = not_behind(name for each in ours for name in each.opts)
            ours += without(path[1].parameters, taken)
        return page(typed, last.text, ours, " [OPTIONS] VERB ...") + _listed(last)
    ours = [*last.parameters, _HELP]
    if not remotely:
        return page(typed, last.text, ours, usage_of(ours))
    # A verb has one text for this machine and for many hosts. Examples that are about many hosts
    # already say "remote". The options of genvx remote are only mentioned.
    text = last.text.replace("Example: genvx ", "Example: genvx remote ")
    text = text.replace(" remote remote", " remote")
    return page(typed, text, ours, usage_of(ours)) + _HOSTS


def _listed(group: Group) -> str:
    """The verbs of a group: what each does, or of genvx remote its name."""
    if not isinstance(group.verbs, Verbs):
        return sections(
            ("Verbs", each.name, each.text.partition("\n")[0].rstrip("."))
            for each in group.verbs.values()
            if not each.hidden
        )
    # No verb is loaded for its line.
    shown = [each for each in group.verbs.entries.values() if not each.hidden]
    if group.verbs.remotely:
        return f"\nVerbs (genvx --help says what each does):\n{names(map(_row, shown))}"
    rare = ", ".join(each.name for each in shown if each.rare)
    lines = sections(_row(each) for each in shown if not each.rare)
    return f"{lines}\n{filled(f'Also: {rare}')}\n"


def _row(entry: Entry) -> tuple[str, str, str]:
    return entry.section, entry.name, entry.line
