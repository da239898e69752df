"""Names of GPUs, as people type them and as drivers report them.

"a100", "A100-80GB" and "NVIDIA A100" all name an "NVIDIA A100-SXM4-80GB". "A10" does not, and "RTX
4070" is not an "RTX 4070 Ti": a longer word, or one of `_OTHERS` after it, is another model.
"""

from __future__ import annotations

import functools
import re
from typing import Optional

# The longest text that names a model.
MODEL_LIMIT = 64
MODEL = r"(?a)[A-Za-z0-9][A-Za-z0-9 ._+-]*"
# A digit behind a letter begins a new part: "RTX3090" is "RTX 3090", but "L40S" stays.
_PARTS = r"[0-9][a-z0-9]*|[a-z]+"
_WORDS = r"[^a-z0-9.+]+"
_PROFILE = r"([0-9]+)g\.([0-9]+)gb(\+[a-z.]+)?"

# The brand says nothing about the model, so it may be typed or left out.
_BRANDS = ("nvidia", "geforce", "tesla", "quadro")
_OTHERS = ("ti", "super", "ada", "laptop", "max", "mobile")


def is_model_text(text: str) -> bool:
    """Whether a request can name a model by this text."""
    return len(text) <= MODEL_LIMIT and re.fullmatch(MODEL, text) is not None


def is_profile(text: str) -> bool:
    """Whether a text is the profile of a MIG instance, such as 1g.10gb."""
    return re.fullmatch(_PROFILE, text.lower()) is not None


@functools.lru_cache(maxsize=4096)
def is_model(name: str, typed: str, *, instance: bool = False) -> bool:
    """Whether a device that its driver calls `name` is of the model that somebody typed.

    instance: whether the device is a MIG instance; only a profile names those, alone or after the
    model: "1g.10gb", "A100 1g.10gb".
    """
    known, wanted = name.lower(), typed.lower()
    profiles = [word for word in _words(wanted) if is_profile(word)]
    # "A100" must not match a slice of an A100, and a profile must not match the whole GPU.
    if bool(profiles) != instance:
        return False
    if profiles and not set(profiles) <= set(_words(known)):
        return False
    parts = _parts(known)
    at = 0
    for word in _words(wanted):
        if word in _BRANDS or word in profiles:
            continue
        end = _find("".join(re.findall(_PARTS, word)), parts, at)
        if end is None:
            return False
        at = end
    # The words match a prefix of the model: what follows decides. "RTX 4070" followed by "ti" is
    # another model; "A100" followed by "SXM4" is not.
    return at >= len(parts) or parts[at] not in _OTHERS


def _words(text: str) -> list[str]:
    return [word for word in re.split(_WORDS, text) if word]


def _parts(name: str) -> list[str]:
    return [part for word in _words(name) for part in re.findall(_PARTS, word)]


def _find(word: str, parts: list[str], start: int) -> Optional[int]:
    """Where the parts that spell `word` end, from `start` on."""
    for first in range(start, len(parts)):
        spelled = ""
        for last in range(first, len(parts)):
            spelled += parts[last]
            if spelled == word:
                return last + 1
            if not word.startswith(spelled):
                break
    return None
