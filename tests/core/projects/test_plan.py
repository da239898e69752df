"""Plans for a directory, and lists of names, as the two ends tell each other."""

from __future__ import annotations

import pytest

from genvx.core.projects.manifest import DIRECTORY, FILE, Entry, Manifest
from genvx.core.projects.plan import Known, Plan, names_to_bytes, read_names
from genvx.core.wire.plain import Malformed, dumps

TREE = Manifest([Entry(b"d", DIRECTORY, 0o755, 1), Entry(b"d/\xff\n", FILE, 0o644, 1)])
ODD = (b"a\nb", b"d/", b"not-\xff")


def test_a_plan_survives_the_wire():
    plan = Plan((1,), (), ODD)
    assert Plan.read(plan.to_bytes(TREE), TREE) == plan


def test_known_names_survive_the_wire_and_spare_what_could_not_be_read():
    known = Known({b"work": True, b"work/\xff": False}, (b"work/closed",))
    assert Known.read(known.to_bytes()) == known
    assert known.spares(b"work/closed/x")
    assert not known.spares(b"work/closed-not/x")


@pytest.mark.parametrize("name", ["/etc", "../x", "a/../b", "", "a//b", ".git/config", "a\0b"])
def test_a_name_that_leads_out_is_refused(name):
    with pytest.raises(Malformed):
        read_names(dumps([name]))
    with pytest.raises(Malformed):
        Known.read(dumps([[name], []]))
    with pytest.raises(Malformed):
        Plan.read(dumps({"changed": "00", "lacking": "", "extra": [name]}), TREE)


@pytest.mark.parametrize("data", [b"", b"[[", b"\xff", b"{}", b"[1]", b"[[]]", b"null"])
def test_what_is_no_list_of_names_is_refused(data):
    for read in (read_names, Known.read, lambda data: Plan.read(data, TREE)):
        with pytest.raises(Malformed):
            read(data)


def test_names_survive_the_wire():
    assert read_names(names_to_bytes(ODD)) == ODD
