"""Every metric of the monitor: its name, its labels, and what it means.

The text for Prometheus and docs/reference/metrics.md are made from this table.
"""

from __future__ import annotations

from genvx.core.value import value

GAUGE, COUNTER = "gauge", "counter"
HOST = ("host",)
DEVICE = ("host", "device", "uuid")
ENVIRONMENT = ("host", "environment", "user", "name")
OWN: tuple[str, ...] = ()


@value
class Family:
    """A metric. labels: their names, in order. users: whether it is there with --label-users
    only.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...]
    users: bool = False


FAMILIES = (
    # Hosts
    Family("genvx_host_up", GAUGE, "1 if the host has answered in the last round.", HOST),
    Family(
        "genvx_host_question_seconds",
        GAUGE,
        "How long the last question to the host took, or until it failed.",
        HOST,
    ),
    Family(
        "genvx_host_errors_total",
        COUNTER,
        "Rounds in which the host failed, by the kind of the failure.",
        ("host", "kind"),
    ),
    Family(
        "genvx_host_info",
        GAUGE,
        "1; the versions of the driver and of genvx on the host. No version: there is no driver.",
        ("host", "hostname", "driver", "genvx"),
    ),
    Family("genvx_host_devices", GAUGE, "Devices of the host: GPUs and MIG instances.", HOST),
    Family("genvx_host_devices_available", GAUGE, "Devices that can be leased whole, now.", HOST),
    Family("genvx_host_environments", GAUGE, "Living environments.", HOST),
    Family(
        "genvx_host_oldest_environment_seconds",
        GAUGE,
        "Age of the oldest environment; 0 if there is none.",
        HOST,
    ),
    Family(
        "genvx_host_longest_idle_seconds",
        GAUGE,
        "For how long the environment that is idle for longest has not used its devices.",
        HOST,
    ),
    Family(
        "genvx_host_foreign_processes",
        GAUGE,
        "Processes on devices whose users hold no lease on these.",
        HOST,
    ),
    Family("genvx_host_line_requests", GAUGE, "Requests that wait in the line.", HOST),
    Family(
        "genvx_host_line_oldest_seconds",
        GAUGE,
        "How long the oldest request waits; 0 if none does.",
        HOST,
    ),
    Family(
        "genvx_host_omitted",
        GAUGE,
        "Devices and environments that are left out because the host has too many.",
        HOST,
    ),
    # Devices
    Family(
        "genvx_device_info",
        GAUGE,
        "1; the model of the device.",
        (*DEVICE, "model"),
    ),
    Family(
        "genvx_device_state",
        GAUGE,
        "1 for the state of the device: free, leased, shared, busy, lost, unhealthy, unknown.",
        (*DEVICE, "state"),
    ),
    Family("genvx_device_memory_bytes", GAUGE, "Memory of the device.", DEVICE),
    Family("genvx_device_memory_used_bytes", GAUGE, "Memory in use, by anybody.", DEVICE),
    Family(
        "genvx_device_utilization_ratio",
        GAUGE,
        "Part of the time in which the device was busy, 0 to 1, as the driver has sampled it.",
        DEVICE,
    ),
    Family("genvx_device_power_watts", GAUGE, "Power that the GPU draws.", DEVICE),
    Family("genvx_device_temperature_celsius", GAUGE, "Temperature of the GPU.", DEVICE),
    Family(
        "genvx_device_clock_hertz",
        GAUGE,
        "Clock of the streaming multiprocessors (sm) or of the memory.",
        (*DEVICE, "clock"),
    ),
    Family(
        "genvx_device_ecc_errors_total",
        COUNTER,
        "Errors of memory since the driver was loaded, corrected or uncorrected.",
        (*DEVICE, "type"),
    ),
    Family(
        "genvx_device_environments", GAUGE, "Environments that hold the device, or a share.", DEVICE
    ),
    Family(
        "genvx_device_foreign_processes",
        GAUGE,
        "Processes on the device whose users hold no lease on it.",
        DEVICE,
    ),
    Family(
        "genvx_device_owner_info",
        GAUGE,
        "1 for each environment that holds the device, or a share of it.",
        (*DEVICE, "environment", "user", "name"),
        users=True,
    ),
    # Environments
    Family(
        "genvx_environment_age_seconds",
        GAUGE,
        "Age of the environment.",
        ENVIRONMENT,
        users=True,
    ),
    Family(
        "genvx_environment_devices",
        GAUGE,
        "Devices that the environment holds, or shares.",
        ENVIRONMENT,
        users=True,
    ),
    Family(
        "genvx_environment_idle_seconds",
        GAUGE,
        "For how long none of its devices was seen busy, since the monitor began to look.",
        ENVIRONMENT,
        users=True,
    ),
    # The monitor
    Family("genvx_monitor_info", GAUGE, "1; the version of the monitor.", ("version",)),
    Family("genvx_monitor_rounds_total", COUNTER, "Rounds of questions that have ended.", OWN),
    Family("genvx_monitor_round_seconds", GAUGE, "How long the last round took.", OWN),
    Family("genvx_monitor_last_round_timestamp_seconds", GAUGE, "When the last round ended.", OWN),
    Family(
        "genvx_monitor_last_success_timestamp_seconds",
        GAUGE,
        "When the last round ended in which a host has answered.",
        OWN,
    ),
    Family("genvx_monitor_hosts", GAUGE, "Hosts that are asked.", OWN),
    Family(
        "genvx_monitor_history_up",
        GAUGE,
        "1 if the last round was written to the history; not there without a history.",
        OWN,
    ),
)
BY_NAME = {family.name: family for family in FAMILIES}
