"""genvx runs label and tag: what people call a run once it has begun."""

from __future__ import annotations

from typing import Annotated

from genvx.cli.ask import options
from genvx.cli.ask.runs import OneRun
from genvx.cli.parse.declaring import Argument, Context
from genvx.cli.verbs.runs.several import ask_each
from genvx.core.text import require_name
from genvx.errors import InvalidInput

Label = Annotated[str, Argument(metavar="LABEL", help="Another name; '' removes it.")]
Tags = Annotated[list[str], Argument(metavar="TAG...", help="A tag; -TAG removes one, after --.")]


def label(context: Context, run: OneRun, text: Label, json: options.Json = False) -> None:
    """Give a run another name, by which it is found.

    Example: genvx runs label 1 best
    """
    from genvx.core.wire.runoperations import MarkRun

    require_name(text)
    ask_each(context, [run], lambda found: MarkRun(found.asked_as, text), "labelled", json=json)


def tag(context: Context, run: OneRun, tags: Tags, json: options.Json = False) -> None:
    """Add tags to a run, or remove some.

    Example: genvx runs tag 1 baseline
    """
    from genvx.core.runs.run import require_tags
    from genvx.core.wire.runoperations import MarkRun

    if not tags:
        raise InvalidInput("no tag is given")
    add = require_tags(tuple(each for each in tags if not each.startswith("-")))
    remove = require_tags(tuple(each[1:] for each in tags if each.startswith("-")))
    ask_each(
        context,
        [run],
        lambda found: MarkRun(found.asked_as, None, add, remove),
        "tagged",
        json=json,
    )
