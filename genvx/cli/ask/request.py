"""The options that say which devices a verb wants, and where.

A verb has a parameter `request: Request`; `requesting` replaces it by the options.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from genvx import project
from genvx.cli.ask import candidates, options
from genvx.cli.commands import scan
from genvx.cli.show.refusal import advise
from genvx.core.ask import Ask, Join, Wanted
from genvx.core.device import VisibleAs
from genvx.core.requirements import Requirements, Strategy
from genvx.core.units import parse_duration
from genvx.errors import InvalidInput, InvalidQuantity, NoCapacity
from genvx.fleet.hostspec import Selection
from genvx.shown.console import say

FOR_EVER = "for ever"

MinMemory = Annotated[
    str | None, typer.Option("--min-memory", metavar="SIZE", help="Least memory of a GPU.")
]
Device = Annotated[
    list[str] | None,
    typer.Option(
        "--device",
        metavar="ID",
        help="Number or UUID of a GPU; several: 0,3.",
        autocompletion=candidates.devices,
    ),
]
Spread = Annotated[bool, typer.Option("--spread", help="Prefer the emptiest hosts and GPUs.")]
Over = Annotated[
    bool,
    typer.Option(
        "-o",
        "--over-subscribe",
        help="Let shares of --gpu-memory add up to more than a GPU has, if the policy allows it.",
    ),
]
Pack = Annotated[bool, typer.Option("--pack", help="Prefer the fullest hosts and GPUs.")]
OnlyHost = Annotated[
    list[str] | None,
    typer.Option(
        "--only-host",
        metavar="NAME",
        help="Remote: only these hosts; * is any text.",
        autocompletion=candidates.hosts,
    ),
]
ExcludeHost = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude-host",
        metavar="NAME",
        help="Remote: not these hosts.",
        autocompletion=candidates.hosts,
    ),
]
Tag = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="TAG", help="Remote: only hosts that have all these tags."),
]
Wait = Annotated[
    str | None,
    typer.Option(
        "--wait", metavar="[=TIME]", help="Wait in line, at most for TIME (default: no limit)."
    ),
]

Time = Annotated[
    str | None,
    typer.Option(
        "--time", metavar="TIME", help="Time limit, such as 2h, with a warning before its end."
    ),
]
NoLoad = Annotated[
    bool, typer.Option("--no-load", help="Ignore .genvx.toml in this directory and above.")
]
Id = Annotated[
    str | None,
    typer.Option(
        "--id",
        metavar="ENV",
        help="Id or name of an environment of yours to join.",
        autocompletion=candidates.environments,
    ),
]


Visible = Annotated[
    str | None,
    typer.Option(
        "--visible-as",
        metavar="uuid|index",
        help="Form of CUDA_VISIBLE_DEVICES; index is for programs that need numbers.",
    ),
]


@dataclass(frozen=True)
class Request:
    """Request is what the user asked a verb for.

    wait: the most seconds to wait in line; infinity has no limit, None does not wait. time: seconds
    after which it is ended. environment: the id or name of an environment to join; the rest does
    not apply then. counted: whether a number of GPUs was given, which may be 0.
    """

    requirements: Requirements
    name: str = ""
    selection: Selection = field(default_factory=Selection)
    wait: float | None = None
    time: float | None = None
    environment: str | None = None
    counted: bool = True

    def ask(self, command: str) -> Ask:
        """Return the ask for a host. command: what it will run, for people to read."""
        return Ask(
            self.requirements, self.name, command=command, lasts=self.time, patience=self.wait
        )

    def wanted(self, command: str) -> Wanted:
        """Return the ask, or the environment to join."""
        if self.environment is not None:
            return Join(self.environment, command)
        return self.ask(command)


def _request(
    gpus: options.Gpus = None,
    gpu_memory: options.GpuMemory = None,
    name: options.Name = "",
    min_memory: MinMemory = None,
    device: Device = None,
    spread: Spread = False,
    pack: Pack = False,
    over_subscribe: Over = False,
    only_host: OnlyHost = None,
    exclude_host: ExcludeHost = None,
    tag: Tag = None,
    wait: Wait = None,
    time: Time = None,
    visible_as: Visible = None,
    id: Id = None,
    no_load: NoLoad = False,
) -> Request:
    if id is not None:
        if any(
            (
                *(gpus, gpu_memory, name, min_memory, device, spread, pack, over_subscribe),
                *(wait, time, visible_as),
            )
        ):
            raise InvalidInput(
                "--id joins an environment as it is; leave out the options that request GPUs"
            )
        if not id:
            raise InvalidInput("--id needs the id or name of an environment")
    if spread and pack:
        raise InvalidInput("give either --spread or --pack, not both")
    strategy = Strategy.SPREAD if spread else Strategy.PACK if pack else Strategy.FIT
    requirements = Requirements.parse(
        gpus,
        gpu_memory,
        min_memory=min_memory,
        devices=device or (),
        strategy=strategy,
        over=over_subscribe,
        visible_as=None if visible_as is None else visible_as_of(visible_as),
    )
    return Request(
        requirements,
        project.require_typed_name(name),
        selection_of(only_host, exclude_host, tag),
        patience_of(wait),
        _seconds("--time", time),
        id,
        counted=gpus is not None or bool(requirements.gpus),
    )


def selection_of(
    only_host: list[str] | None, exclude_host: list[str] | None, tag: list[str] | None
) -> Selection:
    """Return the hosts that these options select."""
    return Selection(_several(only_host), _several(exclude_host), _several(tag))


def patience_of(wait: str | None) -> float | None:
    """Parse the value of --wait: the most seconds to wait in line; None does not wait."""
    return float("inf") if wait == FOR_EVER else _seconds("--wait", wait)


def _seconds(option: str, text: str | None) -> float | None:
    try:
        return None if text is None else parse_duration(text)
    except InvalidQuantity as error:
        raise InvalidQuantity(f"{option}: {error}") from None


def visible_as_of(text: str) -> VisibleAs:
    """Parse the value of --visible-as.

    Raises:
        InvalidInput: the value is neither uuid nor index.
    """
    try:
        return VisibleAs.parse(text)
    except InvalidInput as error:
        raise InvalidInput(f"--visible-as {error}") from None


def _several(texts: list[str] | None) -> tuple[str, ...]:
    return tuple(part.strip() for text in texts or () for part in text.split(",") if part.strip())


def requesting(
    verb: Callable[..., None], *left_out: str, loads: bool = False
) -> Callable[..., None]:
    """Give a verb the options of a request, except those in `left_out`.

    loads: take options that are not given from .genvx.toml.
    """
    if not loads:
        left_out = (*left_out, "no_load")
    ours = inspect.signature(_request, eval_str=True).parameters
    theirs = inspect.signature(verb, eval_str=True).parameters
    shown = [each for name, each in ours.items() if name not in left_out]
    parameters = [each for each in theirs.values() if each.name != "request"]

    @functools.wraps(verb)
    def expanded(**given: Any) -> None:
        wanted = {each.name: given.pop(each.name) for each in shown}
        if loads and not wanted["no_load"]:
            # shell-init may ask twice for one activation; the first time printed the messages.
            told = (given.get("in_shell") or "").rpartition(":")[2].isdecimal()
            _load(wanted, remote=getattr(given["context"].obj, "remote", False), quiet=told)
        request = _request(**wanted)
        try:
            verb(request=request, **given)
        except NoCapacity as error:
            # Advised only where the verb has --wait and it was not used.
            if "wait" in wanted and request.wait is None and request.environment is None:
                advise(error)
            raise

    # typer reads the options from the signature and the annotations. functools.wraps has copied
    # those of the verb, which has `request` in place of the options.
    expanded.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in [*parameters, *shown]]
    )
    expanded.__annotations__ = {each.name: each.annotation for each in [*parameters, *shown]}
    return expanded


# Options that exclude each other: one that is typed also overrides the others of the file.
_ALIKE = (("gpus", "device"), ("spread", "pack"))


def _load(wanted: dict[str, Any], *, remote: bool, quiet: bool) -> None:
    """Add the values of this directory's .genvx.toml to options that were not given.

    Its values about hosts apply to genvx remote only.
    """
    path = project.find()
    if path is None or wanted.get("id") is not None:
        return
    try:
        found = project.load(path, unasked=True)
    except project.Stranger as stranger:
        if not quiet:
            say(f"genvx: {stranger}")
        return
    values = {key.replace("-", "_"): value for key, value in found.items()}
    if values.get("wait") is True:
        values["wait"] = FOR_EVER
    if not remote:
        for name in ("only_host", "exclude_host", "tag"):
            values.pop(name, None)
    for group in _ALIKE:
        if any(wanted[name] for name in group):
            for name in group:
                values.pop(name, None)
    # An option that was not typed is None, "" or False. `--gpus 0` is the text "0", which is true,
    # so it overrides the file.
    for name, value in values.items():
        if not wanted[name]:
            wanted[name] = value


def spell_out_wait(command: Any, arguments: list[str]) -> list[str]:
    """Replace `--wait` without a time, where it is an option of genvx, by `--wait=for ever`.

    Option parsers cannot handle a value that may be missing: they would take the next word. A next
    word that begins with a digit is the time, never a command.
    """
    spelled = list(arguments)
    for at, word, _ in scan(command, spelled):
        if word == "--wait":
            time = spelled[at + 1] if at + 1 < len(spelled) else ""
            if time[:1].isdigit():
                del spelled[at + 1]
            else:
                time = FOR_EVER
            spelled[at] = f"--wait={time}"
    return spelled
