"""Packages that tests install: of pure Python, made here."""

from __future__ import annotations

import zipfile
from pathlib import Path


def wheel(directory: Path, name: str, body: str) -> Path:
    """Make a wheel with one module."""
    directory.mkdir(exist_ok=True)
    about = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": body,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    path = directory / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as packed:
        for each, text in files.items():
            packed.writestr(each, text)
        packed.writestr(f"{about}/RECORD", "".join(f"{each},,\n" for each in files))
    return path


# A uv that makes what the real one makes, as far as runs see it, and notes each installation. The
# project's requirements say what it does.
UV = """\
#!/bin/sh
case $1 in
venv)
    for place; do :; done
    mkdir -p "$place/bin"
    printf '#!/bin/sh\\nexec {python} "$@"\\n' >"$place/bin/python"
    chmod +x "$place/bin/python"
    ;;
pip)
    echo "uv installs"
    echo "$*" >>"$NOTED"
    . ./requirements.txt
    ;;
esac
"""


def fake_uv(directory: Path, python: str) -> Path:
    """Make such a uv; return the directory that it is in."""
    directory.mkdir()
    (directory / "uv").write_text(UV.format(python=python))
    (directory / "uv").chmod(0o755)
    return directory
