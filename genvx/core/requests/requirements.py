"""What is asked for, checked before anything happens.

Sizes here are the advertised ones. The driver of an "80 GB" device reports 79.6 GiB, so a lower
bound counts 10**9 bytes to the GB, and an upper bound 2**30.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Optional, Union

from genvx.core.device import MOST_DEVICES, VisibleAs
from genvx.core.quantities.amounts import format_memory, parse_memory
from genvx.core.requests.models import is_model, is_model_text
from genvx.core.text import is_device_id, printable
from genvx.core.value import cached, replace, value
from genvx.errors import InvalidInput, InvalidQuantity, UnknownDevice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.core.device import Device

MOST_MODELS = 32

_LABEL = r"(?a)\d{1,6}(?::\d{1,4})?"


UNNAMED = "is not one that was named"


class Strategy(str, Enum):
    """Which of the hosts and devices that fit are preferred.

    FIT keeps large devices and whole hosts free. PACK fills up the fullest host. SPREAD takes the
    emptiest.
    """

    FIT = "fit"
    PACK = "pack"
    SPREAD = "spread"


@value
class Requirements:
    """A request for `gpus` devices: the whole of each, or `memory` bytes of each.

    among: only these indices. models: one of these, as people type them. at_least, at_most: total
    bytes of a device. devices: exactly these, by label ("3", "3:1") or UUID. over: whether the
    shares may add up with those of others to more than a device has. visible_as: how
    CUDA_VISIBLE_DEVICES names the devices; None means as the host's policy says, or by UUID.
    in_use: whether devices are taken, too, that somebody uses without a lease, if no others fit.

    Raises:
        InvalidQuantity: a count is negative or absurd, a share or a size is impossible.
        UnknownDevice: a name can be neither a label nor a UUID.
    """

    gpus: int = 0
    memory: Optional[int] = None
    among: Optional[tuple[int, ...]] = None
    models: tuple[str, ...] = ()
    at_least: Optional[int] = None
    at_most: Optional[int] = None
    devices: tuple[str, ...] = ()
    strategy: Strategy = Strategy.FIT
    over: bool = False
    visible_as: Optional[VisibleAs] = None
    in_use: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.gpus, bool) or not isinstance(self.gpus, int):
            raise InvalidQuantity(f"gpus is a whole number, not {self.gpus!r}")
        if not 0 <= self.gpus <= MOST_DEVICES:
            raise InvalidQuantity(f"gpus is from 0 to {MOST_DEVICES}, not {self.gpus}")
        for what, size in (
            ("memory", self.memory),
            ("at_least", self.at_least),
            ("at_most", self.at_most),
        ):
            if size is not None and (
                isinstance(size, bool) or not isinstance(size, int) or size <= 0
            ):
                raise InvalidQuantity(f"{what} is a positive number of bytes, not {size!r}")
        if self.at_least and self.at_most and self.at_least > self.at_most:
            raise InvalidQuantity(
                f"no device has {format_memory(self.at_least)} or more and "
                f"{format_memory(self.at_most)} or less"
            )
        if self.over and self.memory is None:
            raise InvalidQuantity("over-subscribing is for shares; say how much: --gpu-memory 40G")
        if len(self.models) > MOST_MODELS:
            raise InvalidQuantity(f"at most {MOST_MODELS} models")
        for model in self.models:
            if not is_model_text(model):
                raise InvalidQuantity(f"not a model of GPU: {printable(model, 40)!r}")
        for name in self.devices:
            if re.fullmatch(_LABEL, name) is None and not is_device_id(name):
                raise UnknownDevice(
                    f"neither the number nor the UUID of a device: {printable(name, 40)!r}"
                )
        if self.devices and (self.gpus != len(self.devices) or len(set(self.devices)) != self.gpus):
            raise InvalidQuantity(
                "the number of GPUs must be that of the named devices, each named once"
            )

    @classmethod
    def parse(
        cls,
        gpus: Optional[str] = None,
        memory: Optional[str] = None,
        *,
        min_memory: Optional[str] = None,
        devices: Sequence[str] = (),
        strategy: Strategy = Strategy.FIT,
        over: bool = False,
        visible_as: Optional[VisibleAs] = None,
    ) -> Requirements:
        """Read what a user typed: "2" or "A100:2" devices, and "40G" of each, or None for whole
        devices.

        A share, a size, a model or a device without a count means one device.

        Raises:
            InvalidQuantity: something cannot be read.
            UnknownDevice: a name is not one of a device.
        """
        from genvx.core.quantities.naming import naming
        from genvx.core.requests.gputext import parse_gpus

        with naming("--gpu-memory"):
            share = None if memory is None else parse_memory(memory)
        named = tuple(name.strip() for each in devices for name in each.split(","))
        count, models, at_least, at_most = parse_gpus(gpus)
        if min_memory is not None:
            with naming("--min-memory"):
                at_least = max(parse_memory(min_memory), at_least or 0)
        # Named devices give the count; a different count would leave open which of them is meant.
        if named:
            if count not in (None, len(named)):
                raise InvalidQuantity(f"{count} GPUs wanted, but {len(named)} devices named")
            count = len(named)
        if count is None:
            count = 1 if share or models or at_least or at_most else 0
        return cls(count, share, None, models, at_least, at_most, named, strategy, over, visible_as)

    @cached
    def narrow(self) -> bool:
        """Whether the request accepts only some devices; if not, no device needs to be checked."""
        sizes = (self.memory, self.at_least, self.at_most)
        return (
            self.among is not None
            or self.visible_as is VisibleAs.INDEX
            or bool(self.models or self.devices or any(sizes))
        )

    def mismatch(self, device: Device) -> Optional[str]:
        """Return why `device` is not of the wanted kind, as words after "GPU 3"; None if it is.

        Who holds the device does not matter here.
        """
        if self.among is not None and device.index not in self.among:
            return "is not offered by the hostfile"
        if self.devices and not {device.label, device.uuid} & set(self.devices):
            return UNNAMED
        if self.visible_as is VisibleAs.INDEX and device.instance is not None:
            return "is a MIG instance, which has no index: only --visible-as uuid can name it"
        # Hosts have many devices of few kinds; the names of models are compared once for each kind.
        kind = (
            device.name,
            device.memory,
            device.instance is not None,
            device.shareable,
            device.oversubscribable,
        )
        if kind not in self._mismatches:
            self._mismatches[kind] = self._wrong_kind(device)
        return self._mismatches[kind]

    def obstacle(self, device: Device) -> Optional[str]:
        """Return `mismatch`, or why the device is unavailable just now, whoever holds it."""
        wrong = self.mismatch(device)
        if wrong is None and self.visible_as is VisibleAs.INDEX and device.ordinal is None:
            return (
                "has no sure index (a GPU before it is lost, in MIG mode or of unknown place): "
                "only --visible-as uuid can name it"
            )
        return wrong

    @cached
    def _mismatches(self) -> dict[tuple[str, Optional[int], bool, bool, bool], Optional[str]]:
        """The mismatch of each kind of device that was checked so far."""
        return {}

    def _wrong_kind(self, device: Device) -> Optional[str]:
        instance = device.instance is not None
        if self.models and not any(
            is_model(device.name, m, instance=instance) for m in self.models
        ):
            return f"is {printable(device.name, 60)}"
        if self.memory is not None and not device.shareable:
            return "may not be shared, by policy"
        # The administrator decides: programs on an over-subscribed device can fail for want of
        # memory.
        if self.over and not device.oversubscribable:
            return "may not be over-subscribed, by policy"
        if not self.at_least and not self.at_most and not self.memory:
            return None
        if device.memory is None:
            if self.memory is not None:
                return "does not report its memory, so it cannot be shared"
            return "does not report its memory"
        if (
            # The lower bound in decimal, as on the box, and the device in binary: "80G.." has to
            # match a device that reports 79.6 GiB.
            (self.memory or 0) > device.memory
            or (self.at_least or 0) * 10**9 > device.memory << 30
            or (self.at_most is not None and self.at_most < device.memory)
        ):
            return f"has {format_memory(device.memory)}"
        return None

    def __str__(self) -> str:
        kind = " or ".join(self.models)
        devices = f"{self.gpus} {kind}{' ' if kind else ''}GPU{'' if self.gpus == 1 else 's'}"
        if self.devices:
            devices = f"GPU{'' if self.gpus == 1 else 's'} {', '.join(self.devices)}"
        if self.at_least and self.at_most:
            devices += f" of {format_memory(self.at_least)} to {format_memory(self.at_most)}"
        elif self.at_least:
            devices += f" of {format_memory(self.at_least)} or more"
        elif self.at_most:
            devices += f" of {format_memory(self.at_most)} or less"
        if self.memory is None:
            return devices
        over = ", over-subscribed" if self.over else ""
        return f"{devices} with {format_memory(self.memory)} each{over}"


def requirements_of(
    gpus: Union[int, str], memory: Optional[int] = None, visible_as: Optional[str] = None
) -> Requirements:
    """Make requirements from what a program passes: a count or a typed request, and bytes of each.

    visible_as: "uuid" or "index".

    Raises:
        InvalidInput: an argument makes no sense.
    """
    named = None
    if visible_as is not None:
        try:
            named = VisibleAs.parse(visible_as)
        except InvalidInput as error:
            raise InvalidInput(f"visible_as {error}") from None
    if not isinstance(gpus, str):
        return Requirements(gpus=gpus, memory=memory, visible_as=named)
    return replace(Requirements.parse(gpus), memory=memory, visible_as=named)
