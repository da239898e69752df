"""Files that live while a process holds their lock.

They are published complete and already locked, and never locked again; so a dead file stays dead.
"""

from __future__ import annotations

import contextlib
import os
from typing import Optional

from genvx.local.state import locks
from genvx.local.state.mounts import OPEN_FILE
from genvx.local.state.saying import state_error


class HeldFile:
    """A published file whose lock this process holds.

    It lives while any copy of `descriptor` is open.
    """

    def __init__(self, name: str, descriptor: int, directory: int) -> None:
        self._name = name
        self.descriptor = descriptor
        self._directory = directory

    @property
    def path(self) -> str:
        """The file's path, for people to read; only its name if /proc cannot tell the directory."""
        try:
            return os.path.join(os.readlink(f"/proc/self/fd/{self._directory}"), self._name)
        except OSError:
            return self._name

    def is_published(self) -> bool:
        """Whether the file is still there; False once it was released by id from elsewhere."""
        try:
            there = os.stat(self._name, dir_fd=self._directory, follow_symlinks=False)
            return os.path.samestat(there, os.fstat(self.descriptor))
        except OSError:
            return False

    def withdraw(self) -> None:
        """Delete the file and let go of it. Idempotent.

        Copies of the descriptor in other processes no longer matter then.

        Raises:
            StateError: the file cannot be deleted, and such copies keep it alive.
        """
        if self.descriptor < 0:
            return
        why: Optional[OSError] = None
        try:
            os.unlink(self._name, dir_fd=self._directory)
        except FileNotFoundError:
            pass  # released by id from elsewhere
        except OSError as error:
            why = error
        self._let_go(unpublish=False, why=why)

    def abandon(self) -> None:
        """Close our descriptors and leave the file: for reservations and amendments, which need no
        holder.
        """
        descriptor, directory = self.descriptor, self._directory
        if descriptor >= 0:
            self.descriptor = self._directory = -1
            os.close(descriptor)
            os.close(directory)

    def leave(self) -> None:
        """Let go of the file; delete it unless another process, such as a job, holds it."""
        if self.descriptor >= 0:
            self._let_go(unpublish=True)

    def _let_go(self, *, unpublish: bool, why: Optional[OSError] = None) -> None:
        """Close our descriptors. A file that nobody holds is dead, and may stay until it is reaped.

        why: the error that kept the file from being deleted.
        """
        # Forgotten before it is closed: a second call, as from a signal handler's cleanup, must not
        # close a number that another file has got meanwhile.
        descriptor, directory = self.descriptor, self._directory
        self.descriptor = self._directory = -1
        os.close(descriptor)
        try:
            if (unpublish or why is not None) and self._lives_on(directory) and why is not None:
                raise state_error(why, "release what other processes hold, too") from None
        finally:
            os.close(directory)

    def _lives_on(self, directory: int) -> bool:
        """Whether others hold the file, or may; deletes the file if not."""
        try:
            descriptor = os.open(self._name, OPEN_FILE, dir_fd=directory)
        except FileNotFoundError:
            return False  # released by id from elsewhere
        except OSError:
            return True  # not proved dead
        try:
            held = locks.is_held(descriptor)
        except OSError:
            held = True
        finally:
            os.close(descriptor)
        if not held:
            with contextlib.suppress(OSError):  # dead anyway; a later scan deletes it
                os.unlink(self._name, dir_fd=directory)
        return held
