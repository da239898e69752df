"""The init of a rented machine: once for each machine, also when two start it at once."""

from __future__ import annotations

import hashlib
import shlex
import threading
from typing import TYPE_CHECKING

from genvx.errors import HostLost
from genvx.fleet.plainly import end_line, start_line
from genvx.ssh.ending import close_channel

if TYPE_CHECKING:
    from genvx.fleet.sshhost import SSHHost

TIMED_OUT = 124
# The host ends init itself; where it does not, we wait no longer than this.
_MORE_SECONDS = 30.0

# $1: the id of the machine: the disk of another one may be a copy of its. $2: of the init. $3:
# seconds. $4: init. $5: again, or nothing. The lock is not left to what init starts and leaves.
_SCRIPT = """\
set -u
place=${XDG_STATE_HOME:-$HOME/.local/state}/genvx
mkdir -p "$place" || exit 1
exec 9>"$place/init.lock" || exit 1
if command -v flock >/dev/null; then flock 9; fi
done=$(cat "$place/init-done" 2>/dev/null)
if [ -z "$5" ]; then
  case $done in
    "$1 $2") exit 0 ;;
    "$1 "*) echo "genvx: init has changed since it ran here; --reinit runs it" >&2; exit 0 ;;
  esac
fi
shell=${SHELL:-/bin/sh}
if command -v timeout >/dev/null; then timeout -k 10 "$3" "$shell" -c "$4" 9>&-
else "$shell" -c "$4" 9>&-; fi
code=$?
[ $code = 0 ] && echo "$1 $2" >"$place/init-done"
exit $code
"""


def run_init(
    host: SSHHost, machine: str, init: str, *, seconds: int, again: bool, out: int = 1
) -> int:
    """Run the init of a machine in its login shell, unless it has run there; return its exit code.

    What it prints goes to our stdout and stderr. seconds: that it may take; 124 is returned when
    they are over. again: run it also if it has run. out: the descriptor to which its stdout goes.

    Raises:
        HostError: the host cannot be reached. HostLost: the connection ended before init did.
    """
    digest = hashlib.sha256(init.encode()).hexdigest()[:16]
    words = ["sh", "-c", _SCRIPT, "genvx-init", machine, digest, str(seconds), init]
    channel = start_line(host, shlex.join([*words, "again" if again else ""]))
    over = threading.Event()

    def end() -> None:
        over.set()
        close_channel(channel)

    timer = threading.Timer(seconds + _MORE_SECONDS, end)
    timer.daemon = True
    timer.start()
    try:
        return end_line(host, channel, out=out)
    except HostLost:
        if over.is_set():
            return TIMED_OUT
        raise
    finally:
        timer.cancel()


def complaint(code: int, seconds: int) -> str:
    """Return what an exit code of init means that is not 0."""
    if code == TIMED_OUT:
        return f"did not end within {seconds} s (init-timeout)"
    return f"ended with exit code {code}"
