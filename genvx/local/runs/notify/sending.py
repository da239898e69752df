"""Sends one message to one notifier, once. It may block for as long as its caller lets it live.

The address of a webhook is a secret, so no error of a library is repeated that may have it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from genvx._version import __version__
from genvx.core.notifying.notifier import Way, address_of
from genvx.core.text import printable
from genvx.core.wire.plain import dumps
from genvx.errors import CommandNotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.notifying.message import Message
    from genvx.core.notifying.notifier import Notifier

# Seconds for each step of a webhook: to connect, to send, to answer.
_STEP = 10.0
# EX_TEMPFAIL of <sysexits.h>: a program says by it that a later attempt may succeed.
_LATER = 75
# Where sendmail is, if not in the PATH: not in that of ordinary users.
_SENDMAIL = "/usr/sbin:/usr/lib:/usr/local/sbin"
# A command is no process of the environment whose end it tells.
_OF_ANOTHER = ("GENVX_ENVIRONMENT_ID", "GENVX_RUN_ID", "GENVX_RUN_DIR")


class Undelivered(Exception):
    """A message was not taken. again: whether another attempt may succeed."""

    def __init__(self, why: str, *, again: bool = False) -> None:
        super().__init__(why)
        self.again = again


def send(notifier: Notifier, message: Message, environ: Mapping[str, str]) -> None:
    """Send a message. Raises Undelivered."""
    if notifier.way is Way.COMMAND:
        _run([full_path(notifier.target[0], environ), *notifier.target[1:]], message, environ)
    elif notifier.way is Way.MAIL:
        _mail(notifier.target[0], message, environ)
    elif notifier.way is Way.SLACK:
        _post(notifier.target[0], dumps(message.slack()))
    else:
        _post(notifier.target[0], dumps(message.facts()))


def full_path(program: str, environ: Mapping[str, str]) -> str:
    """Return the path of a program, which may begin with the home."""
    if program.startswith("~/"):
        home = environ.get("HOME") or os.path.expanduser("~")
        return os.path.join(home, program[2:])
    return program


def sendmail(environ: Mapping[str, str]) -> str:
    """Return the path of sendmail.

    Raises:
        CommandNotFound: there is none.
    """
    path = f"{environ.get('PATH', os.defpath)}:{_SENDMAIL}"
    found = shutil.which("sendmail", path=path)
    if found is None:
        raise CommandNotFound(
            "there is no sendmail on this host to send mail; a webhook or a command needs none"
        )
    return found


def require(notifier: Notifier, environ: Mapping[str, str]) -> None:
    """Check that a notifier could work here.

    Raises:
        CommandNotFound: there is no such program. InvalidInput: its address is not known here.
    """
    from genvx.errors import CommandNotExecutable, InvalidInput

    if not notifier.target:
        raise InvalidInput(
            f"the address of notifier {notifier.label} is not known any more; give --notify again"
        )
    if notifier.way is Way.MAIL:
        sendmail(environ)
    if notifier.way is Way.COMMAND:
        path = full_path(notifier.target[0], environ)
        if not os.path.isfile(path):
            raise CommandNotFound(f"--notify: command not found: {printable(path, 100)}")
        if not os.access(path, os.X_OK):
            raise CommandNotExecutable(f"--notify: not executable: {printable(path, 100)}")


def _run(argv: list[str], message: Message, environ: Mapping[str, str], data: bytes = b"") -> None:
    variables = {name: text for name, text in environ.items() if name not in _OF_ANOTHER}
    try:
        # What it prints goes nowhere: it could fill a disk, and nobody would read it.
        done = subprocess.run(
            argv,
            input=data,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**variables, **message.variables()},
            cwd="/",
            check=False,
        )
    except OSError as error:
        raise Undelivered(f"cannot be run: {error.strerror}") from None
    if done.returncode < 0:
        raise Undelivered(f"ended by signal {-done.returncode}")
    if done.returncode:
        raise Undelivered(f"exit {done.returncode}", again=done.returncode == _LATER)


def _mail(address: str, message: Message, environ: Mapping[str, str]) -> None:
    from email.message import EmailMessage

    mail = EmailMessage()
    mail["To"] = address
    mail["Subject"] = message.text
    # So that no program answers it.
    mail["Auto-Submitted"] = "auto-generated"
    lines = [message.text, ""]
    for key, fact in message.facts().items():
        if fact not in (None, []) and key not in ("text", "key"):
            shown = ", ".join(fact) if isinstance(fact, list) else fact
            lines.append(f"{key.replace('_', ' ')}: {shown}")
    mail.set_content("\n".join(lines) + "\n")
    try:
        program = sendmail(environ)
    except CommandNotFound as error:
        raise Undelivered(str(error)) from None
    # -i: a line with a single dot does not end the mail. Of the headers nothing is taken: without
    # -t the only address is this word, which begins with no dash.
    _run([program, "-i", address], message, environ, mail.as_bytes())


def _post(url: str, body: bytes) -> None:
    import http.client
    import ssl

    scheme, host, port, rest = address_of(url)
    # Not urllib: it heeds proxies of the environment, and follows redirects to other places.
    connection: http.client.HTTPConnection
    if scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, port, timeout=_STEP, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=_STEP)
    headers = {"Content-Type": "application/json", "User-Agent": f"genvx/{__version__}"}
    try:
        connection.request("POST", rest, body, {**headers, "Connection": "close"})
        status = connection.getresponse().status
    except ssl.SSLCertVerificationError as error:
        raise Undelivered(f"its certificate: {printable(error.verify_message, 100)}") from None
    except (OSError, UnicodeError, http.client.HTTPException) as error:
        raise Undelivered(_failure(error), again=True) from None
    finally:
        connection.close()
    if 300 <= status < 400:
        raise Undelivered(f"HTTP {status}; redirects are not followed")
    if not 200 <= status < 300:
        raise Undelivered(f"HTTP {status}", again=status == 429 or status >= 500)


def _failure(error: Exception) -> str:
    import socket
    import ssl

    if isinstance(error, socket.gaierror):
        return "its host is not known here"
    if isinstance(error, ssl.SSLError):
        return f"no TLS: {printable(error.reason or 'it failed', 80)}"
    if isinstance(error, (TimeoutError, socket.timeout)):  # the same from Python 3.10 on
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return f"no connection: {printable(error.strerror, 80)}"
    return "no answer that is HTTP"
