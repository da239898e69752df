"""Where NVML's library is."""

from __future__ import annotations

_LIBRARY = "libnvidia-ml.so.1"
# Where containers, and drivers that run in one, put the library, outside the paths of the loader.
# Only root can write there, so no other user can make us load their code.
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


def load() -> bool:
    """Load the library, also from places that the dynamic loader does not search; return whether
    there is one.

    pynvml asks for it by name, and then gets the one that is loaded already.
    """
    from ctypes import CDLL  # slow to import, and only the child that asks NVML needs it

    for path in (_LIBRARY, *(f"{place}/{_LIBRARY}" for place in PLACES)):
        try:
            CDLL(path)
            return True
        except OSError:
            continue  # missing, or not loadable
    return False
