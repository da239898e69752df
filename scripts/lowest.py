"""Prints the lowest versions that setup.cfg allows of what genvx and its tests need, as pip's
constraints: name==version.
"""

from __future__ import annotations

import configparser
import re
from pathlib import Path

_LOWER = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[a-z0-9,]+\])?>=([0-9.]+)")


def lowest(requirements: str) -> list[str]:
    """The constraint of each requirement; what has no lower bound is an error."""
    found = []
    for line in requirements.splitlines():
        if line.strip() and not line.startswith("#"):
            match = _LOWER.match(line)
            if match is None:
                raise SystemExit(f"setup.cfg: {line} has no lower bound")
            found.append(f"{match[1]}=={match[2]}")
    return found


def main() -> None:
    config = configparser.ConfigParser()
    config.read(Path(__file__).parent.parent / "setup.cfg")
    needs = config["options"]["install_requires"]
    tests = config["options.extras_require"]["test"]
    print("\n".join(lowest(needs) + lowest(tests)))


if __name__ == "__main__":
    main()
