"""Tiny random models and files of a talking face, for tests of the nodes."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import tiny_renderer
import torch
from synthetic_face import humming, sway, syllables, talking_face

from lipsync_core.checkpoint import save_model
from lipsync_core.landmarks import JAW, LIPS_INNER, LIPS_OUTER, MOVING
from lipsync_core.media.writing import write_clip
from lipsync_core.motion.basis import fit_basis
from lipsync_core.motion.predictor import MotionPredictor, MotionPredictorConfig
from lipsync_core.motion.style import make_style_reference
from lipsync_core.motion.style_file import save_style
from lipsync_core.render.renderer import LipRenderer
from lipsync_core.sync.expert import SyncExpert, SyncExpertConfig
from lipsync_core.types import Audio, LipMotion, SpeechFeatures

MOTION_SIZE = 4
PROVENANCE = {"data": "none: random weights, for tests"}


def tiny_predictor(seed: int = 0, opens: bool = False) -> MotionPredictor:
    """Hears Whisper's features; width 24, one layer each. Its basis is of random directions, which
    do not part the lips, unless it `opens`: then the first one lowers lower lip and chin."""
    torch.manual_seed(seed)
    moved = torch.randn(64, len(MOVING), 3)
    if opens:
        lowered = [*LIPS_OUTER[1:10], *LIPS_INNER[1:10], *JAW]
        moved *= 0.1
        moved[:, [MOVING.index(point) for point in lowered], 1] += torch.randn(64, 1)
    basis = fit_basis([moved], MOTION_SIZE)
    config = MotionPredictorConfig(
        basis=basis.id,
        encoder="whisper-tiny:2+4",
        motion_size=MOTION_SIZE,
        width=24,
        heads=2,
        encoder_layers=1,
        decoder_layers=1,
    )
    predictor = MotionPredictor(config)
    predictor.basis_components.copy_(basis.components)
    return predictor.eval()


def save_tiny_models(folder: Path, opens: bool = False) -> tuple[str, str]:
    """Writes a predictor and a renderer that fit each other; returns their file names."""
    predictor = tiny_predictor(opens=opens)
    torch.manual_seed(1)
    config = replace(tiny_renderer.CONFIG, basis=predictor.config.basis, motion_dim=MOTION_SIZE)
    names = "tiny_predictor.safetensors", "tiny_renderer.safetensors"
    save_model(folder / names[0], predictor, PROVENANCE)
    renderer = LipRenderer(config)
    renderer.basis_components.copy_(predictor.basis_components)
    save_model(folder / names[1], renderer, PROVENANCE)
    return names


def save_tiny_style(path: Path, seed: int = 0) -> None:
    """Two seconds of random speech and motion that fit `tiny_predictor`."""
    config, steps = tiny_predictor().config, 50
    torch.manual_seed(seed)
    speech = SpeechFeatures(torch.randn(steps, config.speech_width), config.encoder)
    motion = LipMotion(
        0.1 * torch.randn(steps, MOTION_SIZE), torch.ones(steps, dtype=torch.bool), config.basis
    )
    save_style(path, make_style_reference(speech, motion, "random numbers, for tests"))


def write_talking_face(
    path: Path,
    frame_count: int = 50,
    fps: Fraction = Fraction(25),
    height: int = 240,
    width: int = 320,
    sound: bool = True,
    seed: int = 0,
) -> Audio:
    """An mp4 of the synthetic face; returns the sound that goes with it."""
    opening = syllables(frame_count, fps, seed)
    matrices = sway(frame_count, height, width, 1.0, fps)
    face = talking_face(opening, matrices, height, width, fps)
    audio = humming(opening, fps)
    write_clip(path, [face.frames], fps, height, width, audio if sound else None)
    return audio


def save_tiny_judge(path: Path) -> None:
    """A sync expert of random weights that listens as `tiny_predictor` does."""
    torch.manual_seed(2)
    config = SyncExpertConfig(tiny_predictor().config.encoder, width=16, embedding=8)
    save_model(path, SyncExpert(config), PROVENANCE)
