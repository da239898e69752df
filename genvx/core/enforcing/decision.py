"""Decides what is done about GPUs that are used against the rules: a function of what was seen.

Who somebody is comes from the kernel: the uid and the start time of a process. Names and commands
are only repeated in messages. Where a fact is missing, nothing is done, and what was known before
stays known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.enforcing.action import Action, Kind, Rule
from genvx.core.enforcing.history import Charge, ChargeKey, History, Quiet
from genvx.core.enforcing.idle import Idle, look
from genvx.core.escalation import GRACE
from genvx.core.policies.enforcement import Measure
from genvx.core.quantities.ages import format_duration
from genvx.core.quantities.amounts import format_memory
from genvx.core.value import replace, value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.core.device import Device
    from genvx.core.enforcing.sight import Facts, Sight
    from genvx.core.leases.environment import Environment
    from genvx.core.policies.enforcement import Enforcement, IdleRule, MemoryRule
    from genvx.core.usage import DeviceProcess

_GRACE_NS = round(GRACE * 1e9)


@value
class Verdict:
    """What is to be done now, and what the next round has to know."""

    actions: tuple[Action, ...]
    history: History


@value
class _Accused:
    """Who breaks a rule now. targets: whom the signals are for, the first of all to begin with."""

    key: ChargeKey
    why: str
    devices: tuple[Device, ...]
    targets: tuple[tuple[DeviceProcess, Facts], ...]


def decide(sight: Sight, history: History, rules: Enforcement, now_ns: int) -> Verdict:
    """Decide what is done about what was seen at `now_ns`, in nanoseconds of CLOCK_BOOTTIME."""
    if sight.snapshot.driver.error is not None:
        return Verdict((), history)
    actions: list[Action] = []
    charges: dict[ChargeKey, Charge] = {}
    for accused in (*_on_devices_of_others(sight, rules), *_above_their_share(sight, rules)):
        rule = getattr(rules, accused.key.rule.value)
        before = history.charges.get(accused.key)
        charge, action = _proceed(accused, before, rule.do, rule.grace, now_ns)
        charges[accused.key] = charge
        if action is not None:
            actions.append(action)
    blind = {each.uuid for each in sight.snapshot.devices if sight.is_blind(each)}
    unclear = {uuid for _, uuid in _unclear_shares(sight)}
    for key, charge in history.charges.items():
        # A device that does not answer for a moment is no reason to begin again with a line.
        lost = blind | (unclear if key.rule is Rule.MEMORY else set())
        if key not in charges and lost & {*charge.devices}:
            charges[key] = charge
    quiet: dict[tuple[int, str], Quiet] = {}
    if rules.idle is not None:
        for env in sight.snapshot.environments:
            if env.devices and sight.may_hit(env.owner.uid):
                seen = look(env, sight, rules.idle.below)
                quiet[env.key], action = _of_idle(
                    env, seen, history.quiet.get(env.key), rules.idle, sight, now_ns
                )
                if action is not None:
                    actions.append(action)
    return Verdict(tuple(actions), History(charges, quiet))


def _on_devices_of_others(sight: Sight, rules: Enforcement) -> list[_Accused]:
    """The processes on devices on which their users hold nothing."""
    found: dict[ChargeKey, tuple[DeviceProcess, Facts, list[Device]]] = {}
    snapshot = sight.snapshot
    for device in snapshot.devices:
        if sight.is_blind(device):
            continue
        rule = Rule.INTRUDERS if snapshot.holdings.get(device.uuid) else Rule.SQUATTERS
        if getattr(rules, rule.value) is None:
            continue
        for process in snapshot.foreign(device):
            facts = sight.certain(process)
            if facts is None or facts.exempt or not sight.may_hit(facts.uid):
                continue
            key = ChargeKey(rule, facts.uid, (facts.pid, facts.starttime))
            found.setdefault(key, (process, facts, []))[2].append(device)
    return [
        _Accused(key, _why_foreign(key.rule, devices), tuple(devices), ((process, facts),))
        for key, (process, facts, devices) in found.items()
    ]


def _why_foreign(rule: Rule, devices: Sequence[Device]) -> str:
    named = _named(devices)
    if rule is Rule.INTRUDERS:
        return f"uses {named}, leased by somebody else"
    return f"uses {named} without a lease"


def _named(devices: Sequence[Device]) -> str:
    return f"GPU {', '.join(device.label for device in devices)}"


def _shares(sight: Sight, device: Device) -> dict[int, int]:
    """The bytes of a device that users hold, without those who hold all of it."""
    held: dict[int, Optional[int]] = {}
    for (uid, _), size in sight.snapshot.holdings.get(device.uuid, {}).items():
        before = held.get(uid, 0)
        held[uid] = None if size is None or before is None else before + size
    return {uid: size for uid, size in held.items() if size is not None}


def _on_share(
    sight: Sight, device: Device, uid: int
) -> Optional[list[tuple[DeviceProcess, Facts, int]]]:
    """The processes of a user on a device, and the bytes of each; None if that is unknown."""
    found = []
    for process in sight.snapshot.usage_of(device).processes or ():
        if process.uid == uid:
            facts = sight.certain(process)
            if facts is None or facts.exempt:
                continue
            if process.memory is None:
                return None
            found.append((process, facts, process.memory))
    return found


def _unclear_shares(sight: Sight) -> list[tuple[int, str]]:
    """The users of shares, and the devices, for which it is unknown how much they use."""
    return [
        (uid, device.uuid)
        for device in sight.snapshot.devices
        for uid in _shares(sight, device)
        if _on_share(sight, device, uid) is None
    ]


def _above_their_share(sight: Sight, rules: Enforcement) -> list[_Accused]:
    """The users who use more of a device than they hold."""
    rule: Optional[MemoryRule] = rules.memory
    found = []
    for device in sight.snapshot.devices if rule is not None else ():
        assert rule is not None
        if sight.is_blind(device):
            continue
        for uid, share in _shares(sight, device).items():
            used = _on_share(sight, device, uid) if sight.may_hit(uid) else None
            total = sum(memory for _, _, memory in used or ())
            if used and total > share + rule.margin:
                used.sort(key=lambda each: (-each[2], each[1].starttime, each[1].pid))
                why = (
                    f"is the largest of yours on {_named((device,))}, which use "
                    f"{format_memory(total)} with a share of {format_memory(share)}"
                )
                targets = tuple((process, facts) for process, facts, _ in used)
                key = ChargeKey(Rule.MEMORY, uid, device=device.uuid)
                found.append(_Accused(key, why, (device,), targets))
    return found


def _proceed(
    accused: _Accused, before: Optional[Charge], do: Measure, grace: float, now_ns: int
) -> tuple[Charge, Optional[Action]]:
    """Take the next step against somebody, if one is due."""
    devices = tuple(device.uuid for device in accused.devices)
    grace_ns = round(grace * 1e9)
    if before is None:
        left = grace if do is Measure.END else None
        return Charge(now_ns, devices), _action(accused, Kind.TELL, left=left)
    charge = replace(before, devices=devices)
    if now_ns < charge.told_ns + grace_ns:
        return charge, None
    if do is not Measure.END:
        return replace(charge, told_ns=now_ns), _action(accused, Kind.TELL)
    asked = {(facts.pid, facts.starttime): facts for _, facts in accused.targets}
    if charge.asked_ns is None or charge.target not in asked:
        _, facts = accused.targets[0]
        target = (facts.pid, facts.starttime)
        return (
            replace(charge, target=target, asked_ns=now_ns),
            _action(accused, Kind.TERM, target=target, left=GRACE),
        )
    if now_ns < charge.asked_ns + _GRACE_NS:
        return charge, None
    return charge, _action(accused, Kind.KILL, target=charge.target)


def _action(
    accused: _Accused,
    kind: Kind,
    *,
    target: Optional[tuple[int, int]] = None,
    left: Optional[float] = None,
) -> Action:
    process, facts = next(
        (each for each in accused.targets if (each[1].pid, each[1].starttime) == target),
        accused.targets[0],
    )
    return Action(
        kind,
        accused.key.rule,
        facts.uid,
        process.user,
        tuple(device.label for device in accused.devices),
        accused.why,
        facts.pid,
        facts.starttime,
        process.command,
        left=left,
    )


def _of_idle(
    env: Environment,
    seen: Idle,
    before: Optional[Quiet],
    rule: IdleRule,
    sight: Sight,
    now_ns: int,
) -> tuple[Quiet, Optional[Action]]:
    """Note whether an environment is idle, and take the next step if one is due."""
    # One that was never seen counts as used just now: nobody knows what was before.
    if before is None:
        return Quiet(now_ns, seen.memory), None
    # A look at which the memory was unknown must not make the next one see it grow.
    memory = {**before.memory, **seen.memory}
    if seen.busy or seen.grew(before.memory):
        return Quiet(now_ns, memory), None
    quiet = replace(before, memory=memory)
    idle = (now_ns - quiet.since_ns) / 1e9

    def act(kind: Kind, left: Optional[float] = None) -> Action:
        devices = [each for each in sight.snapshot.devices if each.uuid in env.devices]
        return Action(
            kind,
            Rule.IDLE,
            env.owner.uid,
            env.owner.name,
            tuple(device.label for device in devices),
            f"has not used {_named(devices)} for {format_duration(max(1, round(idle)))}",
            command=env.command,
            environment=env.id,
            name=env.name,
            left=left,
        )

    if rule.do is not Measure.RELEASE:
        last = quiet.since_ns if quiet.told_ns is None else quiet.told_ns
        if now_ns < last + rule.after * 1e9:
            return quiet, None
        return replace(quiet, told_ns=now_ns), act(Kind.TELL)
    half_ns = rule.after * 1e9 / 2
    if quiet.told_ns is None:
        if now_ns < quiet.since_ns + half_ns:
            return quiet, None
        return replace(quiet, told_ns=now_ns), act(Kind.TELL, rule.after / 2)
    if now_ns < quiet.told_ns + half_ns:
        return quiet, None
    return quiet, act(Kind.RELEASE)
