"""C2: a client that is killed at each of its requests to a cloud.

The oracle asks the pretended cloud itself what there is, and knows nothing of genvx but its tags.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genvx.clouds.aws.account import Account
from genvx.clouds.ec2.cloud import Cloud
from genvx.clouds.ec2.wanted import Wanted
from genvx.fleet.remotes.remote import Remote
from genvx.fleet.remotes.yamltext import Place
from genvx.fleet.renting import ending, starting
from genvx.fleet.renting.rental import Rental
from genvx.keypair import new_key
from torture import pretendcloud
from torture.trial import Outcome, Trial

_REGION = "us-east-2"
_LIVE = ("pending", "running", "stopping", "stopped")
_LAST = 40


@dataclass
class _World:
    """The cloud that is tried, and what is wanted of it."""

    place: Path
    outcome: Outcome
    wanted: Wanted
    cloud: Cloud
    eyes: Any
    killed: int = 0
    names: list[str] = field(default_factory=list)

    def client(self, act: Callable[[Rental], None], at: int = 0, *, before: bool = False) -> bool:
        """Act in a process of its own, which is killed at a request; whether it was."""
        return self._wait(self._begin(act, at, before=before))

    def both(self, act: Callable[[Rental], None]) -> None:
        """Act twice at once, and to the end."""
        for pid in [self._begin(act, 0), self._begin(act, 0)]:
            self._wait(pid)

    def _begin(self, act: Callable[[Rental], None], at: int, *, before: bool = False) -> int:
        ready, go = os.pipe()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.close(go)
                os.read(ready, 1)
                act(Rental(_remote(), self.cloud, lambda line: None))
                code = 0
            except Exception:
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(ready)
        kill = {"kill": {"pid": pid, "at": at, "before": before}} if at else {}
        pretendcloud.control(self.place, **kill)
        os.close(go)
        return pid

    def _wait(self, pid: int) -> bool:
        _, status = os.waitpid(pid, 0)
        pretendcloud.control(self.place)
        if os.WIFEXITED(status):
            self.outcome.check(os.WEXITSTATUS(status) == 0, "a client that was not killed failed")
        self.killed += os.WIFSIGNALED(status)
        return os.WIFSIGNALED(status)

    def start(self, rental: Rental) -> None:
        starting.rent(rental, self.wanted, starting.Start(60.0))

    def machines(self) -> list[dict[str, Any]]:
        found = self.eyes.describe_instances()["Reservations"]
        every = [each for one in found for each in one["Instances"]]
        return [each for each in every if each["State"]["Name"] in _LIVE]

    def things(self) -> list[dict[str, Any]]:
        """All that a start makes."""
        groups = self.eyes.describe_security_groups()["SecurityGroups"]
        made = [each for each in groups if each["GroupName"] != "default"]
        return [*self.machines(), *self.eyes.describe_key_pairs()["KeyPairs"], *made]

    def check_tags(self, where: str) -> None:
        for thing in self.things():
            tags = {tag["Key"] for tag in thing.get("Tags", ())}
            named = thing.get("InstanceId") or thing.get("GroupId") or thing.get("KeyName")
            self.outcome.check(
                {"genvx:remote", "genvx:owner"} <= tags, f"{where}: {named} is without a tag"
            )

    def check_one(self, where: str) -> None:
        count = len(self.machines())
        self.outcome.check(count == 1, f"{where}: {count} machines of one remote")


def _remote() -> Remote:
    return Remote("lab", "ec2", Place("remotes.yml", 1, 1), {})


def killed(trial: Trial) -> Outcome:
    """C2, the machines."""
    outcome = Outcome()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ.setdefault(name, "torture")
    _, line = new_key("torture")
    wanted = Wanted(pretendcloud.IMAGE, "g5.xlarge", line, cidrs=("10.0.0.0/8",), disk=50)
    with pretendcloud.served(trial.place) as url:
        cloud = Cloud(Account(_REGION, endpoint_url=url), "lab")
        eyes = Account(_REGION, endpoint_url=url).service("ec2").client
        world = _World(trial.place, outcome, wanted, cloud, eyes)
        moments = [(at, before) for at in range(1, _LAST) for before in (True, False)]
        for act in (_started, _stopped, _ended):
            _each(trial, world, act, moments)
    outcome.seen.append(f"{world.killed} clients killed")
    return outcome


def _each(
    trial: Trial,
    world: _World,
    act: Callable[[_World, int, bool], bool],
    moments: list[tuple[int, bool]],
) -> None:
    """Try an act at its moments: all of them, until one comes after its end; or some of them."""
    if not trial.full:
        chance = trial.chance(act.__name__)
        moments = [(chance.randrange(1, 13), chance.random() < 0.5) for _ in range(2)]
    for at, before in moments:
        if not act(world, at, before) and trial.full:
            return
        if world.outcome.enough:
            return


def _started(world: _World, at: int, before: bool) -> bool:
    """A start is killed; two others at once come after it."""
    where = f"start killed at request {at}"
    killed = world.client(world.start, at, before=before)
    world.check_tags(where)
    world.both(world.start)
    world.check_one(f"{where}, two more")
    world.check_tags(where)
    _gone(world, where)
    return killed


def _stopped(world: _World, at: int, before: bool) -> bool:
    """A stop is killed; a start comes after it."""
    where = f"stop killed at request {at}"
    world.client(world.start)
    killed = world.client(_stop, at, before=before)
    world.client(world.start)
    world.check_one(where)
    _gone(world, where)
    return killed


def _ended(world: _World, at: int, before: bool) -> bool:
    """An end is killed; another one comes after it."""
    where = f"end killed at request {at}"
    world.client(world.start)
    killed = world.client(_end, at, before=before)
    world.check_tags(where)
    _gone(world, where)
    return killed


def _gone(world: _World, where: str) -> None:
    world.client(_end)
    left = world.things()
    world.outcome.check(not left, f"{where}: {len(left)} things are orphaned after the end")


def _stop(rental: Rental) -> None:
    ending.stop(rental, lambda line: None)


def _end(rental: Rental) -> None:
    ending.terminate(rental, lambda line: None)
