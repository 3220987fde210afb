"""What a head looks like: colours of skin, lips, teeth, eyes and hair, beard, light and background,
drawn anew for every person.
"""

from dataclasses import dataclass, field

import torch

from .backdrop import Backdrop
from .drawing import Colour, Draw, mixed
from .facial_hair import FacialHair
from .lighting import Lighting
from .skin_detail import SkinDetail

_SKIN_TONES: tuple[Colour, ...] = (
    (0.90, 0.72, 0.62), (0.88, 0.68, 0.56), (0.82, 0.61, 0.49), (0.74, 0.54, 0.41),
    (0.60, 0.42, 0.31), (0.46, 0.31, 0.23), (0.34, 0.23, 0.18),
)  # fmt: skip
"""From the lightest to the darkest; a person's tone lies between two neighbours."""
_HAIR: tuple[Colour, ...] = (
    (0.08, 0.06, 0.05), (0.16, 0.10, 0.07), (0.30, 0.19, 0.11), (0.55, 0.40, 0.23),
    (0.45, 0.44, 0.43), (0.40, 0.18, 0.09),
)  # fmt: skip
_IRIS: tuple[Colour, ...] = (
    (0.20, 0.12, 0.07), (0.30, 0.20, 0.11), (0.33, 0.42, 0.50), (0.31, 0.38, 0.27),
)  # fmt: skip
_WHITE_TEETH: Colour = (0.95, 0.94, 0.91)
_YELLOW_TEETH: Colour = (0.80, 0.72, 0.55)
_LIPSTICKS: tuple[Colour, ...] = (
    (0.70, 0.10, 0.15), (0.55, 0.08, 0.20), (0.80, 0.35, 0.40), (0.50, 0.25, 0.22),
    (0.85, 0.45, 0.50),
)  # fmt: skip
_FAIR = 2.2
"""Position among the skin tones up to which skin counts as fair."""
_DARK = 3.0


@dataclass(frozen=True)
class Appearance:
    """One person's colours, and the place they are in."""

    skin: Colour = (0.84, 0.64, 0.52)
    lips: Colour = (0.70, 0.42, 0.39)
    teeth: Colour = (0.90, 0.87, 0.80)
    gums: Colour = (0.62, 0.28, 0.28)
    hair: Colour = (0.16, 0.10, 0.07)
    iris: Colour = (0.30, 0.20, 0.11)
    cloth: Colour = (0.25, 0.28, 0.35)
    hairline: float = 0.0
    """cm by which hair begins lower (> 0) or higher than usual; below -6 there is none."""
    brow_strength: float = 0.7
    """0 (none) to 1."""
    redness: float = 0.3
    """Of cheeks and nose."""
    moles: int = 0
    shine: float = 0.12
    facial_hair: FacialHair = field(default_factory=FacialHair)
    detail: SkinDetail = field(default_factory=SkinDetail)
    lighting: Lighting = field(default_factory=Lighting)
    backdrop: Backdrop = field(default_factory=Backdrop)
    seed: int = 0
    """Of mottling and moles."""

    @classmethod
    def draw(cls, generator: torch.Generator) -> "Appearance":
        """A random person in a random place."""
        draw = Draw(generator)
        position = (len(_SKIN_TONES) - 1.001) * draw.uniform(0.0, 1.0) ** 1.3
        tone = mixed(_SKIN_TONES[int(position)], _SKIN_TONES[int(position) + 1], position % 1)
        skin = mixed(tone, draw.pick(((0.9, 0.5, 0.4), (0.8, 0.6, 0.4))), draw.uniform(0.0, 0.12))
        hair = draw.pick(_HAIR[: 2 if position > _DARK else None])
        grey = draw.uniform(0.05, 0.9)
        wall = (grey, grey, grey)
        walls = tuple(mixed(wall, draw.colour(), draw.uniform(0.0, 0.4)) for _ in range(2))
        return cls(
            skin=skin,
            lips=_draw_lips(draw, skin, position),
            teeth=mixed(_WHITE_TEETH, _YELLOW_TEETH, draw.uniform(0.0, 1.0)),
            gums=mixed((0.66, 0.30, 0.30), _SKIN_TONES[-1], draw.uniform(0.0, 0.12 * position)),
            hair=hair,
            iris=draw.pick(_IRIS[: 2 if position > _DARK else None]),
            cloth=draw.colour(0.05, 0.9),
            hairline=draw.uniform(-1.5, 1.5) if draw.chance(0.85) else -9.0,
            brow_strength=draw.uniform(0.35, 0.95),
            redness=draw.uniform(0.05, 0.5),
            moles=draw.whole(7) if draw.chance(0.6) else 0,
            shine=draw.uniform(0.02, 0.22),
            facial_hair=FacialHair.draw(generator, hair),
            detail=SkinDetail.draw(generator, fair=position < _FAIR),
            lighting=Lighting.draw(generator, walls[0]),
            backdrop=Backdrop.draw(generator, (walls[0], walls[1])),
            seed=draw.whole(1 << 30),
        )


def _draw_lips(draw: Draw, skin: Colour, position: float) -> Colour:
    """From hardly redder than the skin to painted."""
    if draw.chance(0.15):
        return draw.pick(_LIPSTICKS)
    natural = (0.72, 0.25, 0.28) if position < 4 else (0.36, 0.16, 0.17)
    return mixed(skin, natural, draw.uniform(0.12, 0.65))
