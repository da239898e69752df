"""genvx deactivate: end the activated shell that we are in.

bash, zsh, dash and fish have it as a function of the activated shell. This verb is for the others.
"""

from __future__ import annotations


def deactivate() -> None:
    """Leave the activated shell and give its GPUs back."""
    from genvx.local import inside
    from genvx.local.host import LocalHost

    inside.deactivate(LocalHost())
