"""Verbs as typer's commands, for the command lines that `plain.py` does not read, and for Tab."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

import typer

from genvx.cli.parse.commands import DividedVerb, Verb, VerbGroup
from genvx.cli.parse.declaring import Command, Context, Group, Option, Parameter
from genvx.cli.parse.remote import DividedRemoteVerb, RemoteGroup, RemoteVerb

# Without typer's rich output and tracebacks, and its --install-completion: errors are one line
# each, printed by `genvx.cli.app.invoke`.
_BARE: dict[str, Any] = {
    "add_completion": False,
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
}
_HELP: dict[str, Any] = {"help_option_names": ["-h", "--help"]}


class Built(Mapping[str, Any]):
    """The commands of a group, each of which is built when it is asked for."""

    def __init__(self, verbs: Mapping[str, Command], *, remotely: bool) -> None:
        self._verbs = verbs
        self._remotely = remotely
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            self._built[name] = built(self._verbs[name], remotely=self._remotely)
        return self._built[name]

    # Mapping's own would load the verb only to say that there is one.
    def __contains__(self, name: object) -> bool:
        return name in self._verbs

    def __iter__(self) -> Iterator[str]:
        return iter(self._verbs)

    def __len__(self) -> int:
        return len(self._verbs)


def built(command: Command, *, remotely: bool = False) -> Any:
    """Return typer's command for a verb or a group of verbs.

    remotely: it is one of genvx remote.
    """
    if isinstance(command, Group):
        kind: Any = RemoteGroup if remotely else VerbGroup
        made = typer.Typer(
            cls=kind,
            help=command.text,
            context_settings=_HELP,
            invoke_without_command=command.alone,
            **_BARE,
        )
        made.callback()(_function(command))
        group: Any = typer.main.get_group(made)
        group.commands = Built(command.verbs, remotely=remotely or command.name == "remote")
        group.name = command.name
        return group
    if command.divided:
        kind = DividedRemoteVerb if remotely else DividedVerb
    else:
        kind = RemoteVerb if remotely else Verb
    made = typer.Typer(**_BARE)
    made.command(
        command.name,
        cls=kind,
        help=command.text,
        hidden=command.hidden,
        context_settings=_HELP | ({"allow_interspersed_args": False} if command.runs else {}),
    )(_function(command))
    found: Any = typer.main.get_command(made)
    found.name = command.name
    return found


def _function(command: Command) -> Callable[..., Any]:
    """Return a function for typer, which reads the options from its signature."""
    parameters = command.parameters

    def function(context: typer.Context, **given: Any) -> Any:
        typed = [each.name for each in parameters if _was_typed(context, each.name)]
        ours = Context(command.name, context.obj, typed, context.invoked_subcommand)
        result = command.call(ours, given)
        context.obj = ours.obj
        return result

    signature = [
        inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
        *map(_parameter, parameters),
    ]
    function.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
    function.__annotations__ = {each.name: each.annotation for each in signature}
    return function


def _was_typed(context: Any, name: str | None) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _parameter(parameter: Parameter) -> inspect.Parameter:
    info = parameter.info
    kind: Any = typer.Option if isinstance(info, Option) else typer.Argument
    made = kind(
        *parameter.names,
        metavar=info.metavar,
        help=parameter.help,
        min=info.min,
        max=info.max,
        show_default=info.show_default,
        hidden=info.hidden,
        autocompletion=info.autocompletion and _offering(info.autocompletion),
        callback=info.check and _checking(info.check),
    )
    return inspect.Parameter(
        parameter.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if parameter.required else parameter.default,
        annotation=Annotated[parameter.annotation, made],
    )


# typer finds out by their types what to give these functions.
def _offering(offers: Callable[[Any, str], Any]) -> Callable[..., Any]:
    def offering(context: typer.Context, incomplete: str) -> Any:
        return offers(context, incomplete)

    return offering


def _checking(check: Callable[[Any], object]) -> Callable[..., Any]:
    def checking(context: typer.Context, parameter: typer.CallbackParam, given: Any) -> Any:
        if _was_typed(context, parameter.name):
            check(given)
        return given

    return checking
