"""The kind of file that a run's supervisor holds."""

from __future__ import annotations

from genvx.core.wire.files import supervisionfiles
from genvx.local.state.kinds import Kind

RUN = Kind(".run", supervisionfiles.supervision_to_file, supervisionfiles.supervision_from_file)
