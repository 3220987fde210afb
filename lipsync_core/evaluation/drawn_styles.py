"""Sixty styles drawn in the coefficients of one frozen basis: the second list of the benchmark.

Gains, mixing and offsets; lag and smoothing; changes that depend on what is heard. They are drawn
from distributions like those of training (families G, T and C), and from ones that training does
not have (P3, P1x and P2x). The list is a file of this package with its own hash. What it is
written in is frozen beside it: components and standard deviations of one lip motion basis, and two
directions. A style changes a displacement by what it changes of its coefficients there, so that
predictors of any basis are judged by the same styles.

Mean change of the lips on 40 validation clips of GRID's speaker 1, % of the eye distance: G 1.6,
T 1.1, C 1.4, P3 1.0; while their sound is heard, P1x 1.6 and P2x 2.2. (The lips themselves are 2.7
away from neutral on average.)
"""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor

from ..motion.basis import LipMotionBasis
from .heard import VISEMES, Heard, sound_gates
from .style_list import StyleList, frozen_styles, in_time

MODE = "drawn styles"
SHAPE, TIMING, CONTENT = "G shape", "T timing", "C content"
PHONES, ROUNDING, CLOSURES = "P3 visemes", "P1x rounding", "P2x closures"
FAMILIES = (SHAPE, TIMING, CONTENT, PHONES, ROUNDING, CLOSURES)
"""What a style changes:

    G shape       gain of every coefficient, mixing of the first eight, offset
    T timing      lips one or two steps late or early, half of them smoothed
    C content     gain and offset on clusters of like sounds and along a direction of the speech
    P3 visemes    gain and offset on each class of VISEMES
    P1x rounding  rounded vowels rounded more, or not at all
    P2x closures  lips that stay apart at p, b and m
"""
GATED = {ROUNDING: "viseme rounded", CLOSURES: "viseme bilabial"}
"""Families that change one class of sounds: their error is taken while it is heard."""
GATE_FROM = 0.3
"""How much of the sound must be there for a step to count."""
STYLES_FILE = Path(__file__).with_name("drawn_styles.json")
BASIS_FILE = Path(__file__).with_name("drawn_styles_basis.safetensors")
PER_FAMILY = 10
EACH = 4
"""Styles of a family that a target clip meets."""
ALIKE = 0.9
"""Cosine of two changes of the lips above which they differ in their amount only."""

_MIXED = 8
_LEADING = 10
"""Coefficients that carry visible shape: offsets by sound are kept small on the rest."""
_LARGEST_LOG_GAIN = 1.2


@dataclass(frozen=True)
class DrawnStyle:
    """One way to talk, in m coefficients in units of their standard deviation; everything left at
    its default changes nothing."""

    name: str
    family: str
    gain: tuple[float, ...] = ()
    mixing: tuple[tuple[float, ...], ...] = ()
    """Row i: how much of coefficient i is added to each of the first ones."""
    offset: tuple[float, ...] = ()
    lag: int = 0
    """Steps of 1/25 s by which the lips come later."""
    smoothing: float = 0.0
    """Standard deviation of a Gaussian over time, steps."""
    log_gains: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Sound, as Heard names it -> log gain of every coefficient while it is heard."""
    offsets: dict[str, tuple[float, ...]] = field(default_factory=dict)
    direction: tuple[float, ...] = ()
    """In the components of the speech: the sigmoid of the way along it, beyond `threshold`, gates
    `direction_log_gain` and `direction_offset`."""
    threshold: float = 0.0
    direction_log_gain: tuple[float, ...] = ()
    direction_offset: tuple[float, ...] = ()

    def apply(
        self, displacement: Float[Tensor, "t points 3"], heard: Heard
    ) -> Float[Tensor, "t points 3"]:
        """See Style; what the frozen basis does not span stays as it was."""
        space = drawn_space()
        plain = space.basis.project(displacement) / space.scale
        styled = in_time(self._by_sound(self._everywhere(plain), heard), self.lag, self.smoothing)
        return displacement + space.basis.displacement((styled - plain) * space.scale)

    def gate(self, heard: Heard) -> Float[Tensor, " t"] | None:
        """1 where the sound of a family in GATED is heard."""
        if self.family not in GATED:
            return None
        return (heard[GATED[self.family]] > GATE_FROM).float()

    def _everywhere(self, plain: Float[Tensor, "t m"]) -> Float[Tensor, "t m"]:
        styled = plain.clone()
        if self.gain:
            styled *= plain.new_tensor(self.gain)
        if self.mixing:
            mixed = len(self.mixing)
            styled[:, :mixed] += plain[:, :mixed] @ plain.new_tensor(self.mixing)
        if self.offset:
            styled += plain.new_tensor(self.offset)
        return styled

    def _by_sound(self, motion: Float[Tensor, "t m"], heard: Heard) -> Float[Tensor, "t m"]:
        log_gain, offset = torch.zeros_like(motion), torch.zeros_like(motion)
        for sound, values in self.log_gains.items():
            log_gain += heard[sound][:, None] * motion.new_tensor(values)
        for sound, values in self.offsets.items():
            offset += heard[sound][:, None] * motion.new_tensor(values)
        if self.direction:
            along = heard.components @ motion.new_tensor(self.direction)
            side = torch.sigmoid(along - self.threshold)[:, None]
            log_gain += side * motion.new_tensor(self.direction_log_gain)
            offset += side * motion.new_tensor(self.direction_offset)
        return motion * log_gain.clamp(-_LARGEST_LOG_GAIN, _LARGEST_LOG_GAIN).exp() + offset


@dataclass(frozen=True)
class DrawnSpace:
    """What the styles are written in."""

    basis: LipMotionBasis
    scale: Float[Tensor, " m"]
    """Standard deviation of each coefficient, eye distances."""
    rounding: Float[Tensor, " m"]
    """Mean of rounded vowels minus that of the other vowels, in units of `scale`; GRID's speaker
    1, training split."""
    opening: Float[Tensor, " m"]
    """Mean of the fifth of the steps with the widest open lips minus that of the fifth with the
    least open ones."""


@cache
def drawn_space() -> DrawnSpace:
    """The frozen basis, its deviations and two directions."""
    stored = {name: value.float() for name, value in load_file(BASIS_FILE).items()}
    basis = LipMotionBasis(stored["components"])
    return DrawnSpace(basis, stored["scale"], stored["rounding"], stored["opening"])


@cache
def read_drawn_styles() -> tuple[DrawnStyle, ...]:
    """The frozen list; ValueError when the file is not the one that its hash was made of."""
    return tuple(DrawnStyle(**style) for style in frozen_styles(STYLES_FILE))


def drawn_list() -> StyleList:
    """Every target clip meets EACH styles of a family, in turn."""
    return StyleList(MODE, read_drawn_styles(), EACH, ALIKE)


def draw_styles(seed: int = 12) -> list[DrawnStyle]:
    """PER_FAMILY styles of each family. Changing anything here does not change the frozen file.

    Of 13 seeds the default is the one whose families are each about as strong (within 5 %) as they
    are on average: ten styles by a lucky draw would be easy or hard.
    """
    generator = torch.Generator().manual_seed(seed)
    makers = {
        SHAPE: _shape, TIMING: _timing, CONTENT: _content,
        PHONES: _phones, ROUNDING: _rounding, CLOSURES: _closures,
    }  # fmt: skip
    return [
        DrawnStyle(name=f"{family} {i}", family=family, **makers[family](i, generator))
        for family in FAMILIES
        for i in range(PER_FAMILY)
    ]


def _short(values: Tensor) -> tuple:
    def rounded(value):
        return tuple(map(rounded, value)) if isinstance(value, list) else round(value, 4)

    return rounded(values.tolist())


def _leading(rest: float, size: int, first: int = _LEADING) -> Float[Tensor, " m"]:
    return torch.where(torch.arange(size) < first, 1.0, rest)


def _shape(number: int, generator: torch.Generator) -> dict:
    size = drawn_space().basis.size
    overall, own = torch.randn(1, generator=generator), torch.randn(size, generator=generator)
    mixing = 0.12 * torch.randn(_MIXED, _MIXED, generator=generator)
    offset = 0.35 * torch.randn(size, generator=generator) * _leading(0.5, size, 12)
    return {
        "gain": _short(torch.exp(0.25 * overall + 0.2 * own)),
        "mixing": _short(mixing),
        "offset": _short(offset),
    }


def _timing(number: int, generator: torch.Generator) -> dict:
    # No two alike, and neighbours, which are shown for one another, far apart.
    lag = (-2, 1, -1, 2, -1, 2, -2, 1, -2, 2)[number]
    smoothing = (0.0, 0.0, 0.9, 0.7, 0.0, 0.0, 1.2, 1.1, 0.7, 1.25)[number]
    return {"lag": lag, "smoothing": smoothing}


def _content(number: int, generator: torch.Generator) -> dict:
    size, (clusters, components) = drawn_space().basis.size, sound_gates().sizes

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    active = torch.rand(clusters, generator=generator) < 0.25
    scaled = torch.rand(clusters, generator=generator) < 0.5
    leading = _leading(0.3, size)
    log_gains = 0.45 * normal(clusters, size)
    offsets = 0.7 * normal(clusters, size) * leading
    return {
        "log_gains": {
            f"cluster {i}": _short(log_gains[i]) for i in range(clusters) if active[i] & scaled[i]
        },
        "offsets": {f"cluster {i}": _short(offsets[i]) for i in range(clusters) if active[i]},
        "direction": _short(4 * torch.nn.functional.normalize(normal(components), dim=0)),
        "threshold": round(3.2 * float(normal()), 4),
        "direction_log_gain": _short(0.4 * normal(size)),
        "direction_offset": _short(0.7 * normal(size) * leading),
    }


def _phones(number: int, generator: torch.Generator) -> dict:
    size, names = drawn_space().basis.size, [name for name in VISEMES if name != "silence"]
    log_gains = 0.4 * torch.randn(len(names), size, generator=generator)
    offsets = 0.9 * torch.randn(len(names), size, generator=generator) * _leading(0.0, size)
    return {
        "log_gains": {f"viseme {n}": _short(v) for n, v in zip(names, log_gains, strict=True)},
        "offsets": {f"viseme {n}": _short(v) for n, v in zip(names, offsets, strict=True)},
    }


def _rounding(number: int, generator: torch.Generator) -> dict:
    amount = 0.75 + 0.75 * float(torch.rand((), generator=generator))
    offset = drawn_space().rounding * amount * (1 if number % 2 else -1)
    return {"offsets": {GATED[ROUNDING]: _short(offset)}}


def _closures(number: int, generator: torch.Generator) -> dict:
    amount = 0.65 + 0.5 * float(torch.rand((), generator=generator))
    return {"offsets": {GATED[CLOSURES]: _short(drawn_space().opening * amount)}}
