"""genvx notify: who is told of runs, and a message to try it."""

from __future__ import annotations

import os
from typing import Annotated

from genvx.cli.ask import options
from genvx.cli.parse.declaring import Argument, Exit, Group
from genvx.cli.schema.document import print_document
from genvx.cli.show.output import Output
from genvx.core.text import printable
from genvx.errors import InvalidInput
from genvx.shown.console import say

notify = Group("Notifiers: where messages about runs are sent.")

Which = Annotated[
    list[str] | None,
    Argument(
        metavar="[NOTIFIER]...",
        help="As for --notify (default: all of config.toml).",
        show_default=False,
    ),
]


@notify.command("list")
def list_(json: options.Json = False, csv: options.Csv = False) -> None:
    """Show the notifiers of ~/.config/genvx/config.toml, without their addresses.

    Example: genvx notify list
    """
    from genvx.core.quantities.ages import format_duration
    from genvx.fleet import userconfig

    path = userconfig.usual(os.environ)
    found = userconfig.load(os.environ)
    if json:
        named = [
            {
                "name": name,
                "label": each.label,
                "way": each.way.value,
                "events": list(each.events),
                "idle_seconds": each.idle,
                "always": name in found.always,
            }
            for name, each in found.named.items()
        ]
        print_document("notify list", path=path, notifiers=named)
        return
    rows = [
        [
            name,
            each.way.value,
            ", ".join(each.events),
            format_duration(each.idle),
            "yes" if name in found.always else "no",
        ]
        for name, each in found.named.items()
    ]
    note = "" if rows else f"No [notify.NAME] in {printable(path, 200)}"
    Output(csv=csv).table(("NAME", "WAY", "EVENTS", "IDLE", "ALWAYS"), rows, note)


@notify.command("test")
def try_out(which: Which = None, json: options.Json = False) -> None:
    """Send a test message from this machine, and say what became of it.

    It waits until the message is sent, or given up, which may take a minute. Messages of runs are
    sent by their hosts: genvx run -d --notify NAME -- true tries that.

    Example: genvx notify test mail:ann@example.org
    """
    import getpass
    import socket

    from genvx.cli.notifying import Errands, here
    from genvx.core.notifying.message import Message
    from genvx.core.notifying.notifier import Event
    from genvx.fleet import userconfig

    asked = which or list(userconfig.load(os.environ).named)
    if not asked:
        raise InvalidInput(
            f"no [notify.NAME] in {printable(userconfig.usual(os.environ), 200)}; name a notifier, "
            "as in genvx notify test mail:ann@example.org"
        )
    found = here(asked, lambda line: say(f"genvx: {line}"))
    message = Message(Event.TEST, "test", socket.gethostname(), user=getpass.getuser())
    errands = Errands()
    errands.send(message, found)
    results = errands.finish()
    if json:
        told = [{"label": label, "result": result} for label, result in results]
        print_document("notify test", results=told)
    else:
        for label, result in results:
            print(f"{label}: {result}")
    if len(results) < len(found) or any(result != "sent" for _, result in results):
        raise Exit(1)
