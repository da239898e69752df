"""The verbs of genvx, in the order of its help: where each is, and what it is for."""

from __future__ import annotations

from genvx.core.value import value

# The headings under which the help lists verbs.
LOOK, RUNS, HOLD, SET_UP, MANY = "Look", "Runs", "Hold GPUs", "Set up", "Many hosts"


@value
class Entry:
    """A verb or a group of verbs; its module is loaded when it is typed.

    name: what is typed. module: below genvx.cli.verbs; it has a function, or a group, of this name.
    line: the first line of its help. here: as genvx NAME. remotely: as genvx remote NAME. runs: it
    ends with a command, and options of genvx end where that begins. divided: they end at `--`,
    behind which the command is. rare: the help of genvx names it without a line, so that it fits a
    screen.
    """

    name: str
    module: str
    section: str
    line: str
    here: bool = True
    remotely: bool = True
    runs: bool = False
    divided: bool = False
    hidden: bool = False
    rare: bool = False

    @property
    def attribute(self) -> str:
        """The name in its module. A verb that Python has a word for ends with an underscore."""
        return {"help": "help_"}.get(self.name, self.name.replace("-", "_"))


VERBS = (
    Entry("devices", "look.devices", LOOK, "Show the GPUs and who has them"),
    Entry("envs", "look.envs", LOOK, "Show the active environments"),
    Entry(
        "status",
        "look.status",
        LOOK,
        "Show this environment, or this host when there is none",
        remotely=False,
    ),
    # Another one: its argument is the name of a remote.
    Entry(
        "status",
        "look.remote_status",
        LOOK,
        "Show a line for each host, or whether a remote is available",
        here=False,
    ),
    Entry(
        "queue", "look.queue", LOOK, "Show who waits for GPUs, in the order of the line, and why"
    ),
    Entry("explain", "look.explain", LOOK, "Show where a request would go, and why not elsewhere"),
    Entry(
        "policy", "look.policy", LOOK, "Show what the administrator allows, to everybody and to you"
    ),
    Entry("doctor", "look.doctor", LOOK, "Show what is wrong, one line each, and what to do"),
    Entry(
        "check",
        "look.doctor",
        LOOK,
        "Show what is wrong, as doctor does; Guild's name for it",
        hidden=True,
    ),
    Entry("usage", "look.usage", LOOK, "Show who used GPUs for how long, and how well"),
    Entry("smi", "look.smi", LOOK, "Show an environment's GPUs and processes"),
    Entry(
        "runs",
        "runs.group",
        RUNS,
        "Runs: commands that go on when genvx ends (genvx run --detach)",
    ),
    Entry(
        "watch", "runs.watch", RUNS, "Show the output of a run until it ends; exit with its code"
    ),
    Entry(
        "logs",
        "runs.watch",
        RUNS,
        "Show the output of a run so far; exit with its code if it has ended",
    ),
    Entry(
        "sweep",
        "runs.sweep",
        RUNS,
        "Run a command with many different parameters, and find the best",
        runs=True,
    ),
    Entry(
        "sweeps",
        "runs.sweeps",
        RUNS,
        "Sweeps: list, show, stop, resume and export them",
        remotely=False,
        rare=True,
    ),
    Entry(
        "ssh",
        "runs.ssh",
        RUNS,
        "Open a shell inside of a live run, or run a command there",
        divided=True,
    ),
    Entry("tunnel", "runs.tunnel", RUNS, "Open tunnels from this machine to ports of a run"),
    Entry(
        "serve",
        "runs.serve",
        RUNS,
        "Run a server that holds GPUs, and open a tunnel to it",
        runs=True,
    ),
    Entry(
        "cluster",
        "runs.cluster",
        RUNS,
        "Start a Ray or Dask cluster on leased GPUs",
        here=False,
        divided=True,
    ),
    Entry(
        "activate", "hold.activate", HOLD, "Open a shell that holds GPUs until it ends", runs=True
    ),
    Entry("run", "hold.run", HOLD, "Run a command that holds GPUs", runs=True),
    Entry("acquire", "hold.acquire", HOLD, "Hold GPUs for a time, without a shell"),
    Entry("release", "hold.release", HOLD, "End one of your environments, by id or name"),
    Entry("attach", "hold.attach", HOLD, "Add GPUs to an environment"),
    Entry("detach", "hold.detach", HOLD, "Remove GPUs from an environment: all, or those named"),
    Entry("lock", "hold.lock", HOLD, "Run a command when its turn on the GPUs comes", runs=True),
    Entry(
        "deactivate",
        "hold.deactivate",
        HOLD,
        "Leave the activated shell and give its GPUs back",
        remotely=False,
    ),
    Entry(
        "shell-init",
        "setup.shell_init",
        SET_UP,
        "Print what makes activate change your shell",
        remotely=False,
        rare=True,
    ),
    Entry(
        "config",
        "setup.config",
        SET_UP,
        "Defaults of genvx activate in this directory",
        remotely=False,
    ),
    Entry(
        "ssh-config",
        "setup.ssh_config",
        SET_UP,
        "Print an ssh entry that leads into a run or an environment",
        rare=True,
    ),
    Entry(
        "keygen",
        "setup.keygen",
        SET_UP,
        "Make a pair of SSH keys, for the debug port of a run",
        remotely=False,
        rare=True,
    ),
    # ssh calls it as a ProxyCommand; people do not type it.
    Entry(
        "ssh-proxy",
        "setup.ssh_proxy",
        SET_UP,
        "Connect stdin and stdout to an environment or a run: the ProxyCommand of an entry",
        here=False,
        hidden=True,
    ),
    Entry(
        "keep",
        "setup.keep",
        SET_UP,
        "The process that keeps connections between commands of genvx remote",
        remotely=False,
        rare=True,
    ),
    Entry(
        "completion",
        "setup.completion",
        SET_UP,
        "Print the completion script of a shell",
        remotely=False,
        rare=True,
    ),
    Entry("version", "setup.version", SET_UP, "Show the version", remotely=False, rare=True),
    Entry(
        "help",
        "setup.help",
        SET_UP,
        "Show the verbs of genvx, or the help of one",
        remotely=False,
        rare=True,
    ),
    Entry(
        "remote",
        "remote",
        MANY,
        "The same verbs on many hosts, and clusters of Ray and Dask",
        remotely=False,
    ),
    Entry("remotes", "look.remotes", MANY, "Hosts by name, from remotes.yml", remotely=False),
    Entry(
        "start",
        "look.remotes",
        MANY,
        "Start a remote, if its type can be started; or run its init",
        here=False,
    ),
    Entry("stop", "look.remotes", MANY, "Stop a remote, if its type can be stopped", here=False),
    # Guild's: genvx runs label.
    Entry(
        "label", "runs.marks", RUNS, "Give a run another name, by which it is found", hidden=True
    ),
    Entry(
        "pull",
        "runs.pull",
        RUNS,
        "Copy what runs have made to this machine",
    ),
    Entry(
        "push",
        "runs.push",
        RUNS,
        "Copy a directory to a host, or runs to a shelf: only what it lacks",
    ),
    Entry(
        "jupyter",
        "setup.jupyter",
        SET_UP,
        "Jupyter kernels that hold GPUs while they run",
        remotely=False,
        rare=True,
    ),
    Entry(
        "sandbox",
        "setup.sandbox",
        SET_UP,
        "A simulated fleet on this machine, to try things out",
        remotely=False,
    ),
    Entry(
        "enforce",
        "setup.enforce",
        SET_UP,
        "Warn those who break the rules of policy.toml, and end their processes",
        rare=True,
    ),
    Entry(
        "notify",
        "setup.notify",
        SET_UP,
        "Notifiers: where messages about runs are sent",
        remotely=False,
        rare=True,
    ),
    Entry(
        "monitor",
        "look.monitor",
        SET_UP,
        "Serve metrics for Prometheus, and keep a history for usage",
    ),
    Entry(
        "web", "look.web", LOOK, "Serve a page that shows the GPUs, the line and your runs, live"
    ),
    Entry("top", "look.top", LOOK, "Show GPUs, runs and the line in the whole terminal, live"),
    Entry("admin", "setup.admin", SET_UP, "Set up a machine, and free what is not used"),
)
