"""Light that falls on a head: lamps, light from all around, and what the camera makes of it."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from .camera import Camera
from .drawing import Colour, Draw, mixed

_WHITE: Colour = (1.0, 1.0, 1.0)
_WARM: Colour = (1.0, 0.78, 0.55)
_COOL: Colour = (0.72, 0.86, 1.0)
_SHINE_POWER = 18
_SHOULDER = 6.0
"""How late bright colours begin to be squeezed below 1; a camera does not cut them off."""


@dataclass(frozen=True)
class Lighting:
    """One main lamp, one weaker one, and light from everywhere."""

    direction: tuple[float, float, float] = (-0.4, -0.5, -0.77)
    """Where the main lamp is from the head: x right, y down, z away from the camera."""
    colour: Colour = _WHITE
    ambient: float = 0.5
    """Light from everywhere; the rest comes from the lamp."""
    ambient_colour: Colour = _WHITE
    second_direction: tuple[float, float, float] = (0.9, -0.2, 0.1)
    second: float = 0.0
    """Strength of the second lamp, 0 to 1."""
    second_colour: Colour = _WHITE
    exposure: float = 1.0
    mouth_depth: float = 2.6
    """cm behind the lips at which the light has fallen to 1 / e."""

    @classmethod
    def draw(cls, generator: torch.Generator, surroundings: Colour) -> "Lighting":
        """From a studio's soft light to a lamp at the side, tinted by the `surroundings`."""
        draw = Draw(generator)
        from_side = draw.chance(0.35)
        reach = draw.uniform(1.0, 2.2) if from_side else draw.uniform(0.0, 0.9)
        side = reach if draw.chance(0.5) else -reach
        second = draw.uniform(0.1, 0.6) if draw.chance(0.5) else 0.0
        tint = _WARM if draw.chance(0.5) else _COOL
        return cls(
            direction=(side, draw.uniform(-1.1, 0.15), -1.0),
            colour=mixed(_WHITE, tint, draw.uniform(0.0, 0.7)),
            ambient=draw.uniform(0.22, 0.5) if from_side else draw.uniform(0.35, 0.68),
            ambient_colour=mixed(_WHITE, _brightest(surroundings), draw.uniform(0.0, 0.3)),
            second_direction=(-side + draw.uniform(-0.4, 0.4), draw.uniform(-0.8, 0.4), -0.1),
            second=second,
            second_colour=mixed(_WHITE, draw.colour(0.3, 1.0), draw.uniform(0.0, 0.8)),
            exposure=draw.uniform(0.82, 1.15) / (1 + 0.5 * second),
            mouth_depth=draw.uniform(1.8, 4.5),
        )


def shade(
    albedo: Float[Tensor, "n 3"],
    normals: Float[Tensor, "n 3"],
    places: Float[Tensor, "n 3"],
    shine: Float[Tensor, "n 1"],
    camera: Camera,
    lighting: Lighting,
) -> Float[Tensor, "n 3"]:
    """Colours of surface points: soft diffuse light, light from all around, and highlights.

    `normals` have unit length; `places` are in cm, `shine` is the strength of the highlight.
    """
    eye = torch.tensor((*camera.centre, -camera.distance))
    towards = torch.nn.functional.normalize(eye - places, dim=1)
    sky = 0.5 - 0.5 * normals[:, 1:2]
    strength = lighting.ambient * (0.75 + 0.35 * sky) * torch.tensor(lighting.ambient_colour)
    highlight = torch.zeros_like(albedo)
    lamps = (
        (lighting.direction, lighting.colour, 1.15 - lighting.ambient),
        (lighting.second_direction, lighting.second_colour, lighting.second),
    )
    for direction, colour, power in lamps:
        if power == 0:
            continue
        light = torch.nn.functional.normalize(torch.tensor(direction), dim=0)
        # Skin scatters light past the edge of its own shadow.
        diffuse = (((normals @ light)[:, None] + 0.25) / 1.25).clamp_min(0)
        tinted = torch.tensor(colour)
        strength = strength + power * diffuse * tinted
        half = torch.nn.functional.normalize(towards + light, dim=1)
        mirrored = (normals * half).sum(dim=1, keepdim=True).clamp_min(0) ** _SHINE_POWER
        highlight += min(1.0, 2 * power) * mirrored * tinted
    return developed((albedo * strength + shine * highlight) * lighting.exposure)


def developed(light: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Light to a displayed colour: equal where it is dark, squeezed below 1 where it is bright."""
    light = light.clamp_min(0)
    return light / (1 + light**_SHOULDER) ** (1 / _SHOULDER)


def _brightest(colour: Colour) -> Colour:
    """The tint of a colour, its largest part at 1."""
    largest = max(*colour, 1e-3)
    red, green, blue = (part / largest for part in colour)
    return red, green, blue
