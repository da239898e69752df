"""`@value`: classes of immutable values that cost little to define.

A dataclass of the standard library compiles several methods for each class and imports `inspect`,
which is a third of what a question to a host costs (`scripts/bench question`). `@value` does what
`dataclass(frozen=True)` does for plain fields, defaults, default factories and `__post_init__`, and
nothing else: `dataclasses.replace` and `dataclasses.asdict` do not know these classes, so use
`replace` of this module. Fields that several values share are those of a `@value_base`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from functools import cached_property as cached
    from typing import Any, TypeVar, dataclass_transform

    T = TypeVar("T")

    def field(*, default_factory: Callable[[], T]) -> T:
        """A field whose default is made anew each time."""

    @dataclass_transform(frozen_default=True, field_specifiers=(field,))
    def value(cls: type[T]) -> type[T]:
        """Make a class with annotated fields a value."""

    @dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
    def value_base(cls: type[T]) -> type[T]:
        """Make a class with annotated fields a value that others inherit."""

    def replace(value: T, **changes: Any) -> T:
        """A copy of `value` with other fields."""
else:

    class cached:  # noqa: N801
        """A property of a value that is worked out once, when it is first asked for."""

        def __init__(self, function):
            self._function = function
            self.__doc__ = function.__doc__

        def __set_name__(self, owner, name):
            self._name = name

        def __get__(self, value, owner=None):
            if value is None:
                return self
            found = value.__dict__[self._name] = self._function(value)
            return found

    class _Field:
        def __init__(self, default_factory):
            self.default_factory = default_factory

    def field(*, default_factory):
        """A field whose default is made anew each time."""
        return _Field(default_factory)

    def replace(value, **changes):
        """A copy of `value` with other fields."""
        fields = value.__dict__
        return type(value)(**{**{name: fields[name] for name in value.__match_args__}, **changes})

    def value(cls):
        """Make a class with annotated fields a value; what it inherits is of a `value_base`."""
        return _make(cls, by_place=True)

    def value_base(cls):
        """Make a class with annotated fields a value that others inherit.

        Its fields are given by name only, so that one without a default may follow in a class that
        inherits them.
        """
        return _make(cls, by_place=False)

    def _make(cls, *, by_place):
        inherited = getattr(cls, "__match_args__", ())
        own = tuple(
            n
            for n, kind in getattr(cls, "__annotations__", {}).items()
            if "ClassVar" not in str(kind) and n not in inherited
        )
        names = own + inherited
        placed = own if by_place else ()
        factories = dict(getattr(cls, "__factories__", {}))
        for name in own:
            default = cls.__dict__.get(name)
            if isinstance(default, _Field):
                factories[name] = default.default_factory
                delattr(cls, name)
        required = [n for n in names if n not in factories and not hasattr(cls, n)]
        defaults = {n: getattr(cls, n) for n in names if hasattr(cls, n)}
        after = getattr(cls, "__post_init__", None)

        def __init__(self, *arguments, **named):
            fields = self.__dict__
            fields.update(defaults)
            for name, make in factories.items():
                if name not in named:
                    fields[name] = make()
            given = dict(zip(placed, arguments))
            if len(arguments) > len(placed) or not named.keys() <= set(names) - given.keys():
                raise TypeError(f"{cls.__name__} has no such arguments, or has one of them twice")
            fields.update(given, **named)
            for name in required:
                if name not in fields:
                    raise TypeError(f"{cls.__name__} needs {name}")
            if after is not None:
                after(self)

        def __setattr__(self, name, value=None):
            raise AttributeError(f"{cls.__name__} is a value; its {name} does not change")

        def _fields(self):
            return tuple(map(self.__dict__.__getitem__, names))

        def __eq__(self, other):
            if other.__class__ is not self.__class__:
                return NotImplemented
            return _fields(self) == _fields(other)

        def __repr__(self):
            shown = ", ".join(f"{name}={self.__dict__[name]!r}" for name in names)
            return f"{type(self).__qualname__}({shown})"

        cls.__match_args__ = names
        cls.__factories__ = factories
        cls.__init__ = __init__
        cls.__setattr__ = cls.__delattr__ = __setattr__
        cls.__eq__ = __eq__

        def __hash__(self):
            # Computed once: values are keys of many look-ups, such as one for each ticket of a
            # line. The fields do not change, so neither does the hash.
            known = self.__dict__.get("_hash")
            if known is None:
                known = self.__dict__["_hash"] = hash(_fields(self))
            return known

        cls.__hash__ = __hash__
        cls.__replace__ = replace  # of copy.replace
        if "__repr__" not in cls.__dict__:
            cls.__repr__ = __repr__
        return cls


__all__ = ["cached", "field", "replace", "value", "value_base"]
