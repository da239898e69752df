"""The line of those who wait for devices."""
