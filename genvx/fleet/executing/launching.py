"""Starting a worker under a hold on devices."""

from __future__ import annotations

import functools
import importlib.util
import io
import json
import os
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.core.value import field, value
from genvx.errors import AgentError, GenvxError, InvalidInput
from genvx.fleet.delivery.stripped import program_of
from genvx.fleet.executing.frames import SETUP, frame
from genvx.fleet.executing.member import Member
from genvx.fleet.remote import new_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.running import Running
    from genvx.fleet.executing.parcel import Parcel
    from genvx.fleet.host import Hold, Host

# Seconds in which a worker is there. An environment of conda takes some of them to be activated.
_START = 60.0
_OURS = ".".join(map(str, sys.version_info[:2]))
# What every refusal for the version of Python ends with.
WAYS_OUT = (
    f"; this program runs on Python {_OURS}, and functions travel between equal versions only: "
    f"name a Python {_OURS} of the host (python=PATH), or run this program on a version that the "
    "host has"
)
_MOST_NOISE = 64 * 1024

# It starts the first Python of the wanted version, or says which others there are. What people type
# is a word of its own, so no shell reads it as code. The comment is what lists of processes show.
_FIND = """# worker of genvx
stub=$1 token=$2 want=$3; shift 3; found=
for p in "$@"; do
case $p in "~/"*) p=$HOME/${p#"~/"} ;; esac
v=$("$p" -I -S -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null </dev/null) ||
continue
if [ "$v" = "$want" ]; then exec "$p" -c "$stub" "$token"; fi
found="$found $v=$p"
done
echo "GENVX-NO-WORKER $token$found"
"""

# It sets the descriptors apart before anything else runs, says who it is, and becomes what it is
# sent.
_STUB = """import json,os,sys
i,o=os.dup(0),os.dup(1)
n=os.open(os.devnull,os.O_RDONLY)
os.dup2(n,0);os.dup2(2,1);os.close(n)
os.write(o,("GENVX-WORKER %s %s\\n"%(sys.argv[1],json.dumps(sys.executable))).encode())
def r(n):
    d=b""
    while len(d)<n:
        p=os.read(i,n-len(d))
        if not p: os._exit(0)
        d+=p
    return d
s=json.loads(r(int.from_bytes(r(13)[5:],"big")))
d={"__name__":"genvx_worker"}
exec(compile(s["program"],"<genvx worker>","exec"),d)
d["begin"](i,o,s)
"""


@value
class Wants:
    """What the workers of an executor are to be.

    python: a path on the host, or a name in the PATH there; None looks for one of our version. cwd:
    a directory there, whose modules can be imported. variables: in addition to those of the hold.
    as_json: whether results come as JSON, and nothing of a host is unpickled. parcel: the project
    that each has a copy of; cwd is None then.
    """

    python: str | None = None
    cwd: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    as_json: bool = False
    parcel: Parcel | None = None


def require_cloudpickle() -> None:
    """Check that functions can be sent; raise InvalidInput if cloudpickle is not installed."""
    if importlib.util.find_spec("cloudpickle") is None:
        raise InvalidInput("executors need cloudpickle: pip install 'genvx[executor]'")


def launch(host: Host, hold: Hold, wants: Wants) -> Member:
    """Start a worker; return once it is there.

    The hold stays: what a worker that is killed leaves behind is found by its environment.

    Raises:
        AgentError: there is no Python of our version, or it did not start. InvalidInput: the
        directory or a variable is invalid, or the host runs nothing.
    """
    # A program of this machine is one that can import what we can.
    here = getattr(host, "python", None)
    names = ["python3", "python", f"python{_OURS}"]
    if wants.python is not None:
        names = [wants.python]
    elif here is not None:
        names = [here]
    token = new_token()
    running = hold.start(
        ["sh", "-c", _FIND, "genvx", _STUB, token, _OURS, *names],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=wants.cwd,
        env=wants.variables,
    )
    try:
        python, rest = _hello(host.name, running, token, wants)
        silence: float | None = getattr(host, "silence", None)
        member = Member(host, hold, running, python, silence, rest)
        try:
            member.send_all([_setup(wants, silence, here is not None)])
            if wants.parcel is not None and member.wants_project():
                member.send_all(wants.parcel.pieces())
        except (OSError, EOFError):
            raise AgentError(f"{host.name}: the worker ended: {_last_words(running)}") from None
        return member
    except BaseException:
        running.kill()
        running.close()
        raise


def _setup(wants: Wants, silence: float | None, here: bool) -> bytes:
    path = [] if wants.cwd is None else ["."]
    if here:
        path += [os.path.abspath(each) for each in sys.path]
    about = {
        "program": _program(),
        "modules": _modules(),
        "path": path,
        "silence": silence,
        "as_json": wants.as_json,
        "project": None if wants.parcel is None else wants.parcel.about,
    }
    return b"".join(frame(SETUP, [json.dumps(about).encode("ascii")]))


@functools.cache
def _program() -> str:
    """The text of both modules: what the second imports from the first is there then."""
    from genvx.fleet.executing import workcopy, worker

    texts = []
    for path in (str(workcopy.__file__), str(worker.__file__)):
        with open(path, encoding="utf-8") as file:
            texts.append(program_of(file.read()).decode("ascii"))
    return "\n".join(texts)


@functools.cache
def _modules() -> list[tuple[str, str]]:
    """The modules of cloudpickle, each after those that it needs."""
    found = importlib.util.find_spec("cloudpickle")
    assert found is not None
    assert found.origin is not None
    base = os.path.dirname(found.origin)
    modules = []
    for name, path in (("cloudpickle.cloudpickle", "cloudpickle"), ("cloudpickle", "__init__")):
        with open(f"{base}/{path}.py", encoding="utf-8") as file:
            modules.append((name, file.read()))
    return modules


def _hello(host: str, running: Running, token: str, wants: Wants) -> tuple[str, bytes]:
    """Read until the worker says which Python it is; return that, and what follows."""
    try:
        assert running.stdout is not None
        descriptor = running.stdout.fileno()
    except io.UnsupportedOperation:
        raise InvalidInput(
            f"{host} is a fake host, which runs no workers; genvx.LocalHost() does"
        ) from None
    mark, refusal = f"GENVX-WORKER {token} ".encode(), f"GENVX-NO-WORKER {token}".encode()
    end, said = time.monotonic() + _START, b""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while len(said) < _MOST_NOISE:
        left = end - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise AgentError(f"{host}: no worker has started within {_START:.0f} s")
        data = os.read(descriptor, 65536)
        said += data
        for begin in (mark, refusal):
            _, found, rest = said.partition(begin)
            line, whole, rest = rest.partition(b"\n")
            if found and whole and begin == mark:
                return _path(host, line), rest
            if found and whole:
                raise _no_python(host, line.decode("utf-8", "replace"), wants)
        if not data:
            break
    raise AgentError(f"{host}: the worker did not start: {_last_words(running)}")


def _path(host: str, line: bytes) -> str:
    try:
        return printable(str(json.loads(line)), 300)
    except ValueError:
        raise AgentError(f"{host}: what the worker said cannot be read") from None


def _no_python(host: str, found: str, wants: Wants) -> AgentError:
    there = [each.partition("=") for each in found.split()]
    shown = ", ".join(f"{version} ({path})" for version, _, path in there)
    if wants.python is not None and not there:
        what = f"has no Python that starts as {wants.python}"
    elif there:
        what = f"has Python {shown}"
    else:
        what = "has no Python 3 in its PATH"
    return AgentError(printable(f"{host} {what}", 400) + WAYS_OUT)


def _last_words(running: Running) -> str:
    said = b""
    if running.stderr is not None:
        descriptor = running.stderr.fileno()
        os.set_blocking(descriptor, False)
        try:
            said = os.read(descriptor, 65536)
        except OSError:
            pass  # it said nothing
    lines = [line for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    if lines:
        return printable(lines[-1].strip(), 300)
    try:
        return f"exit code {running.wait(1.0)}"
    except (subprocess.TimeoutExpired, GenvxError) as error:
        return printable(str(error), 300)
