"""Seventy ways to talk that nobody trained on: the frozen styles of the style benchmark.

Each is a change of real lip motion written down in gestures, sounds and time, so that it belongs to
no model. The list is a file of this package with its own hash; it is drawn once by
`draw_held_out_styles` and never again, so that figures of today and of later are comparable.

How far apart they lie is measured, not chosen: gains and offsets of the families "shape", "sounds"
and "phones" spread as those of 23 real people do (standard deviation over people of the log of each
gesture's own deviation, and of its mean), times the square root of 2, which is how far two people
drawn at random are apart. The families of single sounds are about as strong as it takes to move
the lips, while their sound is heard, as far as "shape" moves them on average. Mean change of the
lips on 20 validation clips of GRID's speaker 1, % of the eye distance: shape 2.4, timing 1.3,
sounds 2.2, phones 2.0, lopsided .8; while their sound is heard, rounding 2.4 and closures 1.6.
(The lips themselves are 2.7 away from neutral on average.)
"""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from .alignments import SHAPE_NAMES
from .gestures import GESTURES, activations, moved
from .heard import Heard, sound_gates
from .style_list import StyleList, frozen_styles, in_time

MODE = "held-out styles"

FAMILIES = ("shape", "timing", "sounds", "phones", "rounding", "closures", "lopsided")
"""What a style changes:

    shape     gains, mixing and rest of all gestures
    timing    lips late or early, and sluggish
    sounds    gain and offset on clusters of like sounds (no labels: k-means of speech features)
    phones    gain and offset on each class of mouth shape
    rounding  rounded sounds only: lips pushed out and drawn in more, or not at all
    closures  lips that stay apart at p, b and m
    lopsided  one side of the mouth opens more
"""
NEVER_TRAINED = ("phones", "rounding")
"""Families of which training draws nothing alike. Training knows lips that do not meet wherever the
mouth is nearly closed, which is near to "closures", and mouths of which one half moves more, which
is near to "lopsided"."""
GATED = {"rounding": "rounded", "closures": "bilabial"}
"""Families that change one class of sounds: the error is also taken there alone."""
STYLES_FILE = Path(__file__).with_name("held_out_styles.json")
PER_FAMILY = 10

GAIN_SPREAD = (0.18, 0.41, 0.29, 0.24, 0.26, 0.51, 0.47)
"""Over people: deviation of the log of each gesture's deviation (order of GESTURES)."""
REST_SPREAD = (0.0117, 0.0114, 0.0102, 0.0113, 0.0093, 0.0056, 0.0024)
"""Over people: deviation of each gesture's mean, eye distances."""
_TWO_PEOPLE = 2**0.5
_BY_SOUND = 1.7
"""Sounds come and go and their changes overlap: what is drawn per sound is made so much larger, so
that the lips are moved about as far as by "shape"."""
_ACTIVE = 0.25
"""Share of the sound clusters that a "sounds" style changes."""
_OPEN, _SPREAD, _PROTRUDE, _LOPSIDED = (
    GESTURES.index(name) for name in ("open", "spread", "protrude", "lopsided")
)


@dataclass(frozen=True)
class HeldOutStyle:
    """One way to talk; everything left at its default changes nothing."""

    name: str
    family: str
    gain: tuple[float, ...] = (1.0,) * len(GESTURES)
    mixing: tuple[tuple[float, ...], ...] = ()
    """Row i: how much of gesture i becomes each gesture; no rows is no mixing."""
    rest: tuple[float, ...] = (0.0,) * len(GESTURES)
    """Eye distances added to every gesture."""
    lag: int = 0
    """Steps of 1/25 s by which the lips come later."""
    smoothing: float = 0.0
    """Standard deviation of a Gaussian over time, steps."""
    log_gains: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Sound -> log gain of every gesture while it is heard. A sound is a class of mouth shape, or
    "cluster N" of the gates."""
    offsets: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Sound -> eye distances added to every gesture while it is heard."""
    lopsided: float = 0.0
    """Of the opening, how much more one side opens."""

    def apply(
        self, displacement: Float[Tensor, "t points 3"], heard: Heard
    ) -> Float[Tensor, "t points 3"]:
        """See Style."""
        return apply_style(self, displacement, heard)

    def gate(self, heard: Heard) -> Float[Tensor, " t"] | None:
        """The sound of the families in GATED."""
        return heard[GATED[self.family]] if self.family in GATED else None


def apply_style(
    style: HeldOutStyle, displacement: Float[Tensor, "t points 3"], heard: Heard
) -> Float[Tensor, "t points 3"]:
    """The same lips as the style would move them; `displacement` from neutral, eye distances."""
    gesture = activations(displacement)
    changed = gesture * gesture.new_tensor(style.gain) + gesture.new_tensor(style.rest)
    if style.mixing:
        changed = changed + gesture @ gesture.new_tensor(style.mixing)
    log_gain = torch.zeros_like(gesture)
    for sound, values in style.log_gains.items():
        log_gain = log_gain + heard[sound][:, None] * gesture.new_tensor(values)
    changed = changed * torch.exp(log_gain)
    for sound, values in style.offsets.items():
        changed = changed + heard[sound][:, None] * gesture.new_tensor(values)
    tilt = torch.zeros_like(changed)
    tilt[:, _LOPSIDED] = style.lopsided * gesture[:, _OPEN]
    return in_time(moved(displacement, changed + tilt - gesture), style.lag, style.smoothing)


@cache
def read_held_out_styles() -> tuple[HeldOutStyle, ...]:
    """The frozen list; ValueError when the file is not the one that its hash was made of."""
    return tuple(HeldOutStyle(**style) for style in frozen_styles(STYLES_FILE))


def held_out_list() -> StyleList:
    """Every target clip meets all of them."""
    return StyleList(MODE, read_held_out_styles())


def draw_held_out_styles(seed: int = 2024) -> list[HeldOutStyle]:
    """PER_FAMILY styles of each family. Changing anything here does not change the frozen file."""
    generator = torch.Generator().manual_seed(seed)
    makers = {
        "shape": _shape, "timing": _timing, "sounds": _sounds, "phones": _phones,
        "rounding": _rounding, "closures": _closures, "lopsided": _lopsided,
    }  # fmt: skip
    return [
        HeldOutStyle(name=f"{family} {i}", family=family, **makers[family](i, generator))
        for family in FAMILIES
        for i in range(PER_FAMILY)
    ]


def _rounded(values: Tensor) -> tuple:
    def short(value):
        return tuple(short(v) for v in value) if isinstance(value, list) else round(value, 5)

    return short(values.tolist())


def _normal(spread: tuple[float, ...], generator: torch.Generator) -> Tensor:
    return _TWO_PEOPLE * torch.tensor(spread) * torch.randn(len(spread), generator=generator)


def _shape(number: int, generator: torch.Generator) -> dict:
    mixing = 0.12 * torch.randn(len(GESTURES), len(GESTURES), generator=generator)
    # The weak gestures must not be flooded by the opening, which is several times larger.
    mixing = mixing * torch.tensor([1.0] * 5 + [0.3] * 2)
    return {
        "gain": _rounded(torch.exp(_normal(GAIN_SPREAD, generator))),
        "mixing": _rounded(mixing),
        "rest": _rounded(_normal(REST_SPREAD, generator)),
    }


def _timing(number: int, generator: torch.Generator) -> dict:
    lag = (-3, -2, -2, -1, 0, 1, 2, 2, 3, 3)[number]
    smoothing = (0.0, 0.0, 1.2, 0.8, 1.6, 1.2, 0.0, 1.0, 0.0, 1.4)[number]
    return {"lag": lag, "smoothing": smoothing}


def _sounds(number: int, generator: torch.Generator) -> dict:
    count = sum(map(len, sound_gates().centres))
    active = (torch.rand(count, generator=generator) < _ACTIVE).nonzero()[:, 0].tolist()
    names = [f"cluster {i}" for i in active]
    return {
        "log_gains": {n: _rounded(_BY_SOUND * _normal(GAIN_SPREAD, generator)) for n in names},
        # Several clusters of one sound overlap and share its change.
        "offsets": {n: _rounded(2 * _BY_SOUND * _normal(REST_SPREAD, generator)) for n in names},
    }


def _phones(number: int, generator: torch.Generator) -> dict:
    names = [name for name in SHAPE_NAMES if name != "silence"]
    return {
        "log_gains": {n: _rounded(_BY_SOUND * _normal(GAIN_SPREAD, generator)) for n in names},
        "offsets": {n: _rounded(_BY_SOUND * _normal(REST_SPREAD, generator)) for n in names},
    }


def _single(**values: float) -> tuple[float, ...]:
    return tuple(round(values.get(name, 0.0), 5) for name in GESTURES)


def _rounding(number: int, generator: torch.Generator) -> dict:
    amount = (0.7 + 0.6 * float(torch.rand((), generator=generator))) * (1 if number % 2 else -1)
    offset = _single(protrude=0.030 * amount, spread=-0.026 * amount, open=-0.012 * amount)
    return {"offsets": {"rounded": offset}}


def _closures(number: int, generator: torch.Generator) -> dict:
    amount = 0.7 + 0.6 * float(torch.rand((), generator=generator))
    return {"offsets": {"bilabial": _single(open=0.05 * amount, **{"raise": 0.015 * amount})}}


def _lopsided(number: int, generator: torch.Generator) -> dict:
    amount = 0.8 + 0.6 * float(torch.rand((), generator=generator))
    side = 1 if number % 2 else -1
    smile = 0.01 * float(torch.rand((), generator=generator))
    return {"lopsided": round(side * amount, 5), "rest": _single(shift=side * smile)}
