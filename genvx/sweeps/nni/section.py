"""A mapping of a configuration file, by the names that NNI documents for its keys.

Each key is written in camelCase, or in snake_case.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, NoReturn

from genvx.core.text import printable
from genvx.fleet.remotes.yamltext import Pairs, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from genvx.fleet.remotes.yamltext import Node, Place

_NULL = ("", "~", "null", "Null", "NULL")

# Keys of NNI 1, and what they are in NNI 2.
_FIRST = {
    "authorName": "nothing",
    "maxExecDuration": "maxExperimentDuration",
    "maxTrialNum": "maxTrialNumber",
    "searchSpacePath": "searchSpaceFile",
    "trial": "trialCommand, trialCodeDirectory and trialGpuNumber",
    "trainingServicePlatform": "platform of trainingService",
    "machineList": "a key of trainingService",
    "logDir": "experimentWorkingDirectory",
    "logCollection": "nothing",
    "multiPhase": "nothing",
    "multiThread": "nothing",
    "localConfig": "trainingService",
    "remoteConfig": "trainingService",
    "builtinTunerName": "name",
    "builtinAssessorName": "name",
    "builtinAdvisorName": "name",
    "ip": "host",
    "username": "user",
    "passwd": "password",
    "sshKeyPath": "sshKeyFile",
    "passphrase": "sshPassphrase",
    "codeDir": "codeDirectory",
    "classFileName": "className",
}


class Section:
    """Section is a mapping whose keys are all known.

    what: its name in messages. known: the keys, in camelCase.

    Raises:
        InvalidRemotes: a key is unknown, or there in both spellings.
    """

    def __init__(self, node: Node, what: str, known: Iterable[str]) -> None:
        if not isinstance(node, Pairs):
            node.place.fail(f"{what} is a mapping of keys")
        self.place: Place = node.place
        self._what = what
        spellings = {name: name for name in known} | {_snake(name): name for name in known}
        self._found: dict[str, tuple[Text, Node]] = {}
        for key, value in node.pairs:
            name = spellings.get(key.value)
            if name is None:
                self._unknown(key, spellings)
            if name in self._found:
                first = self._found[name][0]
                key.place.fail(
                    f"{name} is here already, as {first.value} on line {first.place.line}"
                )
            self._found[name] = (key, value)

    def __contains__(self, name: str) -> bool:
        """Whether a key is set; one that is null is not."""
        return self.get(name) is not None

    def get(self, name: str) -> Node | None:
        """Return the value of a key; None if it is not set, or null."""
        found = self._found.get(name)
        return None if found is None or is_null(found[1]) else found[1]

    def need(self, name: str) -> Node:
        """Return the value of a key; raise InvalidRemotes if it is not set."""
        found = self.get(name)
        if found is None:
            self.place.fail(f"{self._what} needs {name}")
        return found

    def key_place(self, name: str) -> Place:
        """Return where the key itself is."""
        return self._found[name][0].place

    @property
    def names(self) -> tuple[str, ...]:
        """The keys that are set, in their order."""
        return tuple(name for name in self._found if name in self)

    def refuse(self, reasons: Mapping[str, str]) -> None:
        """Fail at the first key that is set and has a reason."""
        for name in self.names:
            if name in reasons:
                self.key_place(name).fail(f"{name}: {reasons[name]}")

    def _unknown(self, key: Text, spellings: Mapping[str, str]) -> NoReturn:
        shown = printable(key.value, 40)
        first = _FIRST.get(key.value)
        if first == "nothing":
            key.place.fail(f"{shown} is a key of NNI 1, and none of NNI 2; take it away")
        if first is not None:
            key.place.fail(f"{shown} is a key of NNI 1; in NNI 2 it is {first}")
        near = difflib.get_close_matches(key.value, spellings, 1, 0.6)
        names = ", ".join(dict.fromkeys(spellings.values()))
        advice = f"did you mean {near[0]}?" if near else f"keys are {names}"
        key.place.fail(f"unknown key {shown!r} of {self._what}; {advice}")


def is_null(node: Node) -> bool:
    """Return whether a value says that there is none."""
    return isinstance(node, Text) and not node.quoted and node.value in _NULL


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), name)


__all__ = ["Section", "is_null"]
