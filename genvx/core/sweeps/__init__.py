"""Search spaces, parameters, reports and outcomes of sweeps."""
