"""Entry of the far end.

The gate comes before all imports, which need the newer Python themselves.
"""

import sys


def main() -> None:
    """Answer the call on stdin, or the one that is the only argument; exit when it is done."""
    from genvx.agent.serve import serve

    sys.exit(serve(sys.argv[1:]))


if __name__ == "__main__":
    main()
