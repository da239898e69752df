"""genvx remote cluster: Ray or Dask on leased GPUs of several hosts."""

from __future__ import annotations

from typing import Annotated

from genvx.cli.ask import runoptions, wants
from genvx.cli.ask.request import Request, assumed
from genvx.cli.ask.requesting import requesting
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Argument, Context, Exit, Option
from genvx.core.value import replace

Engine = Annotated[str, Argument(metavar="ray|dask", show_default=False, help="The engine.")]
Command = Annotated[
    list[str] | None,
    Argument(
        metavar="[-- CMD...]",
        help="Program that uses the cluster; it runs on the first host, and its end is the "
        "cluster's (default: hold it until Ctrl-C).",
        show_default=False,
    ),
]
Detached = Annotated[
    bool,
    Option("-d", "--detach", help="Return once it is ready, and leave it running."),
]
Python = Annotated[str | None, runoptions.python("engine and command find")]
Image = Annotated[str | None, runoptions.image("engine and command")]
RunTag = Annotated[list[str] | None, runoptions.run_tag("cluster")]


@requesting("id")
def cluster(
    context: Context,
    request: Request,
    engine: Engine,
    command: Command = None,
    nodes: runoptions.Nodes = 1,
    mixed: runoptions.Mixed = False,
    master_addr: runoptions.MasterAddr = None,
    detached: Detached = False,
    env: runoptions.Env = None,
    chdir: runoptions.Chdir = None,
    run_tag: RunTag = None,
    log_limit: runoptions.LogLimit = None,
    project: runoptions.Project = None,
    follow_links: runoptions.FollowLinks = False,
    yes: runoptions.Yes = False,
    python: Python = None,
    extra: runoptions.Extra = None,
    wheels: runoptions.Wheels = None,
    setup: runoptions.Setup = None,
    image: Image = None,
    runtime: runoptions.RuntimeOfRun = None,
    mount: runoptions.MountOfRun = None,
    no_load: wants.NoLoad = False,
) -> None:
    """Start a Ray or Dask cluster on leased GPUs.

    It is a run on --nodes hosts. The head is on the first one, and each host adds the GPUs that it
    leased (-g) and no others. Ray or Dask must be installed in the Python there: name one with
    --python, send a project that requires it, or take an image that has it (--image). Once all
    hosts are ready, the command runs on the first one, where ray.init() and dask's Client() find
    the cluster; genvx exits with its code.

    Without a command, the address of the cluster and of its page are printed, and the cluster is
    there until Ctrl-C. It ends with this genvx, unless --detach is given: then genvx runs stop RUN
    ends it. Only programs with its token (Ray) or its key (Dask) are let in.

    Example: genvx remote cluster ray -N 2 -g 4 --project . -- python train.py
    """
    from genvx.cli.runs.clustering import start
    from genvx.cli.runs.detach import Detach, Several
    from genvx.cli.runs.python import code_of
    from genvx.engines.plan import TAG, Plan
    from genvx.fleet.containers import container_of

    where = here(context)
    inside = container_of(image, runtime, mount, remote=where.remote)
    load, boxed = not no_load, inside is not None
    plan = Plan(engine, tuple(command or ()), attended=not detached)
    code = code_of(project, follow_links, yes, python, setup, wheels, extra, load=load, image=boxed)
    tags = list(dict.fromkeys([TAG, *(run_tag or ())]))
    asked = Detach.parse(chdir, None, None, env, tags, (), False, log_limit, code)
    asked = replace(asked, container=inside, checked=assumed(where, request, "the cluster"))
    raise Exit(start(where, request, plan, asked, Several(nodes, master_addr, mixed)))
