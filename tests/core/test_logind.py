"""What a process needs in order to outlive the logout of its user."""

from __future__ import annotations

import pytest

from genvx.core.logind import Logind, Outliving, needed

NOTHING, SCOPE, LINGERING = Outliving.NOTHING, Outliving.SCOPE, Outliving.LINGERING


@pytest.mark.parametrize(
    ("in_session", "kills", "only", "spared", "lingers", "what"),
    [
        (True, False, (), (), False, NOTHING),
        (True, False, (), (), True, NOTHING),
        (True, None, (), (), False, NOTHING),
        (True, True, (), (), False, LINGERING),
        (True, True, (), (), True, SCOPE),
        (True, True, (), ("root",), False, LINGERING),
        (True, True, (), ("root", "raz"), False, NOTHING),
        (True, True, ("eve",), (), False, NOTHING),
        (True, True, ("raz",), (), False, LINGERING),
        (True, True, ("raz",), ("raz",), False, NOTHING),
        (False, True, (), (), False, NOTHING),
        (False, None, (), (), False, NOTHING),
    ],
)
def test_what_is_needed_follows_from_what_logind_says(
    in_session, kills, only, spared, lingers, what
):
    assert needed(Logind("raz", in_session, kills, only, spared, lingers)) is what
