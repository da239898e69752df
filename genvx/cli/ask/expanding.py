"""Options that several verbs share, declared once: as one parameter of a verb, or with words that
one of them needs before their text.

A verb has a parameter for what the options mean together; in its place the command line gets the
options themselves.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Collection
from typing import Annotated, Any, get_args


class Expanded:
    """A verb whose parameter `name` is replaced by the options of the function `options`.

    left_out: options that the verb does not get; they have their defaults.
    """

    def __init__(
        self,
        verb: Callable[..., None],
        name: str,
        options: Callable[..., Any],
        left_out: tuple[str, ...] = (),
    ) -> None:
        ours = inspect.signature(options, eval_str=True).parameters
        theirs = inspect.signature(verb, eval_str=True).parameters
        self.names = [each for each in ours if each not in left_out]
        self._verb = verb
        self._parameters = [
            *(each for each in theirs.values() if each.name != name),
            *(ours[each] for each in self.names),
        ]

    def calling(self, call: Callable[[dict[str, Any], dict[str, Any]], None]) -> Any:
        """Return the function for typer.

        call: is given the values of the options, and those of the verb's other parameters.
        """

        @functools.wraps(self._verb)
        def expanded(**given: Any) -> None:
            call({name: given.pop(name) for name in self.names}, given)

        # typer reads the options from the signature and the annotations. functools.wraps has copied
        # those of the verb, which has one parameter in place of the options.
        expanded.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in self._parameters]
        )
        expanded.__annotations__ = {each.name: each.annotation for each in self._parameters}
        return expanded


def goes_with(
    option: str, names: Collection[str]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Have the help of a verb say of these parameters that they go with an option of it.

    One whose text begins with another option already, which it goes with, keeps that.
    """

    def said(parameter: inspect.Parameter) -> inspect.Parameter:
        kind, info = get_args(parameter.annotation)
        if info.help.startswith("With "):
            return parameter
        info = copy.copy(info)
        info.help = f"With {option}: {info.help[0].lower()}{info.help[1:]}"
        return parameter.replace(annotation=Annotated[kind, info])

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(verb, eval_str=True)
        verb.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[
                said(each) if each.name in names else each for each in signature.parameters.values()
            ]
        )
        return verb

    return decorate
