"""Sweeps on the hosts of a fleet, for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.command import Command


class Sweeping:
    """A fleet on which a command is run with many different parameters."""

    def sweep(
        self,
        command: Command,
        space: Mapping[str, Any],
        **more: Any,
    ) -> Any:
        """Run a command with many different parameters; return all trials, and the best.

        Each trial is a run. In its command {name} is the value of a parameter; it reports a value
        as a line of JSON in $GENVX_REPORT, or with the module genvx_trial. If this program is ended
        meanwhile, `genvx sweeps resume` goes on.

        space: values by the name of each parameter: genvx.log(1e-5, 1e-1), a list, or text such as
        "log:1e-5..1e-1". more, by name: trials, at most so many; gpus and memory of each;
        maximize=False, if the smallest value is best; tuner ("random"), options, pruner and seed;
        concurrency, so many trials at once (as many as fit); duration, seconds of the whole sweep,
        and time_limit, of a trial; stop_when ("value > 0.9"); metric, a pattern for values in the
        output; retries of trials that their host has lost; name, cwd, env; project, a directory of
        which each trial gets a copy; stop, an event that ends all trials.

        Raises:
            InvalidInput: an argument makes no sense. Unsatisfiable: no host can run a trial.
            FleetError: no host answers. StateError: the sweep cannot be written down here.
        """
        # By name, for the library stands above fleet.
        import importlib

        return importlib.import_module("genvx.api.sweeps").sweep(self, command, space, **more)
