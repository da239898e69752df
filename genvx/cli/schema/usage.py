"""Usage as the documented JSON has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genvx.cli.schema.document import Plain
    from genvx.watching.usage import Report, Use


def plain_use(use: Use) -> Plain:
    """Convert the use of one key."""
    return {
        "key": use.key,
        "gpu_hours_leased": round(use.leased, 6),
        "gpu_hours_busy": None if use.busy is None else round(use.busy, 6),
        "mean_utilization_percent": None if use.mean is None else round(use.mean, 3),
        "peak_utilization_percent": use.peak,
        "share_percent": round(use.share, 3),
        "waited_seconds": None if use.waited is None else round(use.waited, 3),
        "leases": use.leases,
        "gpu_hours_uncertain": round(use.uncertain, 6),
    }


def plain_report(report: Report) -> Plain:
    """Convert a report."""
    return {
        "source": "runs" if report.watched is None else "history",
        "by": report.by.value,
        "since": report.since,
        "until": report.until,
        "watched_seconds": None if report.watched is None else round(report.watched, 3),
        "uses": [plain_use(use) for use in report.uses],
        "total": plain_use(report.total),
    }
