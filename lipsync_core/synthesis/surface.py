"""A head's looks, vertex by vertex. ICT-FaceKit brings no texture, so colour is a function of the
place on the neutral head.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..landmarks import LIPS_OUTER, tracked
from .appearance import Appearance
from .drawing import Colour, bump, mixed, step
from .face_kit import BACK_HEAD, EYES, GUMS, SKIN, TEETH, FaceKit
from .facial_hair import hair_cover
from .landmark_map import LandmarkMap

_LEFT_BROW, _RIGHT_BROW = (70, 63, 105, 66, 107), (336, 296, 334, 293, 300)
_EYE_DISTANCE = 9.4
"""Of ICT-FaceKit's neutral head, cm: lengths below are for a head of that size."""


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
    rest: Float[Tensor, "v 3"]
    """Where it is on the neutral head, cm: there `skin_detail` looks up its noise."""
    cover: Float[Tensor, "v 3"]
    """How much of it is skin, lip and facial hair, 0 to 1."""


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

    cover = torch.zeros(len(neutral), 3)
    cover[torch.cat([skin, back]), 0] = 1.0

    lips = landmarks[tracked(LIPS_OUTER)]
    share = _inside_polygon(neutral[skin, :2], lips[:, :2], softness=0.12)
    share *= ((neutral[skin, 2] - lips[:, 2].min()) < 2.5).float()
    _paint_skin(albedo, neutral, skin, landmarks, appearance, generator)
    _blend(albedo, skin, appearance.lips, share)
    gloss[skin] += 0.8 * share
    cover[skin, 1] = share
    cover[skin, 2] = hair_cover(neutral[skin], landmarks, appearance.facial_hair) * (1 - share)
    gloss[skin] *= 1 - 0.8 * cover[skin, 2]

    thickness = _hair_thickness(neutral, appearance.hairline) if appearance.hairline > -6 else hair
    thickness = thickness * _bump_noise(neutral, generator)
    drawn = torch.cat([skin, back]).unique()
    hair[drawn] = thickness[drawn]
    _blend(albedo, drawn, appearance.hair, (thickness[drawn] / 0.3).clamp(0, 1))
    gloss[drawn] *= 1 - 0.7 * (thickness[drawn] / 0.3).clamp(0, 1)
    cloth = step(neutral[back, 1], 14.2, 14.6)
    _blend(albedo, back, appearance.cloth, cloth)
    cover[back, 0] *= 1 - cloth

    mouth = lips.mean(dim=0) + torch.tensor((0.0, 0.0, 3.5))
    socket = back[(neutral[back] - mouth).norm(dim=1) < 6.2]
    socket = socket[~torch.isin(socket, skin)]
    _paint(albedo, gloss, inside, socket, (0.22, 0.06, 0.06), 0.2)
    _paint(albedo, gloss, inside, kit.vertices_of(GUMS), appearance.gums, 0.6)
    _paint(albedo, gloss, inside, kit.vertices_of(TEETH), appearance.teeth, 1.0)
    for name in EYES:
        _paint_eye(kit, name, appearance, albedo, gloss, back)
    cover[inside > 0] = 0.0
    return Surface(albedo.clamp(0.01, 1), gloss, hair, inside, neutral, cover)


def _paint_skin(
    albedo: Tensor,
    neutral: Tensor,
    skin: Tensor,
    landmarks: Tensor,
    appearance: Appearance,
    generator: torch.Generator,
) -> None:
    """Brows, redness and moles."""
    for brow in (_LEFT_BROW, _RIGHT_BROW):
        line = landmarks[tracked(brow)] + torch.tensor((0.0, 0.3, 0.0))
        away = _distance_to_line(neutral[skin, :2], line[:, :2])
        _blend(albedo, skin, appearance.hair, appearance.brow_strength * bump(away, 0.4))
    red = mixed(appearance.skin, (0.80, 0.30, 0.26), appearance.redness)
    _blend(albedo, skin, red, _cheeks(neutral[skin], landmarks))
    front = skin[neutral[skin, 2] < -5]
    if appearance.moles and len(front):
        chosen = torch.randint(len(front), (appearance.moles,), generator=generator)
        away = torch.cdist(neutral[skin], neutral[front[chosen]]).amin(dim=1)
        _blend(albedo, skin, mixed(appearance.skin, (0.12, 0.06, 0.04), 0.7), bump(away, 0.16))


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
    _blend(albedo, ball, appearance.iris, front * (1 - step(away, 0.56, 0.66)))
    _blend(albedo, ball, (0.02, 0.02, 0.02), front * (1 - step(away, 0.2, 0.28)))
    gloss[ball] = 1.5


def _hair_thickness(points: Float[Tensor, "v 3"], hairline: float) -> Float[Tensor, " v"]:
    """cm of hair: above a line that runs from the forehead down to the nape, ears left out."""
    height = -points[:, 1]
    line = 9.6 - hairline - 1.25 * (points[:, 2] + 7.5).clamp(0, 10)
    thick = 0.9 * step(height - line, 0.0, 1.4)
    ears = (points[:, 0].abs() > 8.2) & (points[:, 1] > -6.0) & (points[:, 1] < 5.0)
    thick[ears & (points[:, 2] < 6.0)] = 0.0
    return thick


def _cheeks(points: Float[Tensor, "c 3"], landmarks: Float[Tensor, "k 3"]) -> Float[Tensor, " c"]:
    mouth = landmarks[tracked((61, 291))]
    centres = mouth + torch.tensor(((-1.5, -2.6, 0.0), (1.5, -2.6, 0.0)))
    away = torch.cdist(points[:, :2], centres[:, :2]).amin(dim=1)
    return 0.5 * bump(away, 1.8)


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
    return step(torch.where(inside, away, -away), -softness, softness)
