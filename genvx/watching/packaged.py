"""Files of the package that other programs read: rules for Prometheus, a dashboard for Grafana."""

from __future__ import annotations

from importlib import resources


def alerts() -> str:
    """Return alerting rules for Prometheus, as YAML."""
    return _text("alerts.yml")


def dashboard() -> str:
    """Return a dashboard for Grafana, as JSON."""
    return _text("dashboard.json")


def _text(name: str) -> str:
    return (resources.files("genvx.watching") / "files" / name).read_text("utf-8")
