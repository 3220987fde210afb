"""Made-up lip motion that follows made-up speech features: faces as landmarks, styles, clips."""

from fractions import Fraction
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from lipsync_core.landmarks import JAW, MOVING, TRACKED, canonical
from lipsync_core.motion.basis import LipMotionBasis, fit_basis
from lipsync_core.training.prepared import write_prepared
from lipsync_core.types import MOTION_RATE, FaceTrack

LOWER = (146, 91, 181, 84, 17, 314, 405, 321, 375, 95, 88, 178, 87, 14, 317, 402, 318, 324)
CORNERS = (61, 291, 78, 308)
SPEECH_WIDTH = 12
ENCODER = "made-up:1"


def displacement(
    opening: Float[Tensor, " t"], spread: Float[Tensor, " t"]
) -> Float[Tensor, "t points 3"]:
    """Lower lip and jaw go down by `opening`, mouth corners apart by `spread`, eye distances."""
    moved = torch.zeros(len(opening), len(MOVING), 3)
    for i, landmark in enumerate(MOVING):
        if landmark in LOWER or landmark in JAW:
            moved[:, i, 1] = opening * (1.0 if landmark in LOWER else 0.8)
        if landmark in CORNERS:
            side = -1 if canonical((landmark,))[0, 0] < 0 else 1
            moved[:, i, 0] = side * spread
    return moved


def closed_face() -> Float[Tensor, "k 3"]:
    """TRACKED landmarks of the canonical face with the lips shut."""
    face = canonical(TRACKED).clone()
    for upper, lower in ((13, 14), (82, 87), (312, 317)):
        face[TRACKED.index(lower)] = face[TRACKED.index(upper)]
    return face


def made_up_basis(size: int = 6) -> LipMotionBasis:
    """A basis that holds opening and spread, and random directions beside."""
    generator = torch.Generator().manual_seed(0)
    opening, spread = torch.randn(2, 200, generator=generator) * 0.1
    noise = 0.001 * torch.randn(200, len(MOVING), 3, generator=generator)
    return fit_basis([displacement(opening, spread) + noise], size)


def rotation(yaw: Tensor, pitch: Tensor) -> Float[Tensor, "t 3 3"]:
    """Radians."""
    zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)
    turn = torch.stack([yaw.cos(), zero, yaw.sin(), zero, one, zero, -yaw.sin(), zero, yaw.cos()])
    nod = torch.stack(
        [one, zero, zero, zero, pitch.cos(), -pitch.sin(), zero, pitch.sin(), pitch.cos()]
    )
    return turn.T.reshape(-1, 3, 3) @ nod.T.reshape(-1, 3, 3)


def track_of(
    moved: Float[Tensor, "t points 3"],
    face: Float[Tensor, "k 3"] | None = None,
    fps: Fraction = Fraction(25),
    visible: Tensor | None = None,
    cuts: tuple[int, ...] = (),
) -> FaceTrack:
    """The track of a face that looks into the camera, 100 pixels per eye distance."""
    face = closed_face() if face is None else face
    shape = face.expand(len(moved), -1, -1).clone()
    shape[:, : len(MOVING)] += moved
    return FaceTrack(
        landmarks=shape * 100 + 200,
        frame_to_crop=torch.eye(2, 3).expand(len(moved), -1, -1),
        visible=torch.ones(len(moved), dtype=torch.bool) if visible is None else visible,
        cuts=cuts,
        neutral=face,
        crop_size=128,
        fps=fps,
    )


def made_up_speech(steps: int, generator: torch.Generator) -> Float[Tensor, "t d"]:
    """Features that wander like speech: a random walk of three sounds, seen through 12 channels."""
    knots = torch.randn(1, SPEECH_WIDTH, steps // 5 + 3, generator=generator)
    smooth = torch.nn.functional.interpolate(knots, size=steps, mode="linear")
    return smooth[0].T.contiguous()


def spoken(
    speech: Float[Tensor, "t d"], gain: float = 1.0, width: float = 0.0
) -> Float[Tensor, "t points 3"]:
    """How a person whose mouth opens by `gain` and spreads by `width` says it."""
    opening = 0.1 * gain * speech[:, :4].mean(dim=1).sigmoid()
    spread = 0.04 * speech[:, 4:8].mean(dim=1).tanh() + width
    return displacement(opening, spread)


def write_made_up_clips(folder: Path, clips: int = 24, steps: int = 40) -> None:
    """Prepared clips of two people, the last four of each for validation."""
    generator = torch.Generator().manual_seed(0)
    for person, gain in (("anna", 1.0), ("bert", 1.6)):
        for number in range(clips):
            speech = made_up_speech(steps, generator)
            write_prepared(
                folder / person / f"{person}{number}.safetensors",
                {
                    "neutral": closed_face(),
                    "canonical": spoken(speech, gain),
                    "valid": torch.ones(steps, dtype=torch.bool),
                    "speech": speech.half()[None],
                },
                name=f"{person}{number}",
                person=person,
                split="validation" if number >= clips - 4 else "train",
                fps=Fraction(MOTION_RATE),
                crop_size=128,
                frame_count=steps,
                encoder=ENCODER,
                source="made up",
            )
