"""Where OpenSSH's server is on hosts. It is seldom in the PATH of a user."""

from __future__ import annotations

SSHD_PLACES = (
    "/usr/sbin/sshd",
    "/usr/local/sbin/sshd",
    "/sbin/sshd",
    "/usr/lib/ssh/sshd",
    "/run/current-system/sw/bin/sshd",
)

# sshd wants this directory when root starts it, and some systems make it only with their service.
PRIVILEGE_SEPARATION = "/run/sshd"
