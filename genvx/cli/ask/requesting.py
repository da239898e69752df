"""Verbs that take a request for devices.

A verb has a parameter `request: Request`; `requesting` replaces it by the options.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from genvx.cli.ask.expanding import expanded
from genvx.cli.ask.requested import requested
from genvx.errors import NoCapacity


def requesting(
    *left_out: str, loads: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a verb the options of a request, except those in `left_out`.

    loads: take options that are not given from .genvx.toml.
    """
    if not loads:
        left_out = (*left_out, "no_load")

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        def call(wanted: dict[str, Any], given: dict[str, Any]) -> None:
            if loads and not wanted["no_load"]:
                from genvx.cli.ask.defaults import load

                # shell-init may ask twice for one activation; the first time printed the messages.
                told = (given.get("in_shell") or "").rpartition(":")[2].isdecimal()
                load(wanted, remote=getattr(given["context"].obj, "remote", False), quiet=told)
            request = requested(**wanted)
            try:
                verb(request=request, **given)
            except NoCapacity as error:
                # Advised only where the verb has --wait and it was not used.
                if "wait" in wanted and request.wait is None and request.environment is None:
                    from genvx.cli.show.refusal import advise

                    advise(error)
                raise

        return expanded(verb, requested, left_out, call)

    return decorate
