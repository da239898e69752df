"""What NVML tells of a GPU besides who uses it: power, temperature, clocks, errors of memory."""

from __future__ import annotations

from typing import Any, Callable, Optional

from genvx.core.usage import Sensors


def read_sensors(nvml: Any, told: Callable[..., Any], handle: Any) -> Sensors:
    """Read the sensors of a GPU. nvml: the module. told: calls a function of it; None if it fails.

    A sensor that fails makes no device sick: nobody's grant depends on it.
    """

    def number(function: Callable[..., Any], *arguments: Any) -> Optional[int]:
        found = told(function, handle, *arguments)
        return None if found is None or found < 0 else int(found)

    volatile = nvml.NVML_VOLATILE_ECC
    return Sensors(
        power_mw=number(nvml.nvmlDeviceGetPowerUsage),
        temperature=number(nvml.nvmlDeviceGetTemperature, nvml.NVML_TEMPERATURE_GPU),
        sm_clock_mhz=number(nvml.nvmlDeviceGetClockInfo, nvml.NVML_CLOCK_SM),
        memory_clock_mhz=number(nvml.nvmlDeviceGetClockInfo, nvml.NVML_CLOCK_MEM),
        ecc_corrected=number(
            nvml.nvmlDeviceGetTotalEccErrors, nvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, volatile
        ),
        ecc_uncorrected=number(
            nvml.nvmlDeviceGetTotalEccErrors, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, volatile
        ),
    )
