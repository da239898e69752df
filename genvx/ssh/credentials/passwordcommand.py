"""Runs the password_command of a hostfile."""

from __future__ import annotations

from genvx.core.text import printable
from genvx.errors import AuthenticationFailed

_COMMAND_TIMEOUT = 120.0
_MOST = 1024


def password_from(command: str) -> str:
    """Return the first line that a command prints.

    Raises:
        AuthenticationFailed: it fails, takes too long, or prints nothing.
    """
    # Imported here: subprocess costs as much as a whole question to this machine.
    import shlex
    import subprocess

    # The words without arguments in messages: a command line may contain a secret.
    words = shlex.split(command)
    shown = printable(words[0], 100) if words else "nothing"
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=_COMMAND_TIMEOUT,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        raise AuthenticationFailed(
            f"the password_command {shown} failed with {error.returncode}"
        ) from None
    except subprocess.TimeoutExpired:
        raise AuthenticationFailed(
            f"the password_command {shown} did not end within {_COMMAND_TIMEOUT:g} s"
        ) from None
    except (OSError, ValueError, IndexError) as error:
        raise AuthenticationFailed(f"the password_command {shown} cannot be run: {error}") from None
    secret = done.stdout.decode("utf-8", "replace").split("\n", 1)[0].rstrip("\r")
    if not secret or len(secret) > _MOST:
        raise AuthenticationFailed(f"the password_command {shown} printed no password")
    return secret
