"""Skin tone and light follow the frame: crops drawn under one light, put into frames of another."""

from functools import cache

import pytest
import torch
from einops import rearrange
from kornia.filters import gaussian_blur2d
from synthetic_face import TalkingFace, sway, syllables, talking_face
from torch import Tensor

from lipsync_core.compositing.blending import composite
from lipsync_core.crop_geometry import MASK_POLYGON, crop_points
from lipsync_core.evaluation.picture_regions import inside_outline
from lipsync_core.evaluation.seam import measure_seam
from lipsync_core.face.alignment import crop_faces, invert, transform

HEIGHT, WIDTH, COUNT, CROP = 260, 260, 12, 128


@cache
def face(seed: int) -> TalkingFace:
    """Twelve frames, a tenth of a second apart, with a face about 135 pixels wide."""
    places = sway(10 * COUNT, HEIGHT, WIDTH, 1.0, zoom=0.0)[::10]
    return talking_face(syllables(4 * COUNT, seed=seed)[::4], places, HEIGHT, WIDTH)


def frame_to_crop(points: Tensor) -> Tensor:
    """The similarity that takes the outer eye corners to where crops have them."""
    left, right = points[:, 0], points[:, 1]
    template = crop_points(torch.tensor([[-0.5, 0.0], [0.5, 0.0]]), CROP)
    across, wanted = torch.view_as_complex(right - left), template[1, 0] - template[0, 0]
    turn = wanted / across
    linear = torch.stack([turn.real, -turn.imag, turn.imag, turn.real], -1).view(-1, 2, 2)
    return torch.cat(
        [linear, (template[0] - torch.einsum("tij,tj->ti", linear, left))[..., None]], 2
    )


def lights() -> dict[str, Tensor]:
    """Gains [t h w 3] that change over time."""
    part = torch.linspace(0, 1, COUNT)[:, None, None, None]
    x = torch.linspace(-1, 1, WIDTH)[None, None, :, None]
    one = torch.ones(COUNT, HEIGHT, WIDTH, 3)
    warm = torch.tensor([0.15, 0.0, -0.2])
    return {
        "as drawn": one,
        "dimmed to half": one * (1 - 0.5 * part),
        "from cold to warm": one * (1 + (2 * part - 1) * warm),
        "a lamp going round": one * (0.75 + 0.35 * torch.tanh(2.5 * (x + 1.2 - 2.4 * part))),
    }


def outline(matrix: Tensor) -> Tensor:
    corners = crop_points(torch.tensor(MASK_POLYGON), CROP).double()
    return transform(invert(matrix[None]), corners[None])[0]


def seam(result: Tensor, real: Tensor, matrix: Tensor) -> tuple[float, float]:
    """Energy across the mask's edge beside the real one's, and the step there in levels."""
    triples = zip(result, real, matrix, strict=True)
    found = [measure_seam(ours, truth, outline(m)) for ours, truth, m in triples]
    seams = [one for one in found if one]
    energy = sum(one.our_energy for one in seams) / sum(one.real_energy for one in seams)
    return energy, sum(one.step for one in seams) / len(seams)


def softened(crops: Tensor) -> Tensor:
    """As a network draws: a little blurred, and a little off in colour."""
    images = gaussian_blur2d(rearrange(crops, "t h w c -> t c h w"), (5, 5), (0.7, 0.7))
    tinted = rearrange(images, "t c h w -> t h w c") + torch.tensor([0.02, -0.01, 0.015])
    return tinted.clamp(0, 1)


@pytest.mark.parametrize("light", lights())
def test_the_face_follows_the_light_of_its_frame(light):
    gain = lights()[light]
    spoken, wanted = face(0), face(1)
    matrix = frame_to_crop(spoken.points())
    frames, real = (spoken.frames * gain).clamp(0, 1), (wanted.frames * gain).clamp(0, 1)
    source = crop_faces(frames, matrix, CROP)
    rendered = softened(crop_faces(wanted.frames, matrix, CROP))
    seen = torch.ones(COUNT, dtype=torch.bool)
    result = composite(frames, rendered, source, matrix, seen)
    energy, step = seam(result, real, matrix)
    # Old against new lips under the chin, and the blur, cost a tenth of the energy in any light.
    assert 0.85 < energy < 1.1
    assert step < 1
    where = (slice(None), slice(74, 108), slice(42, 86))
    off = crop_faces(result - real, matrix, CROP)[where].mean((1, 2))
    assert 255 * off.abs().max() < 8


def test_a_mouth_stays_dark_in_a_bright_light():
    """What is added to skin must not be added to black: light scales."""
    spoken = face(0)
    matrix = frame_to_crop(spoken.points())[:1]
    frames = (0.6 * spoken.frames[:1]).clamp(0, 1)
    source = crop_faces(frames, matrix, CROP)
    rendered = source * 0.6
    rendered[:, 84:94, 54:74] = 0.02
    result = composite(frames, rendered, source, matrix, torch.tensor([True]))
    mouth = crop_faces(result, matrix, CROP)[0, 87:91, 60:68]
    skin = crop_faces(result - frames, matrix, CROP)[0, 66:76, 50:78]
    assert skin.mean().abs() < 0.02 < frames.mean()
    assert mouth.max() < 0.08


def test_a_frozen_light_would_be_seen():
    """The measure itself: without the colour match the lamp leaves a seam."""
    gain = lights()["a lamp going round"]
    spoken = face(0)
    matrix = frame_to_crop(spoken.points())
    frames = (spoken.frames * gain).clamp(0, 1)
    pasted = frames.clone()
    for index, m in enumerate(matrix):
        inside = inside_outline(outline(m), HEIGHT, WIDTH)
        pasted[index][inside] = spoken.frames[index][inside]
    assert seam(pasted, frames, matrix)[1] > 10
