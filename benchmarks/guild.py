"""Guild AI in an environment of its own, and a remote of it that is one of the world's hosts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.form import smallest
from benchmarks.world import ROOT, World

_DIRECTORY = ROOT / ".venv" / "guild"
# Guild imports pkg_resources, which newer setuptools do not have any more.
# By which it reaches a bucket.
_AWS = ROOT / ".venv" / "awscli"
_PACKAGES = ("guildai==0.9.0", "wheel", "setuptools<60")


def install() -> None:
    """Install Guild and the AWS CLI as a user would, once."""
    if not (_DIRECTORY / "bin" / "guild").exists():
        subprocess.run([sys.executable, "-m", "venv", _DIRECTORY], check=True)
        subprocess.run([_DIRECTORY / "bin" / "pip", "install", "-q", *_PACKAGES], check=True)
    if not (_AWS / "bin" / "aws").exists():
        subprocess.run([sys.executable, "-m", "venv", _AWS], check=True)
        subprocess.run([_AWS / "bin" / "pip", "install", "-q", "awscli"], check=True)


class Guild:
    """Guild's command line, in a project whose operations do nothing, or sleep."""

    remote = "bench"

    def __init__(self, place: World, host: str) -> None:
        self.project = place.directory / "guild-project"
        self.project.mkdir(exist_ok=True)
        (self.project / "nothing.py").write_text("print('done')\n")
        (self.project / "sleeper.py").write_text("import time\ntime.sleep(600)\n")
        (self.project / "guild.yml").write_text(
            "nothing:\n  main: nothing\nsleeper:\n  main: sleeper\n"
        )
        settings = Path(place.environ["HOME"]) / ".guild"
        settings.mkdir(exist_ok=True)
        (settings / "config.yml").write_text(
            f"remotes:\n  {self.remote}:\n    type: ssh\n    host: {host}\n"
            f"    venv-activate: . {_DIRECTORY}/bin/activate\n"
            f"    guild-home: {place.directory}/guild-home\n"
        )
        path = place.environ["PATH"]
        if not smallest():
            path = f"{_DIRECTORY}/bin:{path}:{_AWS}/bin"
        self.environ = {**place.environ, "PATH": path}

    def command(self, verb: str, *words: str) -> list[str]:
        """The words of a verb of Guild's on the remote; `-C` is the project."""
        return ["guild", "-C", str(self.project), verb, "-r", self.remote, *words]
