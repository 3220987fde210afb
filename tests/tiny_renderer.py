"""Tiny random renderers, drawn mouths of any height, and tracks of a face at rest."""

from fractions import Fraction

import torch

from lipsync_core.crop_geometry import CROP_LEFT, CROP_SIDE, CROP_TOP, stable_template
from lipsync_core.landmarks import INNER_LOWER, INNER_UPPER, STABLE, TRACKED, canonical, tracked
from lipsync_core.render.renderer import LipRenderer, LipRendererConfig
from lipsync_core.types import FaceTrack, LipMotion

SIZE = 128
CONFIG = LipRendererConfig(
    basis="lip-pca:tiny",
    motion_dim=4,
    widths=(16, 32),
    style_width=32,
    blocks=1,
    head_width=8,
    blends_references=True,
    knows_references=True,
    places_references=True,
    codec_latent_channels=4,
    codec_widths=(8, 16, 16),
    codec_encoder_blocks=1,
    codec_decoder_blocks=(1, 1, 1),
)


def tiny_renderer(seed: int = 0) -> LipRenderer:
    torch.manual_seed(seed)
    return LipRenderer(CONFIG).eval().requires_grad_(False)


def lip_motion(coefficients: torch.Tensor, basis: str = CONFIG.basis) -> LipMotion:
    return LipMotion(coefficients, torch.ones(len(coefficients), dtype=torch.bool), basis)


def mouth_crops(openings: torch.Tensor, size: int = SIZE) -> torch.Tensor:
    """t s s 3 in [0, 1]: a skin with a gradient and a dark mouth, `openings` in crop sides high."""
    y, x = torch.meshgrid(*[(torch.arange(size) + 0.5) / size] * 2, indexing="ij")
    centre_x, centre_y = (-CROP_LEFT) / CROP_SIDE, (0.86 - CROP_TOP) / CROP_SIDE
    half = 0.02 + openings[:, None, None] / 2
    inside = ((x - centre_x) / 0.12).square() + ((y - centre_y) / half).square()
    mouth = torch.sigmoid(6 * (1 - inside))[..., None]
    skin = torch.stack([0.8 - 0.2 * y, 0.6 - 0.1 * x, 0.5 + 0.1 * x], -1)
    return skin * (1 - mouth) + mouth * torch.tensor([0.3, 0.1, 0.1])


def face_track(openings: torch.Tensor, turn: torch.Tensor | None = None) -> FaceTrack:
    """A face in 128-pixel frames that are their own crops; `turn` shifts the nose, in pixels."""
    count = len(openings)
    face = canonical(TRACKED)
    corner = torch.tensor([CROP_LEFT, CROP_TOP])
    landmarks = face.repeat(count, 1, 1)
    landmarks[..., :2] = (landmarks[..., :2] - corner) * (SIZE / CROP_SIDE)
    upper, lower = tracked((INNER_UPPER, INNER_LOWER))
    landmarks[:, lower] = landmarks[:, upper]
    landmarks[:, lower, 1] += openings
    if turn is not None:
        landmarks[:, tracked((4, 5)), 0] += turn[:, None]
    assert torch.allclose(
        landmarks[0, tracked(STABLE[:4]), :2], stable_template(SIZE)[:4], atol=1e-3
    )
    return FaceTrack(
        landmarks=landmarks,
        frame_to_crop=torch.tensor([[1.0, 0, 0], [0, 1, 0]]).repeat(count, 1, 1),
        visible=torch.ones(count, dtype=torch.bool),
        cuts=(),
        neutral=face,
        crop_size=SIZE,
        fps=Fraction(25),
    )
