"""Looking at a fleet over time: metrics for Prometheus, and a history from which usage is told."""
