"""Where the head is and who looks at it: rotation, position, perspective."""

from dataclasses import dataclass

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

POSE = ("yaw", "pitch", "roll", "x", "y")
"""Columns of a pose: degrees (> 0: towards the picture's right, downwards, clockwise on the
screen) and the head's shift in cm."""
_PIVOT = (0.0, 4.0, 2.0)
"""Where a head turns, cm: the upper neck of ICT-FaceKit, whose eyes lie at y = -3.6."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that looks along z."""

    distance: float = 80.0
    """From the head's origin, cm."""
    view: float = 27.0
    """Side of the square that is seen at that distance, cm."""
    centre: tuple[float, float] = (0.0, 0.0)
    """The point of the head's axes that it looks at, x and y in cm."""

    def project(self, points: Float[Tensor, "*t v 3"], size: int) -> Float[Tensor, "*t v 3"]:
        """Points in cm to pixels of a size x size picture; the third number is -1 / depth, which
        is linear in the screen and grows away from the camera."""
        depth = self.distance + points[..., 2]
        focal = size * self.distance / self.view
        x = size / 2 + focal * (points[..., 0] - self.centre[0]) / depth
        y = size / 2 + focal * (points[..., 1] - self.centre[1]) / depth
        return torch.stack([x, y, -1 / depth], dim=-1)


def rotations(pose: Float[Tensor, "t 5"]) -> Float[Tensor, "t 3 3"]:
    """The rotation of every step: first roll, then pitch, then yaw, about the head's own axes."""
    yaw, pitch, roll = torch.deg2rad(pose[:, :3]).unbind(dim=1)
    return _about(1, -yaw) @ _about(0, pitch) @ _about(2, roll)


def posed(points: Float[Tensor, "t v 3"], pose: Float[Tensor, "t 5"]) -> Float[Tensor, "t v 3"]:
    """Points of a head in its own axes, moved to where the head is, cm."""
    pivot = points.new_tensor(_PIVOT)
    turned = einsum(rotations(pose), points - pivot, "t i j, t v j -> t v i")
    shift = torch.nn.functional.pad(pose[:, 3:], (0, 1))
    return turned + pivot + shift[:, None]


def _about(axis: int, angle: Float[Tensor, " t"]) -> Float[Tensor, "t 3 3"]:
    first, second = [i for i in range(3) if i != axis]
    matrix = torch.eye(3).repeat(len(angle), 1, 1).to(angle)
    sign = -1.0 if axis == 1 else 1.0
    matrix[:, first, first] = matrix[:, second, second] = angle.cos()
    matrix[:, first, second] = -sign * angle.sin()
    matrix[:, second, first] = sign * angle.sin()
    return matrix
