"""Which signals are due when processes are ended."""

from __future__ import annotations

from signal import SIGCONT, SIGHUP, SIGKILL, SIGTERM

from genvx.core.escalation import GRACE, after_hangup, due, politely

ASKED, KILLED = (SIGTERM, SIGHUP, SIGCONT), (SIGKILL,)


def sent(steps, *moments):
    """What is due at these moments, one after the other."""
    return [
        due(steps, now, before) for now, before in zip(moments, (None, *moments[:-1]), strict=True)
    ]


def test_processes_are_asked_once_and_killed_again_and_again_after_the_grace():
    moments = (0.0, 0.1, GRACE - 0.1, GRACE, GRACE + 0.1)
    assert sent(politely(), *moments) == [ASKED, (), (), KILLED, KILLED]


def test_what_got_a_hangup_is_asked_after_a_grace_and_killed_after_another():
    moments = (0.0, GRACE, GRACE + 0.1, 2 * GRACE)
    assert sent(after_hangup(), *moments) == [(), (SIGTERM,), (), KILLED]


def test_who_looks_again_only_after_the_grace_kills_at_once():
    assert sent(politely(), 0.0, 5 * GRACE) == [ASKED, KILLED]
