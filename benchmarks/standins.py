"""Programs in place of the peers, for the smallest form of a benchmark: they do nothing, and say
what the peers say. So nothing has to be installed, and what is tested is the benchmark.
"""

from __future__ import annotations

from pathlib import Path

_NOTHING = "#!/bin/sh\n"
_PROGRAMS = {
    "pdsh": _NOTHING,
    "clush": _NOTHING,
    "rsync": _NOTHING,
    "guild": "#!/bin/sh\necho done 0123456789abcdef0123456789abcdef\n",
    # genv remote --hostfile FILE …
    "genv": '#!/bin/sh\nif [ "$1" = remote ]; then echo "on $(grep -c . "$3") hosts"; fi\n',
}
_PARALLEL_SSH = """
class ParallelSSHClient:
    def __init__(self, *args, **options):
        pass
    def run_command(self, command):
        return []
    def join(self, outputs):
        pass
"""


def leave(programs: Path, modules: Path) -> None:
    """Write them. programs: a directory of PATH; modules: one of PYTHONPATH."""
    for name, text in _PROGRAMS.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (modules / "pssh").mkdir()
    (modules / "pssh" / "clients.py").write_text(_PARALLEL_SSH)
