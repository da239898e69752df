"""A full screen that shows the fleet, live: what genvx top shows and does."""
