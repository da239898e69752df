"""Podman as tests have it: with images and containers of its own, and an image without a registry.

Machines of CI have cgroups that crun refuses. So podman runs without cgroups, and in a mount
namespace that does not show them. Its locks are files of its own: those in shared memory are one
set for all podmans of a user, and one with a new directory frees the locks of all others.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

IMAGE = "localhost/genvx-test:1"
_PROGRAMS = ("dash", "sh", "sleep", "env", "id")
_STORAGE = '[storage]\ndriver = "vfs"\ngraphroot = "{root}/store"\nrunroot = "{root}/run"\n'
_CONTAINERS = """\
[containers]
cgroups = "disabled"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
lock_type = "file"
tmp_dir = "{root}/tmp"
"""
_CLIENT = """\
#!/bin/sh
CONTAINERS_CONF={root}/containers.conf CONTAINERS_STORAGE_CONF={root}/storage.conf
PATH={path}
export CONTAINERS_CONF CONTAINERS_STORAGE_CONF PATH
exec unshare --mount sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"' sh {podman} "$@"
"""


class Podman:
    """A podman of a test's own below `root`; `programs` goes onto the PATH."""

    def __init__(self, root: Path) -> None:
        self.root, self.programs = root, root / "bin"
        self.client = self.programs / "podman"
        self.programs.mkdir(parents=True)
        (root / "storage.conf").write_text(_STORAGE.format(root=root))
        (root / "containers.conf").write_text(_CONTAINERS.format(root=root))
        how = {"root": root, "podman": shutil.which("podman"), "path": os.environ["PATH"]}
        self.client.write_text(_CLIENT.format(**how))
        self.client.chmod(0o755)

    def __call__(self, *words: str) -> str:
        """Run podman; return what it prints."""
        done = subprocess.run(
            [self.client, *words], stdout=subprocess.PIPE, text=True, check=True, timeout=60
        )
        return done.stdout

    def make_image(self) -> None:
        """Make an image of a shell and a few programs of this machine. Its own entrypoint fails."""
        files = set()
        for program in map(shutil.which, _PROGRAMS):
            assert program is not None, "every Linux has these"
            files.add(program)
            libraries = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
            files.update(word for word in libraries.split() if word.startswith("/"))
        archive = self.root / "image.tar"
        names = [each.lstrip("/") for each in sorted(files)]
        how = ["--create", "--dereference", "--directory=/", "--transform=s,^usr/bin,bin,"]
        subprocess.run(["tar", *how, "--file", archive, *names], check=True)
        self("import", "--quiet", '--change=ENTRYPOINT ["/bin/none"]', str(archive), IMAGE)

    def names(self) -> list[str]:
        """The names of all containers."""
        return self("ps", "--all", "--format={{.Names}}").split()

    def clear(self) -> None:
        """End all containers."""
        # Others remove theirs at the same time.
        self("rm", "--all", "--force", "--time=0", "--ignore")

    def end(self) -> None:
        """End all containers, and delete what podman has stored."""
        self.clear()
        self("rmi", "--all", "--force")


@contextlib.contextmanager
def own_podman() -> Iterator[Podman]:
    """A podman with the image. Its paths are short: it has sockets there."""
    root = Path(tempfile.mkdtemp(prefix="genvx-p-", dir="/var/tmp"))
    podman = Podman(root / "p")
    try:
        podman.make_image()
        yield podman
    finally:
        podman.end()
        shutil.rmtree(root, ignore_errors=True)


@functools.cache
def works() -> bool:
    """Whether podman starts containers here."""
    if not all(map(shutil.which, ("podman", "dash", "unshare"))) or os.geteuid():
        return False
    with tempfile.TemporaryDirectory(prefix="genvx-podman-") as root:
        podman = Podman(Path(root, "p"))
        try:
            podman.make_image()
            said = podman(
                "run", "--rm", "--network=host", "--entrypoint=", IMAGE, "dash", "-c", "echo hi"
            )
            return said == "hi\n"
        except (OSError, subprocess.SubprocessError):
            return False
        finally:
            podman.end()
