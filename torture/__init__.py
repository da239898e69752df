"""Reliability that can be shown: what a sceptical administrator runs on their own machine.

`scripts/torture` drives the real store, agent, fleet and commands, and prints a table. Each figure
has an oracle that knows nothing of genvx's own bookkeeping; `scripts/torture --bite` takes the
protections of genvx away, one at a time, and shows that the figures notice.
"""
