"""What people see: tables, progress, refusals, documents for programs."""
