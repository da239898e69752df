"""The program of a keeper; its only argument is the directory of its socket."""

from __future__ import annotations

import os
import sys

from genvx.ssh.lean import without_mock

with without_mock():
    from genvx.keeping.keeper import keep

if __name__ == "__main__":
    keep(sys.argv[1], os.environ)
