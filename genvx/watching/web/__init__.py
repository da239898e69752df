"""The page of a fleet: looks at it while somebody looks at the page, and what changed is sent."""
