"""What the command of a genvx trial may import: its parameters, and how it reports results.

    import genvx_trial

    rate = genvx_trial.parameters().get("lr", 0.01)
    for step in range(10):
        genvx_trial.report(train(rate), step=step)
    genvx_trial.report(evaluate(), final=True)

It needs only the standard library, and Python 3.6. Outside of a trial there are no parameters, and
reports are printed.
"""

import json
import os


def parameters():
    """Return the parameters of this trial, by name; none outside of a sweep."""
    return json.loads(os.environ.get("GENVX_PARAMETERS") or "{}")


def report(value, step=None, final=None, **more):
    """Report a result: the number that the sweep optimizes.

    step: how far the trial is, such as the epoch. final: whether this is the result of the trial;
    by default it is where no step is given. more: other numbers or short texts to keep with it.

    Raises:
        ValueError: the value is not a number.
    """
    line = dict(more, value=float(value))
    if step is not None:
        line["step"] = int(step)
    line["final"] = step is None if final is None else bool(final)
    # NaN and Infinity are written as Python does; a loss may become that.
    text = json.dumps(line) + "\n"
    path = os.environ.get("GENVX_REPORT")
    if not path:
        print(text, end="", flush=True)
        return
    # One write to a file that is only appended to: lines of several processes do not mix.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, text.encode("ascii"))
    finally:
        os.close(descriptor)
