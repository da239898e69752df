"""Options of a run: for verbs that start one, and for its gang of hosts.

A text that serves several verbs stands here once. Where a verb says it of something else than its
command, such as its trials, a function makes the option with that word. What `genvx run` takes only
with --detach gets these words before its text from `goes_with` (expanding.py).
"""

from __future__ import annotations

from typing import Annotated, Any

from genvx.cli.parse.declaring import Option


def chdir(what: str = "it") -> Any:
    """--chdir; what: that starts there."""
    return Option("-C", "--chdir", metavar="DIR", help=f"Start {what} in this directory.")


def project(text: str = "Run it in a copy of this directory, which is sent to the host.") -> Any:
    """--project."""
    return Option("--project", metavar="DIR", help=text)


def python(finds: str = "the command finds") -> Any:
    """--python; finds: who finds it, and the verb."""
    return Option(
        "--python",
        metavar="auto|none|PATH|conda:NAME",
        help=f"The Python that {finds}; auto makes an environment for what the project needs "
        "(default with a project).",
    )


def setup(command: str = "the command") -> Any:
    """--setup; command: before which it runs."""
    return Option(
        "--setup",
        metavar="LINE",
        help=f"A line for bash that runs before {command}, in the same shell.",
    )


def image(what: str = "the command") -> Any:
    """--image; what: that starts there."""
    text = f"Start {what} in a container of this image."
    return Option("--image", metavar="IMAGE", help=text)


def retries(
    text: str = "Start it again when it fails, N times at most, after pauses that grow.",
) -> Any:
    """--retries."""
    return Option("--retries", metavar="N", min=0, max=1000, help=text)


def env(whose: str = "the command") -> Any:
    """--env; whose: the variables are."""
    return Option("--env", metavar="NAME=VALUE", help=f"A variable for {whose}.")


def run_tag(besides: str) -> Any:
    """--run-tag; besides: the tag that each run of the verb has."""
    return Option("--run-tag", metavar="TAG", help=f"One more tag of the run, besides {besides}.")


def notify(when: str = "it ends, gets its GPUs, or idles") -> Any:
    """--notify; when: they are told."""
    return Option(
        "--notify",
        metavar="NAME|command:PATH|https://...|slack:https://...|mail:ADDRESS|none",
        help=f"Send a message when {when} (repeatable).",
    )


Nodes = Annotated[
    int,
    Option(
        "-N",
        "--nodes",
        metavar="N",
        min=1,
        max=4096,
        show_default=False,
        help="Remote: number of hosts to run on at once, as one job.",
    ),
]
MasterAddr = Annotated[
    str | None,
    Option(
        "--master-addr",
        metavar="ADDRESS",
        help="Address of node 0 for the other hosts (default: the one that genvx uses).",
    ),
]
Launcher = Annotated[
    str | None,
    Option(
        "--launcher",
        metavar="NAME",
        help="Start a process for each GPU: torchrun, accelerate, deepspeed or mpirun.",
    ),
]
Mixed = Annotated[bool, Option("--mixed", help="With --nodes: allow different models of GPU.")]
NoStdin = Annotated[
    bool, Option("--no-stdin", help="Give the command an empty input, as ssh -n does.")
]
Detached = Annotated[
    bool,
    Option("-d", "--detach", help="Let it go on when genvx ends; print the id of the run."),
]
Watched = Annotated[
    bool,
    Option("-w", "--watch", help="Show its output; Ctrl-C leaves it running."),
]
Chdir = Annotated[str | None, chdir()]
Project = Annotated[str | None, project()]
FollowLinks = Annotated[
    bool,
    Option(
        "--follow-links", help="With --project: send the files to which links outside of it lead."
    ),
]
Python = Annotated[str | None, python()]
Extra = Annotated[
    list[str] | None,
    Option(
        "--extra",
        metavar="NAME",
        help="With --project: also install this extra of it (repeatable).",
    ),
]
Wheels = Annotated[
    str | None,
    Option(
        "--wheels",
        metavar="DIR",
        help="With --project: install only packages of this directory, which are sent along.",
    ),
]
Setup = Annotated[str | None, setup()]
Image = Annotated[str | None, image()]
ImageOfShell = Annotated[str | None, image("the shell")]
RuntimeOfRun = Annotated[
    str | None,
    Option(
        "--runtime",
        metavar="podman|docker|apptainer",
        help="With --image: what starts the container (default: the first that the host has).",
    ),
]
MountOfRun = Annotated[
    list[str] | None,
    Option(
        "--mount",
        metavar="A:B[:ro]",
        help="With --image: have the path A of the host as B in the container (repeatable).",
    ),
]
Yes = Annotated[bool, Option("-y", "--yes", help="With --project: send it, however large it is.")]
Keep = Annotated[
    str | None,
    Option(
        "--hold",
        metavar="TIME[:on-failure]",
        help="Keep the GPUs for this time after its end.",
    ),
]
Retries = Annotated[int | None, retries()]
Env = Annotated[list[str] | None, env()]
RunTag = Annotated[list[str] | None, Option("--run-tag", metavar="TAG", help="A tag of the run.")]
Notify = Annotated[list[str] | None, notify()]
Tty = Annotated[bool, Option("--tty", help="Run it in a terminal; watch -i shows it.")]
LogLimit = Annotated[
    str | None,
    Option(
        "--log-limit", metavar="SIZE", help="Keep only this much of the end of its output (1G)."
    ),
]
DebugKeyFile = Annotated[
    list[str] | None,
    Option(
        "--debug-key-file",
        metavar="K.pub",
        help="The owner of this public key can log in to the run (repeatable).",
    ),
]
DebugPort = Annotated[
    int | None,
    Option(
        "--debug-port",
        metavar="PORT",
        min=1,
        max=65535,
        help="With --debug-key-file: the port to log in at (default: any that is free).",
    ),
]
DebugBind = Annotated[
    str | None,
    Option(
        "--debug-bind",
        metavar="ADDRESS",
        help="With --debug-key-file: listen on this address of the host only (default: all).",
    ),
]
