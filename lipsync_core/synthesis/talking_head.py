"""A person to be filmed: a face, its looks, a camera, and how the head moves."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..types import MOTION_RATE
from .appearance import Appearance
from .camera import POSE, Camera
from .face_kit import FaceKit

IDENTITY_SPREAD = 0.8
"""Standard deviation of the modes of a drawn face: at 1 one in ten looks odd."""


@dataclass(frozen=True)
class TalkingHead:
    """Everything of a synthetic person but the way of talking."""

    identity: Float[Tensor, " n"]
    """Weights of the kit's modes of identity."""
    appearance: Appearance
    camera: Camera
    facing: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Mean yaw, pitch and roll in degrees."""
    sway: float = 3.0
    """Standard deviation of the head's slow turning, degrees."""

    @classmethod
    def draw(cls, generator: torch.Generator, kit: FaceKit) -> "TalkingHead":
        """A random person, roughly facing the camera, the whole face in the picture."""
        identity = IDENTITY_SPREAD * torch.randn(kit.identity_size, generator=generator)
        appearance = Appearance.draw(generator)
        turn = torch.randn(3, generator=generator).clamp(-2, 2) * torch.tensor((7.0, 3.0, 2.0))
        place = torch.rand(5, generator=generator).tolist()
        camera = Camera(
            distance=60 + 80 * place[0],
            view=25 + 8 * place[1],
            centre=(2 * place[2] - 1, 0.3 + 1.5 * place[3]),
        )
        yaw, pitch, roll = turn.tolist()
        return cls(identity, appearance, camera, (yaw, pitch, roll), 1.0 + 3.5 * place[4])

    def sway_over(self, steps: int, generator: torch.Generator) -> Float[Tensor, "t 5"]:
        """A pose (columns of `camera.POSE`) for every step at 25 Hz: slow turning and shifting."""
        speed = (1.6, 1.2, 1.8, 2.0, 2.0)
        size = torch.tensor((1.0, 0.6, 0.6, 0.08, 0.08)) * self.sway
        columns = [_drift(steps, seconds, generator) for seconds in speed]
        still = torch.tensor((*self.facing, 0.0, 0.0))
        assert len(columns) == len(POSE)
        return still + size * torch.stack(columns, dim=1)


def _drift(steps: int, seconds: float, generator: torch.Generator) -> Float[Tensor, " t"]:
    """Noise of about unit variance that changes within `seconds`, with a smooth course."""
    width = seconds * MOTION_RATE / 2
    reach = int(3 * width)
    noise = torch.randn(1, 1, steps + 2 * reach, generator=generator)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / width) ** 2)
    kernel = kernel / kernel.square().sum().sqrt()
    return torch.nn.functional.conv1d(noise, kernel[None, None])[0, 0]
