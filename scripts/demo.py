"""Sessions played for real: `scripts/demo`, and the transcripts of the docs, come from here.

demo.py          the quick start
demo.py runs     runs that outlive the connection, in scenes
demo.py search   a sweep: many runs with different parameters
demo.py inside   into a run: a shell, a tunnel, a debug key, its end
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import urllib.request

PATIENCE = 60.0
# What a line was before the program erased it, as a progress line.
_ERASED = re.compile(r"[^\n]*\r\x1b\[K")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\r")


class Screen:
    """A program in a terminal; shows what it prints, and waits for its prompts."""

    def __init__(self, argv: list[str]) -> None:
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execvp(argv[0], argv)
        columns, lines = os.get_terminal_size() if sys.stdout.isatty() else (120, 40)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._raw = ""

    @property
    def _unseen(self) -> str:
        return _ESCAPES.sub("", _ERASED.sub("", self._raw))

    def _read(self, end: float) -> bool:
        if not select.select([self.master], [], [], max(0.0, end - time.monotonic()))[0]:
            raise SystemExit(f"the demo waited {PATIENCE:g} s in vain; so far: {self._unseen!r}")
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self._raw += data.decode("utf-8", "replace")
        return bool(data)

    def until(self, text: str) -> str:
        """What was printed up to and with `text`."""
        end = time.monotonic() + PATIENCE
        while text not in self._unseen:
            if not self._read(end):
                raise SystemExit(f"the demo did not see {text!r}, but {self._unseen!r}")
        at = self._unseen.index(text) + len(text)
        seen, self._raw = self._unseen[:at], self._unseen[at:]
        return seen

    def type(self, line: str) -> None:
        os.write(self.master, line.encode() + b"\n")

    def rest(self) -> str:
        """What is printed until the program ends."""
        end = time.monotonic() + PATIENCE
        while self._read(end):
            pass
        os.waitpid(self.pid, 0)
        os.close(self.master)
        return self._unseen


def say(text: str = "") -> None:
    print(text, flush=True)


def run(command: str) -> None:
    """Show a command, run it, show what it prints."""
    say(f"$ {command}")
    # On a terminal the command itself prints there, so that its tables fit.
    subprocess.run(
        command, shell=True, stdin=subprocess.DEVNULL, check=False, stderr=subprocess.STDOUT
    )
    say()


def answer(command: str) -> str:
    """As `run`, for a command without tables; returns what it prints."""
    say(f"$ {command}")
    printed = subprocess.run(
        command,
        shell=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ).stdout
    say(printed)
    return printed


def shell(command: str, prompt: str, lines: list[str]) -> None:
    """Show a command that opens a shell, open it, and type lines at its prompt."""
    say(f"$ {command}")
    screen = Screen(command.split())
    shown = screen.until(prompt)
    for line in lines:
        screen.type(line)
        if line == "exit":
            break
        shown += screen.until(prompt)
    shown += screen.rest()
    say(shown.rstrip("\n"))
    say()


def wait_while(command: str) -> None:
    """Run a command until it prints nothing; show nothing of it."""
    end = time.monotonic() + PATIENCE
    while subprocess.run(command, shell=True, capture_output=True, check=True).stdout.strip():
        if time.monotonic() > end:
            raise SystemExit(f"the demo waited {PATIENCE:g} s in vain for {command}")


def scene(name: str) -> None:
    """Begin a scene; the docs show it by its name."""
    say(f"# scene: {name}")


def main() -> None:
    play = PLAYS[sys.argv[1] if sys.argv[1:] else "quickstart"]
    directory = tempfile.mkdtemp(prefix="genvx-demo-", dir="/var/tmp")
    os.chdir(directory)
    sandbox = os.path.join(directory, "sandbox")
    os.environ["GENVX_SANDBOX"] = sandbox
    for name in ("GENVX_HOSTFILE", "GENVX_STATE_DIR", "GENVX_SIMULATE", "CUDA_VISIBLE_DEVICES"):
        os.environ.pop(name, None)
    subprocess.run(
        [sys.executable, "-m", "genvx", "sandbox", "up", "--gpus", "1,2"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    os.environ["GENVX_SSH_CONFIG"] = f"{sandbox}/ssh_config"
    try:
        play(sandbox)
    finally:
        subprocess.run(
            [sys.executable, "-m", "genvx", "sandbox", "down"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        os.chdir("/")
        shutil.rmtree(directory)


def quickstart(sandbox: str) -> None:
    say("# Two machines, gpu-server-1 with one GPU and gpu-server-2 with two (here:")
    say("# simulated ones behind real SSH on this machine). A hostfile names them:")
    say()
    with open("hostfile.txt", "w") as file:
        file.write("gpu-server-1\ngpu-server-2\n")
    run("cat hostfile.txt")
    run("genvx remote --hostfile hostfile.txt devices")
    say("# Somebody logs in to gpu-server-2 and activates an environment there:")
    say()
    ssh = shutil.which("ssh")
    other = Screen([ssh, "-F", f"{sandbox}/ssh_config", "gpu-server-2"]) if ssh else None
    if other is None:
        # No OpenSSH here: the same shell by way of genvx itself.
        other = Screen(["genvx", "remote", "-H", "gpu-server-2", "activate"])
    say("$ ssh gpu-server-2")
    other.until("$ ")
    other.type("genvx activate --name my-env --gpus 1")
    say("$ " + other.until("(genvx my-env) $ ").strip())
    say()
    say("# Back on your own machine, you see it:")
    say()
    run("genvx remote --hostfile hostfile.txt envs")
    say("# One GPU is free on each. A shell with one:")
    say()
    shell(
        "genvx remote --hostfile hostfile.txt activate --gpus 1",
        "(genvx) gpu-server-1 $ ",
        ["genvx status", "exit"],
    )
    say("# No machine has two free GPUs now:")
    say()
    run("genvx remote --hostfile hostfile.txt activate --gpus 2")
    say("# The environment on gpu-server-2 ends, and both of its GPUs are free:")
    say()
    other.type("genvx deactivate")
    say("(genvx my-env) $ genvx deactivate")
    say()
    other.until("$ ")
    other.type("exit")
    other.rest()
    shell(
        "genvx remote --hostfile hostfile.txt activate --gpus 2",
        "(genvx) gpu-server-2 $ ",
        ["echo $GENVX_DEVICES", "exit"],
    )


def runs(sandbox: str) -> None:
    os.environ["GENVX_HOSTFILE"] = f"{sandbox}/hostfile"
    scene("start")
    run("genvx remote run -d --gpus 2 --name train -- sh -c 'echo epoch 1; sleep 600'")
    scene("wait")
    run("genvx remote run -d --gpus 2 --wait --name eval -- sh -c 'echo accuracy 0.92; exit 3'")
    scene("look")
    run("genvx remote runs")
    run("genvx remote logs train")
    scene("stop")
    run("genvx remote runs stop train")
    # Otherwise whether watch still finds it waiting would be a matter of luck.
    wait_while("genvx remote runs --state waiting --no-header --no-summary")
    scene("watch")
    run("genvx remote watch eval; echo exit code $?")
    scene("delete")
    run("genvx remote runs delete train eval")
    run("genvx remote runs")
    bring_code()


def bring_code() -> None:
    """A project in a repository, of which two runs have different versions."""
    os.mkdir("vision")
    os.chdir("vision")
    with open("train.py", "w") as file:
        file.write("print('learning rate', open('lr').read().strip())\n")
    with open("lr", "w") as file:
        file.write("0.1\n")
    git = "git -c user.name=raz -c user.email=raz"
    for line in ("init -q", "add train.py lr", "commit -qm begin"):
        subprocess.run(f"{git} {line}", shell=True, check=True)
    scene("code")
    run("genvx remote run -q -d -w --gpus 1 --project . --name first -- python3 train.py")
    run("echo 0.2 >lr")
    run("genvx remote run -q -d -w --gpus 1 --project . --name second -- python3 train.py")
    scene("diff")
    run("genvx remote runs info second --diff")


def inside(sandbox: str) -> None:
    os.environ["GENVX_HOSTFILE"] = f"{sandbox}/hostfile"
    # The hosts are this machine, where any port may be taken; the docs show the usual ones.
    served, here = free_port(6006), free_port(8080)
    scene("begin")
    page = f"echo epoch 1 | tee index.html; exec python3 -m http.server -b 127.0.0.1 {served}"
    run(f"genvx remote run -d --gpus 1 --name train -- sh -c '{page}'")
    scene("enter")
    shell(
        "genvx remote ssh train",
        "(genvx train) gpu-server-1 $ ",
        ["cat index.html", "echo GPU $GENVX_DEVICES of run $GENVX_RUN_ID", "exit"],
    )
    run("genvx remote ssh train -- sh -c 'ls; exit 7'; echo exit code $?")
    guest = Screen(["genvx", "remote", "ssh", "train"])
    guest.until("(genvx train) gpu-server-1 $ ")
    scene("tunnel")
    command = f"genvx remote tunnel train {here}:{served}"
    say(f"$ {command}")
    tunnel = Screen(command.split())
    say(tunnel.until("(train) on gpu-server-1").strip())
    with urllib.request.urlopen(f"http://127.0.0.1:{here}/", timeout=PATIENCE) as page:
        if page.read() != b"epoch 1\n":
            raise SystemExit("the tunnel led elsewhere")
    scene("end")
    run("genvx remote runs stop train --grace 2s")
    say(guest.rest().strip())
    say(tunnel.rest().strip())
    scene("key")
    run("genvx keygen my-debug-key")
    scene("lend")
    started = answer(
        "genvx remote run -d --gpus 1 --name shown --debug-key-file my-debug-key.pub -- sleep 600"
    )
    scene("guest")
    line = next(each for each in started.splitlines() if "with the debug key: " in each)
    # A person is asked once about the host key; nothing of this goes to their known_hosts.
    info = subprocess.check_output(["genvx", "remote", "runs", "info", "shown"], text=True)
    with open("known", "w") as file:
        file.write(next(e for e in info.splitlines() if e.startswith("known as:"))[9:] + "\n")
    ssh = "ssh -F none -o UserKnownHostsFile=known "
    line = line.partition(": ssh ")[2]
    run(f"{ssh}{line} 'echo GPU $GENVX_DEVICES of run $GENVX_RUN_ID'")


def free_port(shown: int) -> int:
    """A port that is free now; says which one the docs show instead."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    say(f"# port {port} stands for {shown}")
    return port


def search(sandbox: str) -> None:
    """A small sweep, one trial after the other, so that it prints the same each time."""
    os.environ["GENVX_HOSTFILE"] = f"{sandbox}/hostfile"
    # Sweeps are kept by the client.
    os.environ["XDG_DATA_HOME"] = os.path.abspath("data")
    os.mkdir("vision")
    os.chdir("vision")
    with open("train.py", "w") as file:
        file.write(
            "import math, sys, genvx_trial\n"
            "rate, layers = float(sys.argv[2]), int(sys.argv[4])\n"
            "value = 0.95 - 0.02 * abs(math.log10(rate) + 3) - 0.01 * abs(layers - 4)\n"
            "genvx_trial.report(round(value, 4))\n"
        )
    scene("sweep")
    run(
        "genvx remote sweep -P lr=log:1e-5..1e-1 -P layers=2,4,8 --trials 4 --tuner random --seed 7"
        " --concurrency 1 -g 1 --project . -- python3 train.py --lr {lr} --layers {layers}"
    )
    scene("swept")
    run("genvx sweep list")
    run("genvx sweep show")


PLAYS = {"quickstart": quickstart, "runs": runs, "inside": inside, "search": search}


if __name__ == "__main__":
    main()
