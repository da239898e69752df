"""Findings of doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genvx.cli.schema.document import Plain
    from genvx.core.finding import Finding


def plain_finding(item: Finding) -> Plain:
    """Convert a finding of doctor."""
    return {
        "check": item.check,
        "severity": item.severity.value,
        "result": item.result,
        "advice": item.advice,
    }
