"""What people see: tables, progress, refusals, and JSON for programs."""
