"""genvx deactivate: end the activated shell that we are in.

bash, zsh, dash and fish define it as a function of the activated shell; this verb is for others.
"""

from __future__ import annotations


def deactivate() -> None:
    """Leave the activated shell and give its GPUs back."""
    from genvx.local import inside
    from genvx.local.host import LocalHost

    inside.deactivate(LocalHost())
