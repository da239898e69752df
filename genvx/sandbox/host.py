"""SandboxHost is one host of a sandbox."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class SandboxHost:
    """SandboxHost is one simulated host.

    simulate: its devices, as $GENVX_SIMULATE has them, such as "2xA100-80GB". directory: where its
    files are.
    """

    name: str
    port: int
    simulate: str
    directory: str

    @property
    def state(self) -> str:
        """The state directory of genvx on this host."""
        return os.path.join(self.directory, "state")

    @property
    def home(self) -> str:
        """The home directory of the user on this host."""
        return os.path.join(self.directory, "home")

    def path(self, name: str) -> str:
        """Return the path of a file of this host."""
        return os.path.join(self.directory, name)

    def variables(self, root: str) -> dict[str, str]:
        """Return the variables of every session on this host."""
        return {
            "GENVX_SIMULATE": self.simulate,
            "GENVX_STATE_DIR": self.state,
            # Otherwise `tmux new` on a host would open a window in a tmux server of this machine,
            # with the variables of that server.
            "TMUX_TMPDIR": self.state,
            "HOME": self.home,
            # All hosts share an agent, like machines whose homes are on one network file system.
            "XDG_CACHE_HOME": f"{root}/cache",
            # The hosts reach each other, as those of a laboratory do.
            "GENVX_SSH_CONFIG": f"{root}/ssh_config",
            "PATH": f"{root}/bin:/usr/local/bin:/usr/bin:/bin",
        }
