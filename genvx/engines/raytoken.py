"""The token with which this program reaches its Ray clusters."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile

from genvx.errors import InvalidInput

_MODE, _TOKEN, _PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"


class Token:
    """A token that Ray takes in this process and in those that it starts.

    Ray reads whether it needs a token when it is imported, and the token once in a process. So
    there is one for all clusters of a program, and its variables are set before Ray is there. It
    is in a file that goes with the program, for a variable would show it to every process.
    """

    def __init__(self) -> None:
        self.text = secrets.token_hex(32)
        self._why_not = self._conflict()
        if not self._why_not:
            self._directory = tempfile.TemporaryDirectory(prefix="genvx-ray-")
            path = os.path.join(self._directory.name, "token")
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(self.text)
            os.environ.update({_MODE: "token", _PATH: path})

    def require(self) -> None:
        """Raise InvalidInput if Ray does not take it."""
        if self._why_not:
            raise InvalidInput(self._why_not)

    @staticmethod
    def _conflict() -> str:
        mode = os.environ.get(_MODE, "").lower()
        if mode not in ("", "token"):
            return f"{_MODE} is {mode[:20]!r}, and a cluster of genvx needs 'token': unset it"
        for name in (_TOKEN, _PATH):
            if os.environ.get(name):
                return (
                    f"{name} has the token of another Ray cluster, and Ray takes one in a program: "
                    "unset it"
                )
        if "ray" in sys.modules and not mode:
            return "ray was imported before genvx.ray: write `import genvx.ray` above `import ray`"
        return ""
