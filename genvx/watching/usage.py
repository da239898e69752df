"""Who used GPUs for how long, and how well, as a table can show it."""

from __future__ import annotations

from enum import StrEnum

from genvx.core.text import printable
from genvx.core.value import value
from genvx.errors import InvalidInput

UNKNOWN = "-"
HOUR = 3600.0


class By(StrEnum):
    """What usage is summed up by."""

    USER = "user"
    GROUP = "group"
    HOST = "host"
    MODEL = "model"
    PROJECT = "project"
    NAME = "name"

    @classmethod
    def parse(cls, text: str) -> By:
        """Return the member that a word names.

        Raises:
            InvalidInput: there is none.
        """
        try:
            return cls(text)
        except ValueError:
            words = ", ".join(each.value for each in cls)
            raise InvalidInput(f"--by is one of {words}, not {printable(text, 40)!r}") from None


@value
class Use:
    """The use of GPUs by one user, or whatever it is summed up by.

    leased, busy: GPU hours. mean: percent that the devices were busy while they were held; peak:
    the highest that was seen. waited: seconds in line. uncertain: GPU hours that leases may have
    lasted longer, because nobody saw their end. None is unknown.
    """

    key: str
    leased: float = 0.0
    busy: float | None = None
    mean: float | None = None
    peak: int | None = None
    share: float = 0.0
    waited: float | None = None
    leases: int = 0
    uncertain: float = 0.0


@value
class Report:
    """The use of GPUs in a time, by one thing; the most leased first.

    since, until: seconds since the epoch. watched: seconds of it in which a monitor has looked;
    None if this is from records of runs. hourly: the mean utilization in percent of all devices for
    each hour since the epoch; None where nobody has looked.
    """

    by: By
    since: float
    until: float
    uses: tuple[Use, ...]
    total: Use
    watched: float | None = None
    hourly: tuple[tuple[int, float | None], ...] = ()


class Sum:
    """What is summed up for one key."""

    def __init__(self) -> None:
        self.leased = 0.0
        self.busy = 0.0
        self.observed = 0.0
        self.peak: int | None = None
        self.waited: float | None = None
        self.leases = 0
        self.uncertain = 0.0

    def saw(self, seconds: float, busy: float, peak: int | None) -> None:
        """Add what was seen of a device while it was held: seconds, and those it was busy."""
        self.observed += seconds
        self.busy += busy
        if peak is not None:
            self.peak = max(peak, self.peak or 0)

    def waits(self, seconds: float) -> None:
        """Add a time in line."""
        self.waited = seconds + (self.waited or 0.0)

    def add(self, other: Sum) -> None:
        """Add all of another sum."""
        self.leased += other.leased
        self.saw(other.observed, other.busy, other.peak)
        if other.waited is not None:
            self.waits(other.waited)
        self.leases += other.leases
        self.uncertain += other.uncertain

    def use(self, key: str, all_leased: float) -> Use:
        """Return it as a value. all_leased: the GPU hours of all keys together."""
        seen = self.observed > 0
        return Use(
            key,
            self.leased,
            self.busy / HOUR if seen else None,
            100 * self.busy / self.observed if seen else None,
            self.peak,
            100 * self.leased / all_leased if all_leased else 0.0,
            self.waited,
            self.leases,
            self.uncertain,
        )


def summed(sums: dict[str, Sum]) -> tuple[tuple[Use, ...], Use]:
    """Return the use by each key, the most leased first, and that of all together."""
    total = Sum()
    for each in sums.values():
        total.add(each)
    uses = [each.use(key, total.leased) for key, each in sums.items()]
    uses.sort(key=lambda use: (-use.leased, use.key))
    return tuple(uses), total.use("total", total.leased)
