"""Entry of the far end.

The gate comes before all imports, which need the newer Python themselves.
"""

import sys


def main(call: bytes = b"") -> None:
    """Answer a call and exit: `call`, if it was read already, else the word that is the only
    argument, else the one on stdin.
    """
    from genvx.agent.serve import serve

    sys.exit(serve(sys.argv[1:], call))


if __name__ == "__main__":
    main()
