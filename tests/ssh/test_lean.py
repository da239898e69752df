"""Fabric is loaded without what only tests of it use, and nobody else sees that."""

import subprocess
import sys

_LOAD = """
import sys, threading
from genvx.ssh.lean import without_mock
{before}
with without_mock():
    import fabric
{after}
"""


def said(before="", after=""):
    code = _LOAD.format(before=before, after=after)
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stderr == ""
    return answer.stdout.split()


SHOWN = "print(*(x for x in ('asyncio', 'ssl', 'unittest', 'unittest.mock') if x in sys.modules))"


def test_nothing_that_is_for_tests_is_loaded():
    assert said(after=SHOWN) == []


def test_mocks_are_the_real_ones_afterwards():
    after = (
        "import invoke, unittest.mock\n"
        "made = invoke.MockContext(run=invoke.Result('done'))\n"
        "print(made.run('x').stdout, isinstance(made.run, unittest.mock.Mock))"
    )
    assert said(after=after) == ["done", "True"]


def test_where_another_thread_could_see_a_stand_in_there_is_none():
    before = "e = threading.Event(); threading.Thread(target=e.wait).start()"
    assert "unittest.mock" in said(before, f"{SHOWN}; e.set()")


def test_what_is_loaded_already_stays():
    before = "import unittest.mock; mock = unittest.mock"
    assert said(before, "print(sys.modules['unittest.mock'] is mock)") == ["True"]


def test_a_keeper_loads_nothing_that_is_for_tests():
    code = f"import sys, genvx.keeping.__main__; {SHOWN}"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (answer.stdout.split(), answer.stderr) == ([], "")
