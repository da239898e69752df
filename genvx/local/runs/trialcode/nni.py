"""The functions that a trial of NNI calls, as genvx answers them.

Where NNI itself is installed, that is what is imported, with these functions in place of its own,
in nni and in nni.trial: without NNI's manager its own know no parameters, and nobody reads what
they report.
"""

import os
import sys

import genvx_trial

_FUNCTIONS = (
    "get_next_parameter",
    "get_current_parameter",
    "report_intermediate_result",
    "report_final_result",
    "get_trial_id",
    "get_sequence_id",
    "get_experiment_id",
)
_RESERVED = ("default", "value", "step", "final")
_step = [0]
_this = sys.modules[__name__]


def _value(metric):
    """The number of a metric, and what else is in it; of a dict `default` counts, as in NNI."""
    if isinstance(metric, dict):
        more = {name: each for name, each in metric.items() if name not in _RESERVED}
        return metric["default"], more
    return metric, {}


def get_next_parameter():
    """Return the parameters of this trial."""
    return genvx_trial.parameters()


def get_current_parameter(tag=None):
    """Return the parameters of this trial, or the one with this name."""
    found = genvx_trial.parameters()
    return found if tag is None else found[tag]


def report_intermediate_result(metric):
    """Report how the trial does on the way."""
    value, more = _value(metric)
    genvx_trial.report(value, step=_step[0], final=False, **more)
    _step[0] += 1


def report_final_result(metric):
    """Report the result of the trial."""
    value, more = _value(metric)
    genvx_trial.report(value, final=True, **more)


def get_trial_id():
    """Return the id of the run."""
    return os.environ.get("GENVX_RUN_ID", "STANDALONE")


def get_sequence_id():
    """Return the number of the trial in its sweep, from 0."""
    return int(os.environ.get("GENVX_TRIAL", "0"))


def get_experiment_id():
    """Return the id of the sweep."""
    return os.environ.get("GENVX_SWEEP", "STANDALONE")


def _become_nni():
    """Load NNI itself where it is installed, and give it these functions."""
    from importlib import machinery, util

    ours = os.path.dirname(os.path.abspath(__file__))
    path = [each for each in sys.path if os.path.abspath(each or ".") != ours]
    spec = machinery.PathFinder.find_spec("nni", path)
    if spec is None or spec.loader is None:
        sys.modules["nni.trial"] = _this
        return
    functions = {name: globals()[name] for name in _FUNCTIONS}
    module = util.module_from_spec(spec)
    sys.modules["nni"] = module
    try:
        spec.loader.exec_module(module)
    except ImportError:  # it is there and broken; a trial needs no more than what is here
        sys.modules["nni"] = sys.modules["nni.trial"] = _this
        return
    vars(module).update(functions)
    try:
        import nni.trial as its_trial
    except ImportError:  # of a version that has no such module
        return
    vars(its_trial).update(functions)


_become_nni()
