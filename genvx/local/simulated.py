"""Made-up devices, for trying out and for tests.

Never on by itself: only $GENVX_SIMULATE asks for them.
"""

from __future__ import annotations

import re
from binascii import crc32

from genvx.core.device import Device, DeviceUsage, Driver
from genvx.core.text import printable
from genvx.core.units import parse_memory
from genvx.errors import InvalidInput
from genvx.local.inventory import Inventory

_MOST = 1024
_PART = re.compile(
    r"(?:(\d{1,4})x)?([A-Za-z][A-Za-z0-9 ]{0,40}?)-(\d{1,6}(?:[KMGT]i?B?))", re.ASCII
)


def simulate(specification: str, seed: str) -> Inventory:
    """Make the devices of a text such as "2xA100-80GB" or "1xA100-80GB,4xT4-16GB"; "0" makes none.

    seed: tells hosts apart, so that pretend hosts on one machine do not share their UUIDs.

    Raises:
        InvalidInput: the text is not a list of COUNTxMODEL-MEMORY.
    """
    devices: list[Device] = []
    for part in [] if specification.strip() == "0" else specification.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise InvalidInput(
                f"GENVX_SIMULATE: not COUNTxMODEL-MEMORY: {printable(part, 60)!r}; "
                "write it like 2xA100-80GB"
            )
        count, model, memory = match.groups()
        for _ in range(int(count or 1)):
            index = len(devices)
            if index >= _MOST:
                raise InvalidInput(f"GENVX_SIMULATE: at most {_MOST} devices")
            devices.append(
                Device(
                    # Not from the module uuid, which loads OpenSSL: a question to a host that is
                    # simulated would cost more than one to a real host.
                    uuid=f"SIM-{crc32(seed.encode()):08x}-{index:04x}",
                    index=index,
                    name=f"{model}-{memory}",
                    memory=parse_memory(memory),
                    simulated=True,
                )
            )
    return Inventory(
        driver=Driver(version="simulated", simulated=True),
        devices=tuple(devices),
        usage={d.uuid: DeviceUsage(memory_used=0, utilization=0) for d in devices},
    )
