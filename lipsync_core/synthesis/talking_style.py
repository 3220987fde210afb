"""How one synthetic person talks: a few numbers with documented ranges."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import torch

from .visemes import CLASSES

_SPOKEN = tuple(name for name in CLASSES if name != "rest")


@dataclass(frozen=True)
class TalkingStyle:
    """All defaults are a neutral, clear speaker; ranges are those that `draw` draws from."""

    jaw_gain: float = 1.0
    """How far the jaw opens, 0.5 to 1.6."""
    rounding_gain: float = 1.0
    """How much lips pucker and funnel, 0.3 to 1.7."""
    spread_gain: float = 1.0
    """How far the corners go apart, 0.2 to 1.9."""
    lower_lip_gain: float = 1.0
    """How far the lower lip uncovers the teeth, 0.3 to 1.8."""
    upper_lip_gain: float = 1.0
    """How far the upper lip rises, 0.3 to 2.2."""
    smile: float = 0.0
    """A lasting smile, or frown below 0: -0.2 to 0.35."""
    asymmetry: float = 0.0
    """How much more the picture's right half moves than the left: -0.45 to 0.45."""
    incompleteness: float = 0.0
    """The part of a seal that is missing where lips should meet, 0 to 0.45."""
    lag: float = 0.0
    """Seconds by which the lips come after the sound, -0.04 to 0.08."""
    coarticulation: float = 1.0
    """How far sounds reach into each other, 0.6 to 2.2."""
    rest_opening: float = 0.0
    """How far the jaw hangs in silence and adds to speech, 0 to 0.1 of its range."""
    protrusion: float = 0.0
    """A lasting pucker, 0 to 0.2."""
    press: float = 0.0
    """How hard lips are pressed together in seals, 0 to 0.8."""
    loudness_effect: float = 0.5
    """How much further the mouth opens for loud than for soft sounds, 0 to 1."""
    class_gains: tuple[float, ...] = (1.0,) * len(_SPOKEN)
    """How strongly each class of sounds is made, in the order of visemes.CLASSES without rest:
    0.55 to 1.5."""

    @classmethod
    def neutral(cls) -> "TalkingStyle":
        """A clear speaker without peculiarities."""
        return cls()

    @classmethod
    def draw(cls, generator: torch.Generator, strength: float = 1.0) -> "TalkingStyle":
        """A random style; `strength` in [0, 1] draws it towards the neutral one."""
        drawn: dict[str, Any] = {}
        neutral = cls()
        for name, (low, high) in RANGES.items():
            middle = getattr(neutral, name)
            if name == "class_gains":
                middle = 1.0
                share = torch.rand(len(_SPOKEN), generator=generator).tolist()
                drawn[name] = tuple(_between(low, high, middle, s, strength) for s in share)
            else:
                share = float(torch.rand((), generator=generator))
                drawn[name] = _between(low, high, middle, share, strength)
        # Most people close their lips for p, b and m.
        if float(torch.rand((), generator=generator)) < 0.5:
            drawn["incompleteness"] = 0.0
        return cls(**drawn)

    def gains(self) -> dict[str, float]:
        """The gain of every class of sounds."""
        return dict(zip(_SPOKEN, self.class_gains, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Plain values by name."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TalkingStyle":
        """What `to_dict` gave; ValueError for names that are no parameters."""
        known = {field.name for field in fields(cls)}
        if unknown := values.keys() - known:
            raise ValueError(f"a talking style has no {sorted(unknown)}; it has {sorted(known)}")
        plain = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return replace(cls(), **plain)


RANGES: dict[str, tuple[float, float]] = {
    "jaw_gain": (0.5, 1.6),
    "rounding_gain": (0.3, 1.7),
    "spread_gain": (0.2, 1.9),
    "lower_lip_gain": (0.3, 1.8),
    "upper_lip_gain": (0.3, 2.2),
    "smile": (-0.2, 0.35),
    "asymmetry": (-0.45, 0.45),
    "incompleteness": (0.0, 0.45),
    "lag": (-0.04, 0.08),
    "coarticulation": (0.6, 2.2),
    "rest_opening": (0.0, 0.1),
    "protrusion": (0.0, 0.2),
    "press": (0.0, 0.8),
    "loudness_effect": (0.0, 1.0),
    "class_gains": (0.55, 1.5),
}


def _between(low: float, high: float, middle: float, share: float, strength: float) -> float:
    """Half of the draws lie below `middle`, half above, wherever it lies in the range."""
    if low == middle or high == middle:
        value = low + share * (high - low)
    elif share < 0.5:
        value = low + 2 * share * (middle - low)
    else:
        value = middle + (2 * share - 1) * (high - middle)
    return middle + strength * (value - middle)
