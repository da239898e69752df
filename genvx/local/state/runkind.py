"""The kind of file that a run's supervisor holds, and the socket that it may have beside it."""

from __future__ import annotations

from genvx.core.wire.files import supervisionfiles
from genvx.local.state.kinds import Kind

RUN = Kind(".run", supervisionfiles.supervision_to_file, supervisionfiles.supervision_from_file)

# Through this socket the terminal of a run is viewed. It is dead when the run's file is.
VIEW_SUFFIX = ".view"
