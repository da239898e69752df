"""Amazon's cloud: how it is reached, and what its errors mean."""
