"""Where the driver's library is."""

from __future__ import annotations

_LIBRARY = "libnvidia-ml.so.1"
# Where containers, and drivers that run in one, put it, outside of where a loader looks. Only root
# can write there.
PLACES = (
    *("/usr/local/nvidia/lib64", "/usr/local/nvidia/lib"),  # Kubernetes
    "/usr/lib/wsl/lib",
    *(  # the driver container of NVIDIA's GPU operator
        f"/run/nvidia/driver/usr/{place}"
        for place in ("lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu", "lib64")
    ),
    *("/usr/lib/x86_64-linux-gnu/nvidia/current", "/usr/lib/aarch64-linux-gnu/nvidia"),
    *("/usr/lib64-nvidia", "/usr/lib/nvidia", "/run/opengl-driver/lib"),
)


def load() -> None:
    """Load it where the loader does not find it by itself; pynvml, which asks for it by name, then
    gets what is loaded.
    """
    from ctypes import CDLL  # takes as long as all else here, and only the child that asks needs it

    for path in (_LIBRARY, *(f"{place}/{_LIBRARY}" for place in PLACES)):
        try:
            CDLL(path)
            return
        except OSError:
            continue  # not there, or none that can be loaded
