"""What a head looks like: colours of skin, lips, eyes and hair, light and background, drawn anew
for every person. ICT-FaceKit brings no texture, so colour is a function of the place on the head.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..landmarks import LIPS_OUTER, tracked
from .face_kit import BACK_HEAD, EYES, GUMS, SKIN, TEETH, FaceKit
from .landmark_map import LandmarkMap

Colour = tuple[float, float, float]
"""RGB in [0, 1], as displayed."""

_SKIN_TONES: tuple[Colour, ...] = (
    (0.95, 0.80, 0.72), (0.91, 0.74, 0.63), (0.84, 0.64, 0.52), (0.74, 0.54, 0.41),
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
_LEFT_BROW, _RIGHT_BROW = (70, 63, 105, 66, 107), (336, 296, 334, 293, 300)
_EYE_DISTANCE = 9.4
"""Of ICT-FaceKit's neutral head, cm: lengths below are for a head of that size."""


@dataclass(frozen=True)
class Appearance:
    """One person's colours, and the place they are in."""

    skin: Colour = (0.84, 0.64, 0.52)
    lips: Colour = (0.70, 0.42, 0.39)
    hair: Colour = (0.16, 0.10, 0.07)
    iris: Colour = (0.30, 0.20, 0.11)
    cloth: Colour = (0.25, 0.28, 0.35)
    background: tuple[Colour, Colour] = ((0.55, 0.58, 0.60), (0.35, 0.38, 0.42))
    hairline: float = 0.0
    """cm by which hair begins lower (> 0) or higher than usual; below -6 there is none."""
    brow_strength: float = 0.7
    """0 (none) to 1."""
    ambient: float = 0.5
    """Light from everywhere; the rest comes from `light`."""
    light: tuple[float, float, float] = (-0.4, -0.5, -0.77)
    """Where the lamp is from the head: x right, y down, z away from the camera."""
    shine: float = 0.12
    seed: int = 0
    """Of mottling and background."""

    @classmethod
    def draw(cls, generator: torch.Generator) -> "Appearance":
        """A random person in a random place."""

        def uniform(low: float, high: float) -> float:
            return low + (high - low) * float(torch.rand((), generator=generator))

        def pick(colours: tuple[Colour, ...]) -> Colour:
            chosen = colours[int(torch.randint(len(colours), (), generator=generator))]
            return _mixed(chosen, (uniform(0.0, 1.0), uniform(0.0, 1.0), uniform(0.0, 1.0)), 0.05)

        position = uniform(0.0, len(_SKIN_TONES) - 1.001)
        tone = _mixed(_SKIN_TONES[int(position)], _SKIN_TONES[int(position) + 1], position % 1)
        skin = _mixed(tone, (0.9, 0.5, 0.4), uniform(0.0, 0.12))
        dark = _SKIN_TONES[-1]
        lips = _mixed(skin, (0.72, 0.25, 0.28) if position < 4 else dark, uniform(0.25, 0.6))
        grey = uniform(0.15, 0.85)
        places = [
            _mixed(
                (grey, grey, grey), (uniform(0.0, 1.0), uniform(0.0, 1.0), uniform(0.0, 1.0)), 0.35
            )
            for _ in range(2)
        ]
        return cls(
            skin=skin,
            lips=lips,
            hair=pick(_HAIR[: 2 if position > 3 else None]),
            iris=pick(_IRIS[: 2 if position > 3 else None]),
            cloth=(uniform(0.05, 0.9), uniform(0.05, 0.9), uniform(0.05, 0.9)),
            background=(places[0], places[1]),
            hairline=uniform(-1.5, 1.5) if uniform(0.0, 1.0) < 0.85 else -9.0,
            brow_strength=uniform(0.4, 0.9),
            ambient=uniform(0.4, 0.68),
            light=(uniform(-0.9, 0.9), uniform(-0.9, 0.1), -1.0),
            shine=uniform(0.03, 0.2),
            seed=int(torch.randint(1 << 30, (), generator=generator)),
        )


@dataclass(frozen=True)
class Surface:
    """What the renderer needs to know of every vertex, beside where it is."""

    albedo: Float[Tensor, "v 3"]
    gloss: Float[Tensor, " v"]
    """How much of the shine it has."""
    hair: Float[Tensor, " v"]
    """cm by which hair stands off the head."""
    inside: Float[Tensor, " v"]
    """1 for what lies inside the mouth and gets less light the deeper it lies."""


def surface(kit: FaceKit, landmark_map: LandmarkMap, appearance: Appearance) -> Surface:
    """Colours of the neutral head's vertices; expressions carry them along."""
    neutral = kit.neutral
    landmarks = landmark_map.landmarks(neutral[None])[0]
    generator = torch.Generator().manual_seed(appearance.seed)
    albedo = torch.tensor(appearance.skin).expand(len(neutral), 3).clone()
    albedo *= 1 + 0.035 * _mottling(neutral, generator)[:, None]
    gloss = torch.ones(len(neutral))
    hair = torch.zeros(len(neutral))
    inside = torch.zeros(len(neutral))
    skin, back = kit.vertices_of(SKIN), kit.vertices_of(BACK_HEAD)

    lips = landmarks[tracked(LIPS_OUTER)]
    share = _inside_polygon(neutral[skin, :2], lips[:, :2], softness=0.12)
    share *= ((neutral[skin, 2] - lips[:, 2].min()) < 2.5).float()
    _blend(albedo, skin, appearance.lips, share)
    gloss[skin] += 0.8 * share
    for brow in (_LEFT_BROW, _RIGHT_BROW):
        line = landmarks[tracked(brow)] + torch.tensor((0.0, 0.3, 0.0))
        away = _distance_to_line(neutral[skin, :2], line[:, :2])
        _blend(albedo, skin, appearance.hair, appearance.brow_strength * _bump(away, 0.4))
    _blend(
        albedo,
        skin,
        _mixed(appearance.skin, (0.85, 0.35, 0.3), 0.3),
        _cheeks(neutral[skin], landmarks),
    )

    thickness = _hair_thickness(neutral, appearance.hairline) if appearance.hairline > -6 else hair
    thickness = thickness * _bump_noise(neutral, generator)
    drawn = torch.cat([skin, back]).unique()
    hair[drawn] = thickness[drawn]
    _blend(albedo, drawn, appearance.hair, (thickness[drawn] / 0.3).clamp(0, 1))
    gloss[drawn] *= 1 - 0.7 * (thickness[drawn] / 0.3).clamp(0, 1)
    _blend(albedo, back, appearance.cloth, _step(neutral[back, 1], 14.2, 14.6))

    mouth = lips.mean(dim=0) + torch.tensor((0.0, 0.0, 3.5))
    socket = back[(neutral[back] - mouth).norm(dim=1) < 6.2]
    socket = socket[~torch.isin(socket, skin)]
    _paint(albedo, gloss, inside, socket, (0.22, 0.06, 0.06), 0.2)
    _paint(albedo, gloss, inside, kit.vertices_of(GUMS), (0.62, 0.28, 0.28), 0.6)
    _paint(albedo, gloss, inside, kit.vertices_of(TEETH), (0.90, 0.87, 0.80), 1.0)
    for name in EYES:
        _paint_eye(kit, name, appearance, albedo, gloss, back)
    return Surface(albedo.clamp(0.01, 1), gloss, hair, inside)


def _paint(
    albedo: Tensor, gloss: Tensor, inside: Tensor, vertices: Tensor, colour: Colour, shine: float
) -> None:
    albedo[vertices] = torch.tensor(colour)
    gloss[vertices], inside[vertices] = shine, 1.0


def _paint_eye(
    kit: FaceKit, name: str, appearance: Appearance, albedo: Tensor, gloss: Tensor, back: Tensor
) -> None:
    """White, iris and pupil by the distance from the front pole; the socket behind is black."""
    ball = kit.vertices_of(name)
    if len(ball) == 0:
        return
    places = kit.neutral[ball]
    centre = (places.amin(dim=0) + places.amax(dim=0)) / 2
    socket = back[(kit.neutral[back] - centre).norm(dim=1) < 2.0]
    albedo[socket], gloss[socket] = 0.02, 0.0
    away = (places[:, :2] - centre[:2]).norm(dim=1)
    albedo[ball] = torch.tensor((0.86, 0.84, 0.82))
    front = (places[:, 2] < centre[2]).float()
    _blend(albedo, ball, appearance.iris, front * (1 - _step(away, 0.56, 0.66)))
    _blend(albedo, ball, (0.02, 0.02, 0.02), front * (1 - _step(away, 0.2, 0.28)))
    gloss[ball] = 1.5


def _hair_thickness(points: Float[Tensor, "v 3"], hairline: float) -> Float[Tensor, " v"]:
    """cm of hair: above a line that runs from the forehead down to the nape, ears left out."""
    height = -points[:, 1]
    line = 9.6 - hairline - 1.25 * (points[:, 2] + 7.5).clamp(0, 10)
    thick = 0.9 * _step(height - line, 0.0, 1.4)
    ears = (points[:, 0].abs() > 8.2) & (points[:, 1] > -6.0) & (points[:, 1] < 5.0)
    thick[ears & (points[:, 2] < 6.0)] = 0.0
    return thick


def _cheeks(points: Float[Tensor, "c 3"], landmarks: Float[Tensor, "k 3"]) -> Float[Tensor, " c"]:
    mouth = landmarks[tracked((61, 291))]
    centres = mouth + torch.tensor(((-1.5, -2.6, 0.0), (1.5, -2.6, 0.0)))
    away = torch.cdist(points[:, :2], centres[:, :2]).amin(dim=1)
    return 0.5 * _bump(away, 1.8)


def _mottling(points: Float[Tensor, "v 3"], generator: torch.Generator) -> Float[Tensor, " v"]:
    """Smooth noise over space, about unit variance, in details from 6 to 1 cm."""
    value = torch.zeros(len(points))
    for size in (6.0, 2.5, 1.0):
        waves = torch.randn(6, 3, generator=generator) * (2 * torch.pi / size / 1.7)
        phases = 2 * torch.pi * torch.rand(6, generator=generator)
        value += torch.sin(points @ waves.T + phases).sum(dim=1) / 3
    return value


def _bump_noise(points: Float[Tensor, "v 3"], generator: torch.Generator) -> Float[Tensor, " v"]:
    return (1 + 0.12 * _mottling(points, generator)).clamp(0.6, 1.4)


def _blend(albedo: Tensor, chosen: Tensor, colour: Colour, share: Float[Tensor, " c"]) -> None:
    """Mixes a colour into the chosen vertices, in place."""
    albedo[chosen] = torch.lerp(albedo[chosen], torch.tensor(colour), share[:, None].clamp(0, 1))


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = ((1 - share) * a + share * b for a, b in zip(one, other, strict=True))
    return red, green, blue


def _bump(away: Float[Tensor, " c"], width: float) -> Float[Tensor, " c"]:
    return torch.exp(-((away / width) ** 2))


def _step(value: Float[Tensor, " c"], low: float, high: float) -> Float[Tensor, " c"]:
    """0 below `low`, 1 above `high`, smooth between."""
    x = ((value - low) / (high - low)).clamp(0, 1)
    return x * x * (3 - 2 * x)


def _distance_to_line(
    points: Float[Tensor, "c 2"], line: Float[Tensor, "p 2"]
) -> Float[Tensor, " c"]:
    """Of every point to an open polygon."""
    start, along = line[:-1], line[1:] - line[:-1]
    from_start = points[:, None] - start
    share = (from_start * along).sum(dim=-1) / along.square().sum(dim=-1).clamp_min(1e-9)
    return (from_start - share.clamp(0, 1)[..., None] * along).norm(dim=-1).amin(dim=1)


def _inside_polygon(
    points: Float[Tensor, "c 2"], corners: Float[Tensor, "p 2"], softness: float
) -> Float[Tensor, " c"]:
    """1 inside a closed polygon, 0 outside, over `softness` about its edge."""
    closed = torch.cat([corners, corners[:1]])
    one, other = closed[:-1], closed[1:]
    above = (one[:, 1] > points[:, 1:2]) != (other[:, 1] > points[:, 1:2])
    slope = (other[:, 0] - one[:, 0]) / (other[:, 1] - one[:, 1] + 1e-12)
    crossing = points[:, :1] < slope * (points[:, 1:2] - one[:, 1]) + one[:, 0]
    inside = (above & crossing).sum(dim=1) % 2 == 1
    away = _distance_to_line(points, closed)
    return _step(torch.where(inside, away, -away), -softness, softness)
