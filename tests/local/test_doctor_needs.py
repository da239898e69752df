"""What genvx doctor says of clocks, disks and Pythons."""

from __future__ import annotations

import subprocess
import sys

import pytest

from genvx.core.clocks import of_clock
from genvx.core.finding import ERROR, OK, WARNING
from genvx.local.doctor.needs import of_python, of_room

S = 10**9


@pytest.mark.parametrize(
    ("theirs", "severity", "result"),
    [
        (100 * S, OK, "within 2 s of this machine's"),
        (104 * S, OK, "within 2 s of this machine's"),
        # The answer took five seconds, and the clock may have been read at either end of them.
        (106 * S, OK, "within 2 s of this machine's"),
        (98 * S + 1, OK, "within 2 s of this machine's"),
        (110 * S, WARNING, "5 s ahead of this machine's"),
        (95 * S, WARNING, "5 s behind this machine's"),
        (3705 * S, ERROR, "1 h ahead of this machine's"),
    ],
)
def test_only_what_the_way_there_and_back_cannot_explain_is_a_wrong_clock(theirs, severity, result):
    found = of_clock(100 * S, theirs, 105 * S)
    assert (found.severity, found.result) == (severity, result)


def test_one_disk_is_one_line_also_for_directories_that_are_not_there_yet(tmp_path):
    (found,) = of_room({"runs": f"{tmp_path}/a/b", "environments": f"{tmp_path}/c"})
    assert found.result.startswith("runs and environments: ")
    assert found.result.endswith(f" free in {tmp_path}/a/b")


@pytest.mark.needs("root", "namespaces")
@pytest.mark.parametrize(
    ("options", "words"), [("size=1m", "free in"), ("size=1m,ro", "you cannot write in")]
)
def test_a_disk_that_is_full_or_read_only_is_an_error(tmp_path, options, words):
    code = (
        "import sys; from genvx.local.doctor.needs import of_room\n"
        "for f in of_room({'runs': sys.argv[1] + '/x'}): print(f.severity.value, f.result)"
    )
    mounted = f'mount -t tmpfs -o {options} tmpfs "$1" && exec "$2" -c "$3" "$1"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mounted, "sh", str(tmp_path), sys.executable, code],
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("error runs: "), done.stderr
    assert words in done.stdout


def test_a_host_whose_commands_find_no_python3_is_said(tmp_path):
    assert [each.severity for each in of_python({"PATH": str(tmp_path)})] == [OK, WARNING]
