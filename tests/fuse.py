"""FUSE mounts whose server says nothing, or has died: `python fuse.py hung|dead UID PATH... --
COMMAND...` mounts one on each path, for everybody, and runs a command as another user.

In a mount namespace of one's own. 99 is the exit code where the command hangs.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import subprocess
import sys

_INIT = 26
_PATIENCE = 20.0


def mount(path: str, uid: int) -> int:
    """Mount on a file or directory as a user would; return the server's end, of which nobody
    reads.
    """
    end = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    mode = "40000" if stat.S_ISDIR(os.stat(path).st_mode) else "100000"
    options = f"fd={end},rootmode={mode},user_id={uid},group_id={uid},allow_other"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"server", path.encode(), b"fuse", 6, options.encode()):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
    _, operation, unique = struct.unpack_from("IIQ", os.read(end, 1 << 20))
    assert operation == _INIT
    body = struct.pack("IIIIHHII", 7, 31, 65536, 0, 16, 12, 131072, 1).ljust(64, b"\0")
    os.write(end, struct.pack("IiQ", 16 + len(body), 0, unique) + body)
    return end


def main(mode: str, uid: int, *words: str) -> int:
    at = words.index("--")
    ends = [mount(path, os.stat(path).st_uid) for path in words[:at]]
    if mode == "dead":
        for end in ends:
            os.close(end)
    command = subprocess.Popen(words[at + 1 :], user=uid, group=uid, extra_groups=[])
    try:
        return command.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        for end in ends if mode == "hung" else ():
            os.close(end)  # which lets it go
        command.kill()
        return 99


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
