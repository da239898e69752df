"""The container in which the command of a run starts, and the words that start it there.

The words are those of the client of a runtime: podman, docker, or apptainer. The client stays until
the container ends, and exits with its code.
"""

from __future__ import annotations

import math
import posixpath
import re
from enum import Enum
from typing import TYPE_CHECKING, Optional

from genvx.core.text import is_identifier, is_printable, printable
from genvx.core.value import value
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_MOUNTS = 64
LONGEST_IMAGE = 1024
LONGEST_MOUNT = 8192
RUN_LABEL = "genvx.run"
"""The label of a container that says of which run it is."""
USER_LABEL = "genvx.user"
"""The label of a container that has the user id of the owner of its run."""
LEASE_DESCRIPTOR = 3
"""The descriptor by which podman's container holds the lease; it passes on what follows stderr."""
OWN_FAILURE = 125
"""The exit code of podman and docker when the command was never started."""
SHELL = ("sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash -l; exec sh -l")
"""The words of a login shell in a container: bash where the image has it."""

_PREFIX = "genvx-"

# In a container these have the values of the image, unless the user sets them. To the clients they
# say where images are and how a daemon is reached, so a client never gets the user's values: these
# are among its words instead, which others can see in ps.
_OF_CLIENTS = re.compile(
    r"PATH|HOME|USER|LOGNAME|TMPDIR|LD_.*|XDG_.*|CONTAINERS?_.*|DOCKER_.*|PODMAN_.*|BUILDAH_.*|"
    r"STORAGE_.*|NOTIFY_SOCKET|DBUS_.*|SSH_AUTH_SOCK|(HTTPS?|NO|FTP|ALL)_PROXY|"
    r"(APPTAINER|SINGULARITY)(ENV)?_.*|GO[A-Z]+|_?CRUN_.*|REGISTRY_AUTH_FILE",
    re.IGNORECASE,
)
# What separates the parts of a mount in the words of a runtime.
_SEPARATORS = re.compile(r'[,:"\n\r]')


class Runtime(str, Enum):
    """What starts containers, in the order in which one is looked for: rootless first."""

    PODMAN = "podman"
    DOCKER = "docker"
    APPTAINER = "apptainer"

    @property
    def programs(self) -> tuple[str, ...]:
        """The names that its client has."""
        return ("apptainer", "singularity") if self is Runtime.APPTAINER else (self.value,)


@value
class Mount:
    """A file or directory of the host, and where the container has it.

    source: counted from the home of the host, unless it is absolute. target: an absolute path.

    Raises:
        InvalidInput: a path cannot be mounted.
    """

    source: str
    target: str
    read_only: bool = False

    def __post_init__(self) -> None:
        for path in (self.source, self.target):
            if not path or _SEPARATORS.search(path) or "\0" in path or len(path) > LONGEST_MOUNT:
                raise InvalidInput(
                    f"{printable(path, 200)!r} cannot be mounted: a path has no comma, colon, "
                    "quote or line break"
                )
        if self.source == self.target == "/":
            raise InvalidInput(
                "a container has its own /: choose the directory in which the command starts "
                "with --chdir"
            )
        if not self.target.startswith("/") or posixpath.normpath(self.target).strip("/") == "":
            raise InvalidInput(
                f"a container has a mount at an absolute path below /, not at "
                f"{printable(self.target, 200)!r}"
            )


@value
class Container:
    """What was asked for. image: as the runtime names it. runtime: None is the first that the host
    has. mounts: on top of the directory of the run, and of the one in which its command starts.

    Raises:
        InvalidInput: a field makes no sense.
    """

    image: str
    runtime: Optional[Runtime] = None
    mounts: tuple[Mount, ...] = ()

    def __post_init__(self) -> None:
        if (
            not self.image
            or self.image.startswith("-")
            or not is_printable(self.image, LONGEST_IMAGE)
            or " " in self.image
        ):
            raise InvalidInput(
                "--image is the name of an image, such as docker.io/library/python:3.12, not "
                f"{printable(self.image, 100)!r}"
            )
        if len(self.mounts) > MOST_MOUNTS:
            raise InvalidInput(f"a container has at most {MOST_MOUNTS} mounts")

    def __str__(self) -> str:
        by = "" if self.runtime is None else f" by {self.runtime.value}"
        return f"{self.image}{by}"


def parse_mount(text: str) -> Mount:
    """Read A:B or A:B:ro.

    Raises:
        InvalidInput: it is none.
    """
    parts = text.split(":")
    if len(parts) not in (2, 3) or parts[2:] not in ([], ["ro"], ["rw"]):
        raise InvalidInput(
            f"--mount is A:B or A:B:ro, a path of the host and one of the container, not "
            f"{printable(text, 200)!r}"
        )
    return Mount(parts[0], parts[1], parts[2:] == ["ro"])


def parse_runtime(text: Optional[str]) -> Optional[Runtime]:
    """Read the name of a runtime; None for none.

    Raises:
        InvalidInput: there is no such runtime.
    """
    if text is None:
        return None
    try:
        return Runtime(text)
    except ValueError:
        names = ", ".join(each.value for each in Runtime)
        raise InvalidInput(f"--runtime is one of {names}, not {printable(text, 60)!r}") from None


@value
class Inside:
    """What a container gets of its host.

    name: of the container. run: the id of its run. uid, gid: of the owner. place: the absolute path
    at which the command starts. mounts: with absolute sources. devices: the UUIDs of the GPUs;
    without those that are simulated. variables: of the command. tty: whether there is a terminal.
    reads: whether the command reads our stdin, as it always does in a terminal. init: whether the
    runtime has a first process that passes signals on.
    """

    name: str
    run: str
    uid: int
    gid: int
    place: str
    mounts: tuple[Mount, ...]
    devices: tuple[str, ...]
    variables: Mapping[str, str]
    tty: bool = False
    reads: bool = False
    init: bool = True


def own_mounts(paths: Iterable[str]) -> tuple[Mount, ...]:
    """Mounts of directories at their own paths; one that lies below another is left out.

    Raises:
        InvalidInput: one of them cannot be mounted.
    """
    found: list[str] = []
    for path in sorted({posixpath.normpath(path) for path in paths}):
        if not any(path == each or path.startswith(f"{each}/") for each in found):
            found.append(path)
    return tuple(Mount(path, path) for path in found)


def words(
    runtime: Runtime, program: str, image: str, inside: Inside, argv: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the words that start a command in a container. program: the client's path."""
    if runtime is Runtime.APPTAINER:
        return _apptainer(program, image, inside, argv)
    found = [program, "run", "--rm", f"--name={inside.name}"]
    found += [f"--label={RUN_LABEL}={inside.run}", f"--label={USER_LABEL}={inside.uid}"]
    # The command is whole: one that the image would put before it is not wanted. Logs are ours.
    found += ["--entrypoint=", "--log-driver=none"]
    # The ports of a run are ports of its host; loaders of data need more shared memory than 64 MB.
    found += ["--network=host", "--ipc=host"]
    # Where there is SELinux: its labels would keep the container from what is mounted, and a new
    # label on somebody's home would keep others out.
    found.append("--security-opt=label=disable")
    if inside.init:
        found.append("--init")
    if inside.tty or inside.reads:
        found.append("--interactive")
    if inside.tty:
        found.append("--tty")
    if runtime is Runtime.PODMAN:
        found.append("--preserve-fds=1")
        if inside.uid:
            found.append("--userns=keep-id")
        found += [f"--device=nvidia.com/gpu={uuid}" for uuid in inside.devices]
    elif inside.devices:
        # The inner quotes are for docker, which reads the value as CSV.
        found.append(f'--gpus="device={",".join(inside.devices)}"')
    found += [f"--user={inside.uid}:{inside.gid}", f"--workdir={inside.place}"]
    for mount in inside.mounts:
        only = ",readonly" if mount.read_only else ""
        # Unlike -v, this makes no directory of root's where the source is missing.
        found += ["--mount", f"type=bind,source={mount.source},target={mount.target}{only}"]
    for name, text in sorted(inside.variables.items()):
        found.append(f"--env={name}={text}" if _OF_CLIENTS.fullmatch(name) else f"--env={name}")
    return (*found, image, *argv)


def _apptainer(program: str, image: str, inside: Inside, argv: tuple[str, ...]) -> tuple[str, ...]:
    found = [program, "exec"]
    if inside.devices:
        found.append("--nv")
    for mount in inside.mounts:
        only = ":ro" if mount.read_only else ""
        found += ["--bind", f"{mount.source}:{mount.target}{only}"]
    found += ["--pwd", inside.place]
    return (*found, image, *argv)


def hook_variables(runtime: Runtime, devices: tuple[str, ...]) -> dict[str, str]:
    """Return what keeps NVIDIA's hooks from adding devices to a container.

    Images for CUDA ask for all of them, and where a hook or runtime of NVIDIA's is set up for every
    container, they get them, whatever the flags say. devices: the UUIDs of those that it may have.
    """
    if runtime is Runtime.APPTAINER:
        return {}
    # Podman's flags need no hook; docker's are done by it.
    wanted = ",".join(devices) if runtime is Runtime.DOCKER else ""
    return {"NVIDIA_VISIBLE_DEVICES": wanted or "void"}


def client_variables(
    runtime: Runtime, around: Mapping[str, str], variables: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables of the client itself.

    around: those of the host. variables: of the command; the client passes them on by their names,
    so that nobody sees their values in ps.
    """
    if runtime is not Runtime.APPTAINER:
        return {**around, **{n: v for n, v in variables.items() if not _OF_CLIENTS.fullmatch(n)}}
    # It passes all variables on. Those with a prefix count more than those of the image.
    found = {**around, **{n: v for n, v in variables.items() if not _OF_CLIENTS.fullmatch(n)}}
    for name, text in variables.items():
        for prefix in ("APPTAINERENV_", "SINGULARITYENV_"):
            found[prefix + name] = text
    return found


def ending(
    runtime: Runtime, program: str, name: str, grace: float = 0.0
) -> Optional[tuple[str, ...]]:
    """Return the words that end a container; None where it ends with its client.

    grace: seconds between SIGTERM and SIGKILL; docker never gives any here.
    """
    if runtime is Runtime.APPTAINER:
        return None
    waits = (f"--time={math.ceil(grace)}",) if runtime is Runtime.PODMAN else ()
    return (program, "rm", "--force", *waits, name)


def signalling(program: str, name: str, signal: str = "TERM") -> tuple[str, ...]:
    """Return the words that send a signal to the command of a container; they fail if it is not
    running. signal: without SIG.
    """
    return (program, "kill", f"--signal={signal}", name)


def entering(
    program: str, name: str, argv: Iterable[str], *, place: str = "", tty: bool = False
) -> tuple[str, ...]:
    """Return the words that start something more in a container, with its user and its variables.

    place: the directory in which it starts there; empty for that of the container's command.
    """
    found = [program, "exec", "--interactive"]
    if tty:
        found += ["--tty", "--env=TERM"]
    if place:
        found.append(f"--workdir={place}")
    return (*found, name, *argv)


def name_of(run: str) -> str:
    """The name of a run's container. run: the name of the run's directory."""
    return f"{_PREFIX}{run}"


def one_name_of(environment: str, token: str) -> str:
    """The name of one of several containers of an environment. token: names it among these."""
    return f"{_PREFIX}{environment}.{token}"


def run_of(name: str) -> str:
    """The id of the run whose container has this name; empty if it is none of ours.

    A container beside runs has the id of its environment in place of it.
    """
    run = name[len(_PREFIX) :].partition(".")[0] if name.startswith(_PREFIX) else ""
    return run if is_identifier(run) else ""


def listing(program: str, uid: int) -> tuple[str, ...]:
    """Return the words that list the containers of a user's runs: a line each with its name."""
    return (program, "ps", f"--filter=label={USER_LABEL}={uid}", "--format={{.Names}}")


def having(program: str, image: str) -> tuple[str, ...]:
    """Return the words that succeed if an image is on the host."""
    return (program, "image", "inspect", "--format={{.Id}}", image)


def pulling(program: str, image: str) -> str:
    """What people type to have an image on the host."""
    return f"{posixpath.basename(program)} pull {image}"


def named(program: str, name: str) -> tuple[str, ...]:
    """Return the words that print the id of a container of a name, and nothing if it is gone."""
    return (program, "ps", "--all", "--quiet", f"--filter=name=^{name}$")
