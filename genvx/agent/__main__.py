"""Entry of the far end.

The gate comes before all imports, which need the newer Python themselves.
"""

import sys


def main(call: bytes = b"", word: str = "") -> None:
    """Answer a call and exit: `call`, if it was read already, else `word`, else the one on stdin.

    The word "genvx" is for a person in a shell of ours, who has typed our arguments.
    """
    if word == "genvx":
        from genvx.agent.person import main as answer

        sys.exit(answer(sys.argv[1:]))
    from genvx.agent.serve import serve

    sys.exit(serve(word, call))


if __name__ == "__main__":
    main(word=sys.argv[1] if len(sys.argv) > 1 else "")
