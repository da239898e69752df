"""One round after the other: look, decide, act, write down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.enforcing.action import Done
from genvx.core.enforcing.decision import decide
from genvx.core.enforcing.history import History
from genvx.core.wire.enforcing import Enforced
from genvx.errors import GenvxError, StateError
from genvx.local import processes
from genvx.local.enforcing.acting import Hooks, act
from genvx.local.enforcing.files import Files, usual_directory
from genvx.local.enforcing.sighting import sight_of

if TYPE_CHECKING:
    from typing import Callable

    from genvx.core.enforcing.action import Action
    from genvx.core.policies.enforcement import Enforcement
    from genvx.local.machine import Machine


class Enforcer:
    """Enforces the policy of a machine.

    dry_run: only decides; nothing is done or written. tell: called with a line about what is
    missing, once until that changes. briefly: we end after a round, and wait for no hook.
    """

    def __init__(
        self,
        machine: Machine,
        tell: Callable[[str], object],
        *,
        dry_run: bool,
        briefly: bool = False,
    ) -> None:
        self._machine = machine
        self._tell_new = tell
        self._dry_run = dry_run
        self._files = Files(usual_directory(machine.environ))
        self._hooks = Hooks(self._tell, apart=briefly)
        self._told: set[str] = set()
        self._now: set[str] = set()
        self._history = History()

    def open(self) -> None:
        """Read what earlier rounds have left; keep others from enforcing meanwhile.

        Raises:
            StateError: another one does, or there is nothing to enforce.
        """
        self.rules()
        if not self._dry_run:
            self._files.take()
        self._history = self._files.load(self._machine.state.root, processes.boot_id())

    def close(self) -> None:
        """Wait for hooks, and let others enforce."""
        self._hooks.finish()
        self._files.close()

    def rules(self) -> Enforcement:
        """Return the rules of the machine's policy, which is read anew.

        Raises:
            StateError: it cannot be read, or has none.
        """
        rules = self._machine.rules()
        enforcement = None if rules is None else rules.policy.enforcement
        if enforcement is None:
            raise StateError(
                f"{self._machine.state.root}/policy.toml has no [enforce], so there is nothing to "
                "enforce; docs/reference/policy.md has its rules"
            )
        return enforcement

    def round(self) -> list[Done]:
        """Look once, and do what is due. It never raises because of what is missing: then nothing
        is done, and a line says why.
        """
        self._now = set()
        try:
            return self._round()
        except GenvxError as error:
            self._tell(f"{error}; nothing is done")
            return []
        finally:
            self._told = self._now

    def _round(self) -> list[Done]:
        rules = self.rules()
        seen = sight_of(self._machine, rules)
        for note in seen.notes:
            self._tell(note)
        verdict = decide(seen.sight, self._history, rules, seen.sight.snapshot.boottime_ns)
        self._history = verdict.history
        if self._dry_run:
            return [Done(action) for action in verdict.actions]
        # Before anything is done: a round after a crash must not forget that people were told.
        self._save()
        done = []
        for action in verdict.actions:
            done.append(Done(action, self._do(action)))
            self._hooks.start(action, rules)
            self._write(done[-1])
        return done

    def _do(self, action: Action) -> str:
        try:
            return act(action, self._machine)
        except GenvxError as error:
            self._tell(str(error))
            return "failed"

    def _save(self) -> None:
        try:
            self._files.save(self._history, self._machine.state.root, processes.boot_id())
        except OSError as error:
            self._tell(f"cannot write {self._files.directory}: {error.strerror}")

    def _write(self, done: Done) -> None:
        try:
            self._files.note(done.action, done.result)
        except OSError as error:
            self._tell(f"cannot write the journal in {self._files.directory}: {error.strerror}")

    def _tell(self, line: str) -> None:
        if line not in self._told | self._now:
            self._tell_new(line)
        self._now.add(line)


def enforce_once(machine: Machine, *, dry_run: bool) -> Enforced:
    """Do one round, as somebody who is asked for it over the wire.

    Raises:
        StateError: another enforcer runs, or there is nothing to enforce.
    """
    notes: list[str] = []
    enforcer = Enforcer(machine, notes.append, dry_run=dry_run, briefly=True)
    enforcer.open()
    try:
        return Enforced(tuple(enforcer.round()), tuple(notes))
    finally:
        enforcer.close()
