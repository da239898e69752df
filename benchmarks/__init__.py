"""What genvx costs, beside its peers, on this machine; run with scripts/bench."""
