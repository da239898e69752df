"""From a configuration file of NNI to an Experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genvx.sweeps.nni.experiment import Experiment


def load(path: str) -> Experiment:
    """Read a configuration file of NNI 2 or 3; paths in it are relative to it.

    Raises:
        InvalidInput: the file cannot be read, asks for what genvx cannot do, or has a fault; the
        message names file, line and key.
    """
    raise NotImplementedError


__all__ = ["load"]
