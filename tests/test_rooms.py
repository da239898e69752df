"""The public face, and that the rooms stay apart."""

from __future__ import annotations

import subprocess
import sys

import pytest

import genvx
from tests.conftest import ROOT


def python(code):
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_importing_genvx_loads_nothing_heavy():
    loaded = python(
        "import sys, genvx; genvx.NoCapacity; genvx.activate; genvx.Fleet\n"
        "heavy = {'fabric', 'paramiko', 'typer', 'filelock', 'pynvml'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert loaded == "[]\n"


@pytest.mark.parametrize("name", genvx.__all__)
def test_every_public_name_is_there_and_documented(name):
    value = getattr(genvx, name)
    if name != "__version__":
        assert value.__doc__
        assert value.__doc__.strip()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError):
        _ = genvx.nonsense
    assert set(dir(genvx)) == set(genvx.__all__)


def test_local_questions_do_not_load_what_only_hosts_need():
    loaded = python(
        "import sys, io, contextlib, os\n"
        "os.environ.update(GENVX_SIMULATE='1xA100-80GB', GENVX_STATE_DIR='/var/tmp')\n"
        "from genvx.cli.main import run\n"
        "with contextlib.redirect_stdout(io.StringIO()): run(['devices', '--json'])\n"
        "print(sorted({'fabric', 'paramiko', 'filelock', 'pynvml'} & set(sys.modules)))"
    )
    assert loaded == "[]\n"
