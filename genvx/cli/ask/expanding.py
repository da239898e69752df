"""Options that several verbs share, declared once: as one parameter of a verb, or with words that
one of them needs before their text.

A verb has a parameter for what the options mean together; in its place the command line gets the
options themselves.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from genvx.cli.parse.declaring import parameters_of
from genvx.core.value import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from genvx.cli.parse.declaring import Parameter


def expanded(
    verb: Callable[..., None],
    options: Callable[..., Any],
    left_out: Collection[str],
    call: Callable[[dict[str, Any], dict[str, Any]], None],
) -> Callable[..., None]:
    """Return a verb that has the options of the function `options` besides its own.

    left_out: options that the verb does not get; they have their defaults. call: is given the
    values of the options, and those of the verb's other parameters; it calls the verb.
    """
    added = tuple(each for each in parameters_of(options) if each.name not in left_out)

    @functools.wraps(verb)
    def whole(**given: Any) -> None:
        call({each.name: given.pop(each.name) for each in added}, given)

    whole.parameters = (*parameters_of(verb), *added)  # type: ignore[attr-defined]
    return whole


def goes_with(
    option: str, names: Collection[str]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Have the help of a verb say of these parameters that they go with an option of it.

    One whose text begins with another option already, which it goes with, keeps that.
    """

    def said(parameter: Parameter) -> Parameter:
        text = parameter.help
        if parameter.name not in names or text.startswith("With "):
            return parameter
        return replace(parameter, help=f"With {option}: {text[0].lower()}{text[1:]}")

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        verb.parameters = tuple(map(said, parameters_of(verb)))  # type: ignore[attr-defined]
        return verb

    return decorate
