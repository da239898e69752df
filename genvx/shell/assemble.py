"""Puts the code of a shell together from the files of code/.

In these files, a line `#include NAME` stands for another file. The lines from `#each` to `#end`
stand for themselves once for each variable, with @NAME@ and @LINE@ (its line in an answer), for
shells that have no names of names. @NAMES@ stands for all variables, @ENDED@ and @ELSEWHERE@ for
exit codes, and @WINDOW@, within '', for window.sh.
"""

from __future__ import annotations

import re

from genvx.core.leases.grant import VARIABLES
from genvx.shell import texts
from genvx.shell.answer import ELSEWHERE, ENDED, line_of

_INCLUDE = re.compile(r"^#include (\S+)\n", re.MULTILINE)
_EACH = re.compile(r"^#each\n(.*?)^#end\n", re.MULTILINE | re.DOTALL)


def assemble(name: str) -> str:
    """The text of a file of code/ with everything in its place.

    @FILE@ is left: the path of a file that tcsh reads again.
    """
    code = _EACH.sub(lambda found: _for_each(found[1]), _with_included(name))
    code = code.replace("@NAMES@", " ".join(VARIABLES))
    code = code.replace("@ENDED@", str(ENDED)).replace("@ELSEWHERE@", str(ELSEWHERE))
    return code.replace("@WINDOW@", texts.read("window.sh")) if "@WINDOW@" in code else code


def _with_included(name: str) -> str:
    return _INCLUDE.sub(lambda found: _with_included(found[1]), texts.read(name))


def _for_each(lines: str) -> str:
    return "".join(
        lines.replace("@NAME@", name).replace("@LINE@", str(line_of(name))) for name in VARIABLES
    )
