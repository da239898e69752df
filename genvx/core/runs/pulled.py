"""A run that was copied from another machine: where it came from, and when."""

from __future__ import annotations

from genvx.core.value import value


@value
class Way:
    """The hosts of a `genvx remote`, as somebody named them: a remote, names, or a hostfile; and
    the login.
    """

    remote: str = ""
    hosts: str = ""
    hostfile: str = ""
    login: str = ""

    @property
    def typed(self) -> str:
        """What somebody types to ask these hosts."""
        import shlex

        if self.remote and not self.login:
            return shlex.join(["genvx", "--remote", self.remote])
        words = ["genvx", "remote"]
        words += ["--remote", self.remote] if self.remote else []
        words += ["-H", self.hosts] if self.hosts else []
        words += ["-f", self.hostfile] if self.hostfile else []
        # Another user has other runs and environments.
        words += ["-l", self.login] if self.login else []
        return shlex.join(words)


@value
class Pulled:
    """Where a copy of a run came from. host: the name of its host. epoch_ns: when it was as it is
    here, by the clock of this machine. way: how its host is reached. whole: whether all has come.
    only, everything: what was asked for, as for PullRun. label, tags: those that it had there.
    """

    host: str
    epoch_ns: int
    way: Way
    whole: bool = True
    only: tuple[str, ...] = ()
    everything: bool = False
    label: str = ""
    tags: tuple[str, ...] = ()
