"""The samples of one host, as lines for Prometheus by the name of their metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.watching.families import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.device import Device
    from genvx.core.leases.claim import EnvironmentKey
    from genvx.core.snapshot import Snapshot
    from genvx.watching.sight import Sight

# A host decides how many devices and environments it tells of. With more than these it would fill
# the memory of Prometheus, which never forgets a series.
MOST_DEVICES, MOST_ENVIRONMENTS = 256, 256
_LONGEST_VALUE = 128
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

Lines = dict[str, list[str]]


def label_text(**labels: str) -> str:
    """Return labels with their values as Prometheus reads them; any text is a value."""
    pairs = (f'{name}="{_value(text)}"' for name, text in labels.items())
    return ",".join(pairs)


def _value(text: str) -> str:
    # A lone surrogate cannot be encoded, and would break the page for all hosts.
    whole = text[:_LONGEST_VALUE].encode("utf-8", "replace").decode("utf-8")
    return whole.translate(_ESCAPES)


class Samples:
    """Lines of samples, collected by the name of their metric."""

    def __init__(self) -> None:
        self.lines: Lines = {}

    def add(self, name: str, labels: str, number: float | None) -> None:
        """Add a sample, unless its value is unknown."""
        assert name in BY_NAME, name
        if number is not None:
            head = f"{name}{{{labels}}}" if labels else name
            self.lines.setdefault(name, []).append(f"{head} {number}\n")


def host_samples(
    sight: Sight, idle: Mapping[EnvironmentKey, float], *, label_users: bool = False
) -> Lines:
    """Return the samples of what a look at a host has shown.

    idle: for how many seconds each of its environments is idle. label_users: also who holds what.
    """
    samples, host = Samples(), label_text(host=sight.host)
    samples.add("genvx_host_up", host, int(sight.snapshot is not None))
    samples.add("genvx_host_question_seconds", host, round(sight.seconds, 6))
    if sight.snapshot is not None:
        _of_host(samples, host, sight.snapshot, idle)
        for device in sight.snapshot.devices[:MOST_DEVICES]:
            _of_device(samples, host, sight.snapshot, device, label_users=label_users)
        if label_users:
            _of_environments(samples, host, sight.snapshot, idle)
    return samples.lines


def _of_host(
    samples: Samples, host: str, snapshot: Snapshot, idle: Mapping[EnvironmentKey, float]
) -> None:
    def add(name: str, number: float) -> None:
        samples.add(f"genvx_host_{name}", host, number)

    environments, waiting = snapshot.environments, snapshot.tickets
    info = label_text(
        hostname=snapshot.hostname,
        driver=snapshot.driver.version or "",
        genvx=snapshot.version,
    )
    samples.add("genvx_host_info", f"{host},{info}", 1)
    add("devices", len(snapshot.devices))
    add("devices_available", len(snapshot.available))
    add("environments", len(environments))
    ages = [snapshot.age_seconds(env.since_ns) for env in environments]
    add("oldest_environment_seconds", round(max(ages, default=0), 3))
    add("longest_idle_seconds", round(max(idle.values(), default=0), 3))
    add("foreign_processes", len(_foreign(snapshot)))
    add("line_requests", len(waiting))
    waits = [snapshot.age_seconds(ticket.since_ns) for ticket in waiting]
    add("line_oldest_seconds", round(max(waits, default=0), 3))
    left_out = max(0, len(snapshot.devices) - MOST_DEVICES)
    add("omitted", left_out + max(0, len(environments) - MOST_ENVIRONMENTS))


def _foreign(snapshot: Snapshot) -> set[int]:
    return {process.pid for device in snapshot.devices for process in snapshot.foreign(device)}


def _of_device(
    samples: Samples, host: str, snapshot: Snapshot, device: Device, *, label_users: bool
) -> None:
    labels = f"{host},{label_text(device=device.label, uuid=device.uuid)}"

    def add(name: str, number: float | None, more: str = "") -> None:
        samples.add(f"genvx_device_{name}", f"{labels},{more}" if more else labels, number)

    usage = snapshot.usage_of(device)
    held = snapshot.holdings.get(device.uuid, {})
    add("info", 1, label_text(model=device.name))
    add("state", 1, f'state="{snapshot.state(device).value}"')
    add("memory_bytes", device.memory)
    add("memory_used_bytes", usage.memory_used)
    add("utilization_ratio", None if usage.utilization is None else usage.utilization / 100)
    add("environments", len(held))
    add("foreign_processes", len(snapshot.foreign(device)))
    sensors = usage.sensors
    if sensors is not None:
        power = sensors.power_mw
        add("power_watts", None if power is None else power / 1000)
        add("temperature_celsius", sensors.temperature)
        for clock, megahertz in (
            ("sm", sensors.sm_clock_mhz),
            ("memory", sensors.memory_clock_mhz),
        ):
            more = f'clock="{clock}"'
            add("clock_hertz", None if megahertz is None else megahertz * 1_000_000, more)
        add("ecc_errors_total", sensors.ecc_corrected, 'type="corrected"')
        add("ecc_errors_total", sensors.ecc_uncorrected, 'type="uncorrected"')
    if label_users and held:
        for env in snapshot.environments[:MOST_ENVIRONMENTS]:
            if env.key in held:
                who = label_text(environment=env.id, user=env.owner.name, name=env.name)
                add("owner_info", 1, who)


def _of_environments(
    samples: Samples, host: str, snapshot: Snapshot, idle: Mapping[EnvironmentKey, float]
) -> None:
    for env in snapshot.environments[:MOST_ENVIRONMENTS]:
        who = label_text(environment=env.id, user=env.owner.name, name=env.name)
        labels = f"{host},{who}"
        age = round(snapshot.age_seconds(env.since_ns), 3)
        samples.add("genvx_environment_age_seconds", labels, age)
        samples.add("genvx_environment_devices", labels, len(env.devices))
        samples.add("genvx_environment_idle_seconds", labels, round(idle.get(env.key, 0), 3))
