"""genvx run: run a command that holds GPUs."""

from __future__ import annotations

from genvx.cli.ask import options, runoptions, wants
from genvx.cli.ask.expanding import goes_with
from genvx.cli.ask.request import Request, assumed
from genvx.cli.ask.requesting import requesting
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context, Exit, parameters_of
from genvx.core.value import replace
from genvx.errors import InvalidInput

# The parameters of what only a run has, which its host keeps.
_OF_A_RUN = (
    "watched",
    "chdir",
    "keep",
    "retries",
    "env",
    "run_tag",
    "notify",
    "tty",
    "log_limit",
    "project",
    "follow_links",
    "python",
    "extra",
    "wheels",
    "setup",
    "yes",
    "json",
    "debug_key_file",
    "debug_port",
    "debug_bind",
)


@requesting()
@goes_with("--detach", _OF_A_RUN)
def run(
    context: Context,
    request: Request,
    command: options.Command = None,
    nodes: runoptions.Nodes = 1,
    mixed: runoptions.Mixed = False,
    launcher: runoptions.Launcher = None,
    master_addr: runoptions.MasterAddr = None,
    no_stdin: runoptions.NoStdin = False,
    detached: runoptions.Detached = False,
    watched: runoptions.Watched = False,
    chdir: runoptions.Chdir = None,
    keep: runoptions.Keep = None,
    retries: runoptions.Retries = None,
    env: runoptions.Env = None,
    run_tag: runoptions.RunTag = None,
    notify: runoptions.Notify = None,
    tty: runoptions.Tty = False,
    log_limit: runoptions.LogLimit = None,
    project: runoptions.Project = None,
    follow_links: runoptions.FollowLinks = False,
    python: runoptions.Python = None,
    extra: runoptions.Extra = None,
    wheels: runoptions.Wheels = None,
    setup: runoptions.Setup = None,
    image: runoptions.Image = None,
    runtime: runoptions.RuntimeOfRun = None,
    mount: runoptions.MountOfRun = None,
    yes: runoptions.Yes = False,
    no_load: wants.NoLoad = False,
    json: options.Json = False,
    debug_key_file: runoptions.DebugKeyFile = None,
    debug_port: runoptions.DebugPort = None,
    debug_bind: runoptions.DebugBind = None,
) -> None:
    """Run a command that holds GPUs.

    It holds them until it ends; genvx exits with its code. With --nodes it runs on several hosts,
    all or none, with one model of GPU. There it has MASTER_ADDR, MASTER_PORT, NODE_RANK, NNODES,
    NPROC_PER_NODE, WORLD_SIZE and GENVX_NODES, and the first failure ends all. With --launcher
    the command is a script and its arguments, or for mpirun a program.

    A remote command in the background (&) does not read what is typed, and is not stopped for it.

    With --detach it is a run: it belongs to its host and goes on when genvx ends. Its id is
    printed, and genvx runs, watch and logs show it. --wait waits in line there; with --nodes
    it waits here until it has all hosts. A local run starts in this directory. With --project it
    starts in its own copy of that directory (--chdir names a directory of it), with a Python
    environment that has its requirements.

    With --image the command starts in a container, which has only these GPUs, and the directory in
    which it starts at the same path.

    Example: genvx run --gpus 1 -- python train.py
    """
    from genvx.cli.ask import debugport
    from genvx.cli.runs.detach import Detach, Several, notifiers, start_detached
    from genvx.cli.runs.python import code_of
    from genvx.fleet.containers import container_of

    where = here(context)
    if not command:
        raise InvalidInput(
            "no command to run; write it after --, as in: genvx run -g 1 -- python x.py"
        )
    if launcher is not None:
        from genvx.core.launchers import launched

        command = list(launched(launcher, tuple(command)))
    more: dict[str, str] = {}
    if launcher == "mpirun" and nodes > 1:
        from genvx.engines.plan import variables_for_mpirun

        more = variables_for_mpirun()
    if not detached:
        _require_nothing_of_a_run(context)
    # Before anything reads: the local command inherits our stdin, and `stream` reads it.
    if nodes > 1 and not where.remote:
        raise InvalidInput("--nodes is for the hosts of genvx remote")
    if no_stdin:
        from genvx.fleet.terminals import stdin

        stdin.close()
    inside = container_of(image, runtime, mount, remote=where.remote)
    load, boxed = detached and not no_load, inside is not None
    code = code_of(project, follow_links, yes, python, setup, wheels, extra, load=load, image=boxed)
    told = notifiers(notify, where.note) if detached else ()
    asked = Detach.parse(chdir, keep, retries, env, run_tag, told, tty, log_limit, code)
    if json and watched:
        raise InvalidInput("give either --json or --watch: --watch prints the output of the run")
    asked = replace(asked, variables={**asked.variables, **more})
    if inside is not None:
        asked = replace(asked, container=inside)
    port = debugport.asked(debug_key_file, debug_port, debug_bind)
    if port is not None:
        asked = replace(asked, debug_port=port, key=debugport.key_beside(debug_key_file))
    checked = assumed(where, request, "the command")
    if detached:
        asked = replace(asked, checked=checked)
        several = Several(nodes, master_addr, mixed) if nodes > 1 else None
        raise Exit(
            start_detached(where, request, command, asked, several, watched=watched, json=json)
        )
    if nodes > 1:
        from genvx.cli.holds.gang import run_gang

        several = Several(nodes, master_addr, mixed)
        raise Exit(run_gang(where, request, several, command, more, inside, checked=checked))
    if where.remote:
        from genvx.cli.holds.remote import run_remotely

        raise Exit(run_remotely(where, request, command, inside, checked=checked))
    from genvx.cli.holds.local import locally

    raise Exit(locally(where, request, command, prompted=False, container=inside, checked=checked))


def _require_nothing_of_a_run(context: Context) -> None:
    """Raise InvalidInput if an option was typed that has no meaning without --detach."""
    given = []
    for each in parameters_of(run):
        if each.name in _OF_A_RUN and each.name in context.typed:
            given.append(max(each.opts, key=len))
    if given:
        goes = "goes" if len(given) == 1 else "go"
        raise InvalidInput(
            f"{' and '.join(given)} {goes} with --detach; -d -w also shows the output until it ends"
        )
