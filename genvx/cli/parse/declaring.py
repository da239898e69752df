"""Verbs and what can be typed for them, as they declare it.

A verb is a function, and the annotation of a parameter says what is typed for it, as in
`Annotated[str | None, Option("--name", metavar="NAME", help="Name for it.")]`. Help is made of
this (`helping.py`), and the usual command lines are read by it (`plain.py`); for all others,
`building.py` makes typer's commands of it.
"""

from __future__ import annotations

from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from genvx.core.value import replace, value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Self

# The value of --wait without a time.
FOR_EVER = "for ever"


class Exit(Exception):
    """The end of a verb, with this exit code."""

    def __init__(self, exit_code: int = 0) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


class Context:
    """What a verb is told besides its parameters.

    name: that of the verb. obj: the hosts that genvx remote was given; None for this machine.
    typed: names of parameters that were typed. invoked_subcommand: of a group of verbs, the verb
    that follows.
    """

    def __init__(
        self, name: str, obj: Any, typed: Iterable[str], invoked_subcommand: str | None = None
    ) -> None:
        self.name = name
        self.obj = obj
        self.typed = frozenset(typed)
        self.invoked_subcommand = invoked_subcommand


class Typed:
    """What is typed for a parameter of a verb.

    names: of an option. metavar: stands for the value; [=…] where it may be left out. min, max: of
    a number. show_default: in the help. hidden: from the help. autocompletion: offers values to
    the Tab key, from click's context and the beginning of one. check: is given what was typed, and
    raises InvalidInput.
    """

    def __init__(
        self,
        *names: str,
        metavar: str | None = None,
        help: str = "",
        min: float | None = None,
        max: float | None = None,
        show_default: bool = True,
        hidden: bool = False,
        autocompletion: Callable[[Any, str], list[tuple[str, str]]] | None = None,
        check: Callable[[Any], object] | None = None,
    ) -> None:
        self.names = names
        self.metavar = metavar
        self.help = help
        self.min = min
        self.max = max
        self.show_default = show_default
        self.hidden = hidden
        self.autocompletion = autocompletion
        self.check = check


class Option(Typed):
    """An option of a verb: `--name VALUE`, or `--name` alone for a bool."""


class Argument(Typed):
    """An argument of a verb."""


@value
class Parameter:
    """A parameter of a verb.

    annotation: its type. names, help: those of `info`, or what a verb has in their place; an
    argument has no names. passed: False if the function of the verb is not given it.
    """

    name: str
    annotation: Any
    info: Typed
    names: tuple[str, ...]
    help: str
    required: bool = False
    default: Any = None
    passed: bool = True

    @property
    def opts(self) -> list[str]:
        """The names of an option; of two such as --compact/--all-rows, the one that sets it."""
        return [each.partition("/")[0] for each in self.names]

    @property
    def kind(self) -> Any:
        """The type of a value."""
        return get_args(self._whole)[0] if self.several else self._whole

    @property
    def several(self) -> bool:
        """Whether there may be several values."""
        return get_origin(self._whole) is list

    @property
    def _whole(self) -> Any:
        """The type without None."""
        if not isinstance(self.annotation, UnionType):
            return self.annotation
        return next(each for each in get_args(self.annotation) if each is not NoneType)


def without(parameters: Iterable[Parameter], taken: set[str]) -> Iterator[Parameter]:
    """Yield options without the names that are taken; none that has no other name."""
    for each in parameters:
        names = tuple(name for name in each.names if name not in taken)
        if names:
            yield replace(each, names=names)


def _unwrapped(function: Any) -> Any:
    """Return the function that decorators have wrapped."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


def parameters_of(function: Any) -> tuple[Parameter, ...]:
    """Return what is typed for the parameters of a function, in their order.

    A decorator says what they are by the attribute `parameters`.
    """
    found: tuple[Parameter, ...] = getattr(function, "parameters", None) or _annotated(function)
    return found


@cache
def _annotated(function: Any) -> tuple[Parameter, ...]:
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    defaults = function.__defaults__ or ()
    given = dict(zip(reversed(names), reversed(defaults), strict=False))
    found = []
    for name, hint in get_type_hints(function, include_extras=True).items():
        info = getattr(hint, "__metadata__", (None,))[0]
        if isinstance(info, Typed):
            kind, required = get_args(hint)[0], name not in given
            default = given.get(name)
            found.append(Parameter(name, kind, info, info.names, info.help, required, default))
    return tuple(found)


class Command:
    """A verb: its function, and the name that is typed.

    runs: it ends with a command, and its options end where that begins. divided: they end at `--`,
    behind which the command is. remotely: whether genvx remote has it, too.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Any] | None,
        *,
        hidden: bool = False,
        runs: bool = False,
        divided: bool = False,
        remotely: bool = True,
    ) -> None:
        self.name = name
        self.function = function
        self.hidden = hidden
        self.runs = runs
        self.divided = divided
        self.remotely = remotely
        self._added: tuple[Parameter, ...] = ()

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What can be typed for it, in the order of its help."""
        ours = () if self.function is None else parameters_of(self.function)
        return (*ours, *without(self._added, {name for each in ours for name in each.opts}))

    @property
    def text(self) -> str:
        """What its help says that it does."""
        return cleaned(self.function.__doc__ or "")

    def told(self, context: Context, typed: dict[str, Any]) -> Any:
        """Call its function with what was typed, after it was checked, and otherwise the defaults;
        return what that returns.
        """
        for each in self.parameters:
            if each.info.check is not None and each.name in typed:
                each.info.check(typed[each.name])
        return self.call(context, {each.name: each.default for each in self.parameters} | typed)

    def call(self, context: Context, given: dict[str, Any]) -> Any:
        """Call its function with the values of all parameters; return what that returns."""
        if self.function is None:
            return None
        passed = {each.name: given[each.name] for each in self.parameters if each.passed}
        code = _unwrapped(self.function).__code__
        if "context" in code.co_varnames[: code.co_argcount]:
            passed["context"] = context
        return self.function(**passed)

    def adding(self, parameters: tuple[Parameter, ...]) -> Self:
        """The same verb with more options; a name that it has itself stays its own."""
        made = self._copied()
        made._added = parameters
        return made

    def _copied(self) -> Self:
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        return made


class Group(Command):
    """A number of verbs under one name. alone: whether it does something where none follows."""

    def __init__(
        self,
        text: str,
        name: str = "",
        *,
        alone: bool = False,
        verbs: Mapping[str, Command] | None = None,
    ) -> None:
        super().__init__(name, None)
        self._text = text
        self.alone = alone
        self.verbs = {} if verbs is None else verbs

    @property
    def text(self) -> str:
        """What its help says that it is."""
        return cleaned(self._text)

    def placed(self, name: str, verbs: Mapping[str, Command]) -> Self:
        """The group with the name that is typed, and these verbs."""
        made = self._copied()
        made.name, made.verbs = name, verbs
        return made

    def adding(self, parameters: tuple[Parameter, ...]) -> Self:
        """The same group with more options, which each of its verbs has, too."""
        made = super().adding(parameters)
        made.verbs = {name: each.adding(parameters) for name, each in self.verbs.items()}
        return made

    def callback(self) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorate what is called with the options of the group, before its verb."""

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            self.function = function
            return function

        return decorate

    def command(
        self, name: str | None = None, **settings: bool
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorate a verb of the group. settings: as of Command."""

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            named = name or function.__name__
            self.verbs = {**self.verbs, named: Command(named, function, **settings)}
            return function

        return decorate


def cleaned(text: str) -> str:
    """A docstring without its indentation."""
    # Imported here, as only help is text.
    import textwrap

    first, _, rest = text.partition("\n")
    return f"{first}\n{textwrap.dedent(rest)}".strip()
