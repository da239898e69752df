"""The command lines that are answered without typer, which takes longer to load than most answers.

They are questions of the shell functions, help, and what `parse/plain.py` reads.
"""

from __future__ import annotations

import os


def quick(arguments: list[str]) -> int | None:
    """Answer a command line; return its exit code, or None if typer is to read it."""
    if len(arguments) > 1 and arguments[0] in ("shell-refresh", "shell-leave"):
        from genvx.cli.holds import prompt

        if arguments[0] == "shell-leave":
            return prompt.leave(arguments[1])
        return prompt.refresh(arguments[1:])
    # For completion, a shell calls genvx with the typed words in a variable; app.py answers that.
    if "_GENVX_COMPLETE" in os.environ:
        return None
    # Imported here: the prompts of shells call `shell-refresh` often, and need neither.
    if not arguments or arguments[-1] in ("-h", "--help"):
        from genvx.cli.parse.helping import help_of

        found = help_of(arguments[:-1])
        if found is None:
            return None
        print(found, end="")
        return 0
    answer = None
    if arguments[0] == "remote":
        from genvx.cli.holds import shortly

        answer = shortly.answering(arguments)
    if answer is None:
        from genvx.cli.parse.plain import answering

        answer = answering(arguments)
    return None if answer is None else answer()
