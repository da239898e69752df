"""The kinds of files by which turns on shared devices are taken."""

from __future__ import annotations

from genvx.core.wire.files import turnfiles
from genvx.local.state.kinds import Kind

TURN = Kind(".turn", turnfiles.turn_to_file, turnfiles.turn_from_file)
CHOOSING = Kind(".choosing", turnfiles.turn_to_file, turnfiles.choosing_from_file)
TURNS = (TURN, CHOOSING)
