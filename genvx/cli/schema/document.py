"""JSON documents for programs; what is in them is described in docs/reference/schema.json."""

from __future__ import annotations

from typing import Any

SCHEMA = "genvx/1"

Plain = dict[str, Any]


def print_document(verb: str, **parts: Any) -> None:
    """Print the document of a verb. parts: what is in it besides the schema and the verb."""
    import json

    document = {"schema": SCHEMA, "verb": verb, **parts}
    print(json.dumps(document, indent=2, ensure_ascii=False))
