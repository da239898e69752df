"""Warnings of a monitor: one for each time that an environment idles."""

from __future__ import annotations

from genvx.core.notifying.notifier import Way, made
from genvx.core.value import replace
from genvx.watching.idlewarnings import IdleWarnings
from tests.watching.played import RAZ, gpu, lease, look, process, usage


def test_whoever_waits_for_so_long_is_told_once_each_time_that_an_environment_idles():
    soon = replace(made(Way.MAIL, ("ann",)), idle=3600.0)
    late = replace(made(Way.MAIL, ("bea",)), idle=7200.0)
    never = replace(made(Way.MAIL, ("eve",)), events=("ended",))
    warnings = IdleWarnings([soon, late, never])

    def told(hour: float, busy: int = 0) -> list[str]:
        used = {"GPU-0": usage(busy, process(RAZ, busy))}
        sight = look("h", hour, [gpu(0)], [lease("abcd", RAZ, "0", 0)], usage=used)
        return [f"{n.target[0]}: {m.text}" for n, m in warnings.take(sight)]

    text = "genvx: environment abcd has not used its GPUs for {} on h, GPU 0: held by raz"
    assert told(0) == told(0.9) == []
    assert told(1) == [f"ann: {text.format('1 h')}"]
    assert told(2.5) == [f"bea: {text.format('2 h 30 min')}"]
    assert told(3) == told(4, busy=50) == []
    assert [each[:3] for each in told(5.1)] == ["ann"]
