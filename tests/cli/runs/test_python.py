"""Runs with a Python that is made for them, on a real host whose own Python has neither pip nor
ensurepip, from packages that travel: nothing here asks a package index.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.conftest import run_genvx
from tests.helpers import Terminal, genvx_argv, genvx_env
from tests.local.python.wheels import wheel

pytestmark = pytest.mark.needs("openssh")


@pytest.fixture
def bare(short_tmp):
    """A Python like that of Debian without further packages: the same program and library, but for
    the missing ensurepip.
    """
    name = f"python3.{sys.version_info[1]}"
    library = Path(sysconfig.get_path("stdlib"))
    (short_tmp / "bare" / "bin").mkdir(parents=True)
    (short_tmp / "bare" / "lib" / name).mkdir(parents=True)
    for each in library.iterdir():
        if each.name not in ("ensurepip", "site-packages"):
            (short_tmp / "bare" / "lib" / name / each.name).symlink_to(each)
    program = short_tmp / "bare" / "bin" / "python3"
    shutil.copy(os.path.realpath(sys.executable), program)
    return program


def test_a_bare_host_gets_an_environment_once_and_all_inside_of_the_run_have_it(
    sandbox, bare, short_tmp
):
    lines = Path(sandbox.hostfile).read_text().splitlines()
    Path(sandbox.hostfile).write_text("".join(f"{line} python={bare}\n" for line in lines))
    code = short_tmp / "code"
    code.mkdir()
    (code / "requirements.txt").write_text("answering\n")
    (code / "setup.sh").write_text("export FROM_SETUP=yes\n")
    (code / ".genvx.toml").write_text("project = '.'\nwheels = 'wheels'\nsetup = '. ./setup.sh'\n")
    (code / "train.py").write_text("import answering, sys; print(answering.VALUE, sys.prefix)\n")
    wheel(code / "wheels", "answering", "VALUE = 42\n")

    def run(*words):
        return run_genvx("remote", "-q", "run", "-d", *words, cwd=code)

    first = run("-w", "--only-host", "gpu-server-1", "--", "python", "train.py")
    said = first.stdout.splitlines()
    assert first.returncode == 0, (first.stdout, first.stderr)
    version = sysconfig.get_python_version()
    assert said[1].startswith(f"genvx: installing requirements.txt, 1 wheel for Python {version}")
    assert "Successfully installed answering-1.0" in said
    value, place = said[-1].split()
    assert (value, place.rpartition("/")[0].endswith("/cache/genvx/envs")) == ("42", True)
    # What it is made with came once: both hosts have one cache.
    held = run("--hold", "5m", "--name", "held", "--", "python", "train.py")
    assert held.returncode == 0, held.stderr
    log = run_genvx("remote", "watch", "held").stdout
    assert log == f"42 {place}\n"
    inside = "import os, answering; print(answering.VALUE, os.environ['FROM_SETUP'])"
    entered = run_genvx("remote", "ssh", "held", "--", "python", "-c", inside)
    assert entered.stdout == "42 yes\n", entered.stderr
    # A login shell, whose start-up files set the PATH anew.
    shell = Terminal(genvx_argv("remote", "ssh", "held"), genvx_env())
    shell.expect("$ ")
    shell.line("python -c 'import answering; print(answering.VALUE * 2)'")
    shell.expect("84")
    shell.line("exit")
    shell.end()
    info = run_genvx("remote", "runs", "info", "held").stdout
    assert "setup:      . ./setup.sh\n" in info
    assert "python:     made for requirements.txt, 1 wheel\n" in info
    checked = run_genvx("remote", "check", cwd=code).stdout
    assert checked.count("environment for requirements.txt, 1 wheel: is there") == 2
    freed = run_genvx("remote", "admin", "clean", "--all", "-n").stdout
    # The one that is held by a run stays.
    assert "1 Python environment (" in freed.partition(";")[2], freed
