"""Entry of the far end.

The gate comes before all imports, which need the newer Python themselves.
"""

import os
import sys


def main(call: bytes = b"", word: str = "") -> None:
    """Answer a call and exit. The call is `call` if it was read already, else `word`, else on
    stdin.

    The word "genvx" means that a person has typed our arguments in a shell that genvx opened;
    "enter" that the script of a run was called, which adds what it knows to its arguments.
    """
    if word == "enter":
        from genvx.agent.session import main as enter

        sys.exit(enter(sys.argv[2], sys.argv[3:]))
    if word == "genvx":
        from genvx.agent.person.command import main as answer

        sys.exit(answer(sys.argv[1:]))
    from genvx.agent.serve import serve

    code = serve(word, call)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            pass  # nobody reads it any more
    # All is done. Python would take its modules apart now, which takes longer than most answers,
    # and the client waits for our end.
    os._exit(code)


if __name__ == "__main__":
    main(word=sys.argv[1] if len(sys.argv) > 1 else "")
