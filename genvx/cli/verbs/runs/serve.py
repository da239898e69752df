"""genvx serve: a run that answers on a port."""

from __future__ import annotations

from genvx.cli.ask import options, runoptions, serveoptions, wants
from genvx.cli.ask.request import Request, assumed
from genvx.cli.ask.requesting import requesting
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context, Exit
from genvx.core.runs.service import MARK, TAG, Service
from genvx.core.value import replace
from genvx.errors import InvalidInput


@requesting("id")
def serve(
    context: Context,
    request: Request,
    command: options.Command = None,
    port: serveoptions.Port = None,
    ready: serveoptions.Ready = None,
    local_port: serveoptions.Local = None,
    detached: serveoptions.Detached = False,
    retries: serveoptions.Retries = 3,
    env: runoptions.Env = None,
    chdir: runoptions.Chdir = None,
    run_tag: serveoptions.RunTag = None,
    notify: runoptions.Notify = None,
    log_limit: runoptions.LogLimit = None,
    project: runoptions.Project = None,
    follow_links: runoptions.FollowLinks = False,
    yes: runoptions.Yes = False,
    python: runoptions.Python = None,
    extra: runoptions.Extra = None,
    wheels: runoptions.Wheels = None,
    setup: runoptions.Setup = None,
    image: runoptions.Image = None,
    runtime: runoptions.RuntimeOfRun = None,
    mount: runoptions.MountOfRun = None,
    no_load: wants.NoLoad = False,
    json: options.Json = False,
) -> None:
    """Run a server that holds GPUs, and open a tunnel to it.

    The server is a run: it goes on when genvx ends, and genvx runs, watch and logs show it. The
    command finds its port in $PORT, and {port} in the command stands for it. Once the server
    answers, its address here is printed. Ctrl-C closes the tunnel and leaves the server running;
    genvx tunnel RUN opens it again, and genvx runs stop RUN ends the server. Each such run has the
    tag "serve".

    It starts again when it fails (--retries). Everybody on its host can connect to it there.

    Example: genvx remote serve -g 1 -- vllm serve facebook/opt-125m --host 127.0.0.1 --port {port}
    """
    from genvx.cli.runs.detach import Detach, notifiers
    from genvx.cli.runs.python import code_of
    from genvx.cli.runs.serving import serve as start
    from genvx.fleet.containers import container_of

    where = here(context)
    if not command:
        raise InvalidInput(
            "no command to run; write it after --, as in: "
            f"genvx serve -g 1 -- python -m http.server --bind 127.0.0.1 {MARK}"
        )
    if local_port is not None and (detached or not where.remote):
        raise InvalidInput("--local-port is for the tunnel to a server on another host")
    service = Service(port or 0, ready or "")
    inside = container_of(image, runtime, mount, remote=where.remote)
    load, boxed = not no_load, inside is not None
    code = code_of(project, follow_links, yes, python, setup, wheels, extra, load=load, image=boxed)
    tags = list(dict.fromkeys([TAG, *(run_tag or ())]))
    told = notifiers(notify, where.note)
    asked = Detach.parse(chdir, None, retries, env, tags, told, False, log_limit, code)
    checked = assumed(where, request, "the server")
    asked = replace(asked, service=service, container=inside, checked=checked)
    raise Exit(start(where, request, command, asked, local_port, leave=detached, json=json))
