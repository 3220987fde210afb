"""A talking face whose truth is known: a portrait whose mouth opens as told and whose head sways.

The portrait is NASA's of astronaut Eileen Collins (public domain), as scikit-image ships it. Lips,
chin and cheeks are moved by a smooth warp in "mouth coordinates" (origin midway between the inner
mouth corners, x to the right corner, y to the chin, in eye distances); between the lips lie the
portrait's own upper teeth, a dark cavity and a tongue. Every pixel is interpolated once.

    pixel of the frame -> portrait -> mouth coordinates -> undo the lips' motion -> portrait
"""

import importlib.util
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from lipsync_core.types import Audio

POINTS = {
    33: (196.04, 100.76), 263: (256.02, 104.07),  # outer eye corners
    133: (214.26, 103.84), 362: (237.23, 105.15),  # inner eye corners
    168: (225.44, 101.56), 4: (223.98, 127.73),  # nose bridge and tip
}  # fmt: skip
"""Where MediaPipe's landmark network, at 4x enlargement, sees points of the portrait that the
mouth does not move; portrait pixels."""
EYE_DISTANCE = 60.07
"""Outer eye corners of the portrait, pixels."""
MOUTH_CENTRE = (223.97, 141.08)
MOUTH_AXES = ((0.99928, 0.03799), (-0.03799, 0.99928))
"""From the left to the right mouth corner, and to the chin."""
HALF_WIDTH = 0.327
"""Half the inner mouth's width in eye distances."""
REST_OPENING = 0.109
"""Opening of the portrait's own smile, eye distances."""
LARGEST_OPENING = 0.45

UPPER_SHARE = 0.15
"""How much of the opening the upper lip makes; the lower lip makes the rest."""
JAW_SHARE = 0.8
"""How far the chin follows the opening."""
ROUNDS = 8
"""Of the iteration that inverts the motion; leaves less than 1 % of an eye distance."""
REACH_SIDE, REACH_UP, REACH_DOWN = 0.75, 0.13, 1.15
"""What lies farther than this from the mouth's centre does not move, eye distances."""
BORDER = cv2.BORDER_REPLICATE
CAVITY, TONGUE = (0.13, 0.04, 0.04), (0.52, 0.24, 0.23)


@dataclass(frozen=True)
class TalkingFace:
    """Frames and what is true of them."""

    frames: Float[Tensor, "t h w 3"]
    """RGB in [0, 1]."""
    fps: Fraction
    opening: Float[Tensor, " t"]
    """Distance of the inner lips' midpoints in eye distances."""
    portrait_to_frame: Float[Tensor, "t 2 3"]
    """Similarity from portrait pixels to frame pixels."""

    def points(self) -> Float[Tensor, "t k 2"]:
        """Frame pixels of the landmarks POINTS, in their order."""
        points = torch.tensor(list(POINTS.values()))
        matrix = self.portrait_to_frame
        return torch.einsum("tij,kj->tki", matrix[..., :2], points) + matrix[:, None, :, 2]


@cache
def portrait() -> UInt8[np.ndarray, "512 512 3"]:
    """RGB, read from the installed scikit-image without importing it."""
    package = importlib.util.find_spec("skimage")
    if package is None or not package.submodule_search_locations:
        raise FileNotFoundError("the portrait needs scikit-image: pip install --no-deps it")
    path = Path(package.submodule_search_locations[0]) / "data" / "astronaut.png"
    # imread cannot open every path on Windows.
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def talking_face(
    opening: Float[Tensor, " t"],
    portrait_to_frame: Float[Tensor, "t 2 3"],
    height: int,
    width: int,
    fps: Fraction = Fraction(25),
) -> TalkingFace:
    """Draws the portrait with the lips `opening` eye distances apart, 0 to LARGEST_OPENING."""
    if not ((opening >= 0) & (opening <= LARGEST_OPENING)).all():
        raise ValueError(f"opening must lie in 0 to {LARGEST_OPENING} eye distances")
    frames = torch.empty(len(opening), height, width, 3)
    for frame, gap, matrix in zip(frames, opening.tolist(), portrait_to_frame, strict=True):
        _draw(frame.numpy(), gap, matrix.double().numpy())
    return TalkingFace(frames, fps, opening, portrait_to_frame)


def syllables(frame_count: int, fps: Fraction = Fraction(25), seed: int = 0) -> Float[Tensor, " t"]:
    """An opening like speech: four syllables a second of random height, lips closed between."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(frame_count) / float(fps)
    count = int(frame_count / float(fps) * 4) + 2
    height = 0.06 + 0.2 * torch.rand(count, generator=generator)
    centre = (torch.arange(count) + 0.5 + 0.3 * (torch.rand(count, generator=generator) - 0.5)) / 4
    bumps = torch.exp(-(((time[:, None] - centre) / 0.07) ** 2))
    return (bumps * height).amax(dim=1).clamp(max=LARGEST_OPENING)


def sway(
    frame_count: int,
    height: int,
    width: int,
    scale: float,
    fps: Fraction = Fraction(25),
    zoom: float = 0.05,
    place: tuple[float, float] = (0.5, 0.5),
) -> Float[Tensor, "t 2 3"]:
    """portrait_to_frame: the face gently swaying, turning and coming nearer.

    `place` is where the face's centre rests, in fractions of the width and height. `scale` is
    frame pixels per portrait pixel at the start; the sway is about 3 % of the eye distance and
    1.5 degrees, slower than one a second, and `zoom` is reached after 6 s.
    """
    time = torch.arange(frame_count, dtype=torch.float64) / float(fps)
    turn = 2 * torch.pi * time
    angle = torch.deg2rad(0.9 * torch.sin(turn * 0.23) + 0.6 * torch.sin(turn * 0.41 + 1))
    size = scale * (1 + zoom * (0.5 - 0.5 * torch.cos(turn / 12)))
    shift_x = 0.03 * EYE_DISTANCE * (torch.sin(turn * 0.19 + 2) + 0.5 * torch.sin(turn * 0.37))
    shift_y = 0.02 * EYE_DISTANCE * (torch.sin(turn * 0.29 + 4) + 0.5 * torch.sin(turn * 0.53))
    cos, sin = size * torch.cos(angle), size * torch.sin(angle)
    linear = torch.stack([cos, -sin, sin, cos], dim=-1).view(-1, 2, 2)
    centre = torch.tensor(MOUTH_CENTRE).double() - torch.tensor((0.0, 0.3 * EYE_DISTANCE))
    moved = centre + torch.stack([shift_x, shift_y], dim=-1)
    rest = torch.tensor((width * place[0], height * place[1])).double()
    offset = rest - torch.einsum("tij,tj->ti", linear, moved)
    return torch.cat([linear, offset[..., None]], dim=-1).float()


def humming(opening: Float[Tensor, " t"], fps: Fraction, sample_rate: int = 16000) -> Audio:
    """A buzz of 140 Hz as loud as the mouth is open: sound that belongs to the pictures."""
    count = round(len(opening) / float(fps) * sample_rate)
    time = torch.arange(count, dtype=torch.float64) / sample_rate
    buzz = sum(torch.sin(2 * torch.pi * 140 * n * time) / n for n in range(1, 20))
    position = (time * float(fps)).numpy()
    loudness = np.interp(position, np.arange(len(opening)), opening.numpy() / LARGEST_OPENING)
    waveform = 0.3 * torch.from_numpy(loudness) * torch.as_tensor(buzz)
    return Audio(waveform.float(), sample_rate)


# Drawing one frame


def _draw(frame: Float[np.ndarray, "h w 3"], opening: float, matrix: Float[np.ndarray, "2 3"]):
    """Fills `frame`."""
    source, scale = _source_for(matrix)
    box = _moving_box(matrix, *frame.shape[:2])
    # The centre of a pixel is at +.5 here and at an integer in cv2.
    to_frame = matrix / (scale, scale, 1)
    to_frame[:, 2] += to_frame[:, :2] @ (0.5, 0.5) - 0.5
    size = frame.shape[1::-1]
    frame[:] = cv2.warpAffine(source, to_frame, size, flags=cv2.INTER_CUBIC, borderMode=BORDER)
    x, y = _to_mouth(_in_portrait(matrix, box))
    skin = _look_up(source, scale, _from_mouth(x, _undo_motion(x, y, opening)))
    inside = _inside_mouth(x, y, opening, _scale(matrix) * EYE_DISTANCE)[..., None]
    interior = _mouth_interior(source, scale, x, y, opening)
    left, top, right, bottom = box
    frame[top:bottom, left:right] = skin + inside * (interior - skin)
    np.clip(frame, 0, 1, out=frame)


def _scale(matrix: Float[np.ndarray, "2 3"]) -> float:
    return float(np.linalg.det(matrix[:, :2]) ** 0.5)


def _moving_box(
    matrix: Float[np.ndarray, "2 3"], height: int, width: int
) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the frame's part that the lips' motion reaches."""
    corners_x = np.float32([[-REACH_SIDE, REACH_SIDE, REACH_SIDE, -REACH_SIDE]])
    corners_y = np.float32([[-REACH_UP, -REACH_UP, REACH_DOWN, REACH_DOWN]])
    corners = _from_mouth(corners_x, corners_y)[0] @ matrix[:, :2].T + matrix[:, 2]
    left, top = np.floor(corners.min(axis=0)).clip(0, (width, height)).astype(int).tolist()
    right, bottom = np.ceil(corners.max(axis=0)).clip(0, (width, height)).astype(int).tolist()
    return left, top, right, bottom


def _in_portrait(
    matrix: Float[np.ndarray, "2 3"], box: tuple[int, int, int, int]
) -> Float[np.ndarray, "h w 2"]:
    """Portrait pixels of the pixel centres of `box`."""
    left, top, right, bottom = box
    grid = np.meshgrid(np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5)
    position = (np.stack(grid, axis=-1) - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    return position.astype(np.float32)


def _source_for(
    matrix: Float[np.ndarray, "2 3"],
) -> tuple[Float[np.ndarray, "y x 3"], float]:
    """The portrait, shrunk if the frame shows it smaller, and its pixels per portrait pixel."""
    scale = min(1.0, float(2.0 ** np.floor(np.log2(_scale(matrix)) + 0.25)))
    return _shrunk(scale), scale


@cache
def _shrunk(scale: float) -> Float[np.ndarray, "y x 3"]:
    image = portrait().astype(np.float32) / 255
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _look_up(
    source: Float[np.ndarray, "y x 3"], scale: float, position: Float[np.ndarray, "h w 2"]
) -> Float[np.ndarray, "h w 3"]:
    """The portrait at `position` (portrait pixels), cubic, its border repeated outside."""
    return cv2.remap(source, position * scale - 0.5, None, cv2.INTER_CUBIC, borderMode=BORDER)


def _to_mouth(
    in_portrait: Float[np.ndarray, "h w 2"],
) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    offset = (in_portrait - np.float32(MOUTH_CENTRE)) / EYE_DISTANCE
    right, down = np.float32(MOUTH_AXES)
    return offset @ right, offset @ down


def _from_mouth(
    x: Float[np.ndarray, "h w"], y: Float[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w 2"]:
    right, down = np.float32(MOUTH_AXES)
    return np.float32(MOUTH_CENTRE) + EYE_DISTANCE * (x[..., None] * right + y[..., None] * down)


# The lips' motion, in mouth coordinates


def _rest_lips(x: Float[np.ndarray, "*s"]) -> tuple[np.ndarray, np.ndarray]:
    """y of the inner edges of the portrait's upper and lower lip; both 0 beyond the corners."""
    u = np.clip(np.abs(x) / HALF_WIDTH, 0, 1)
    upper = 0.044 * (1 - u**1.15)
    return upper, upper + REST_OPENING * _profile(x)


def _profile(x: Float[np.ndarray, "*s"]) -> np.ndarray:
    """How wide the gap between the lips is at x, 1 in the middle, 0 from the corners on."""
    u = np.clip(np.abs(x) / HALF_WIDTH, 0, 1)
    root = np.sqrt(1 - u * u)
    return root * np.sqrt(root)


def _shifts(x: Float[np.ndarray, "*s"], opening: float) -> tuple[np.ndarray, np.ndarray]:
    """How far down the inner edges of the upper and the lower lip move."""
    wider = (opening - REST_OPENING) * _profile(x)
    return -UPPER_SHARE * wider, (1 - UPPER_SHARE) * wider


def _undo_motion(
    x: Float[np.ndarray, "h w"], y: Float[np.ndarray, "h w"], opening: float
) -> Float[np.ndarray, "h w"]:
    """Where in the portrait the skin at (x, y) comes from.

    The forward motion y + D(x, y) is given, with |dD/dy| < .6, so iterating y - D converges.
    """
    upper, lower = _rest_lips(x)
    upper_shift, lower_shift = _shifts(x, opening)
    above = y < (upper + upper_shift + lower + lower_shift) / 2
    rest = y
    for _ in range(ROUNDS):
        above_motion = upper_shift * _ramp((rest + REACH_UP) / (upper + REACH_UP - 0.02))
        below_motion = _jaw_motion(x, rest, lower, lower_shift, opening)
        rest = y - np.where(above, above_motion, below_motion)
    # Skin ends at the lips' edges: rounding must not reach the teeth.
    return np.where(above, np.minimum(rest, upper), np.maximum(rest, lower * (rest > 0)))


def _jaw_motion(
    x: Float[np.ndarray, "h w"],
    y: Float[np.ndarray, "h w"],
    lower: Float[np.ndarray, "h w"],
    lower_shift: Float[np.ndarray, "h w"],
    opening: float,
) -> Float[np.ndarray, "h w"]:
    """The lower lip moves as one, blends into the jaw's motion down to the chin (y .5), which
    fades along the neck (.62 to REACH_DOWN) and towards the cheeks."""
    jaw = JAW_SHARE * (opening - REST_OPENING) * _bell(x / REACH_SIDE)
    lip_end = lower + 0.07 * _profile(x)
    down_to_chin = _ramp((y - lip_end) / (0.5 - lip_end))
    along_neck = np.clip((REACH_DOWN - y) / (REACH_DOWN - 0.62), 0, 1)
    return (lower_shift + (jaw - lower_shift) * down_to_chin) * along_neck


def _bell(x: Float[np.ndarray, "*s"]) -> np.ndarray:
    """1 at 0, smoothly down to 0 at -1 and 1."""
    return np.cos(np.clip(x, -1, 1) * np.pi / 2) ** 2


def _ramp(x: Float[np.ndarray, "*s"]) -> np.ndarray:
    """Smoothly from 0 at 0 up to 1 at 1."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


# Between the lips


def _inside_mouth(
    x: Float[np.ndarray, "h w"],
    y: Float[np.ndarray, "h w"],
    opening: float,
    pixels_per_eye_distance: float,
) -> Float[np.ndarray, "h w"]:
    """How much of each pixel lies between the lips, 0 to 1."""
    upper, lower = _rest_lips(x)
    upper_shift, lower_shift = _shifts(x, opening)
    depth = np.minimum(y - upper - upper_shift, lower + lower_shift - y)
    covered = np.clip(depth * pixels_per_eye_distance + 0.5, 0, 1)
    return np.where(np.abs(x) < HALF_WIDTH, covered, 0)


def _mouth_interior(
    source: Float[np.ndarray, "y x 3"],
    scale: float,
    x: Float[np.ndarray, "h w"],
    y: Float[np.ndarray, "h w"],
    opening: float,
) -> Float[np.ndarray, "h w 3"]:
    """Upper teeth, which stay with the skull, before the cavity and a tongue that the jaw moves."""
    upper, lower = _rest_lips(x)
    _, lower_shift = _shifts(x, opening)
    teeth_end = lower - 0.004
    teeth = _look_up(source, scale, _from_mouth(x, np.clip(y, upper + 0.008, teeth_end)))
    is_tooth = np.clip((teeth_end - y) / 0.012 + 1, 0, 1)[..., None]
    above_lip = lower + lower_shift - y
    tongue = 0.8 * _ramp(1 - above_lip / 0.11) * _bell(x / (0.85 * HALF_WIDTH))
    dark = np.float32(CAVITY)
    cavity = dark + tongue[..., None] * (np.float32(TONGUE) - dark)
    return cavity + is_tooth * (teeth - cavity)
