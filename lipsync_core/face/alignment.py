"""Into the aligned crop and back: similarity fits, their exact inverse, and the warp itself.

Matrices map positions, with pixel centres at +.5: the crop's upper left corner is (0, 0), the
centre of its first pixel (.5, .5). Both warps, cv2 on the CPU and kornia elsewhere, put pixel
centres at integers and are told so here.
"""

import math

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from ..canonical_pose import fit_similarity
from ..crop_geometry import stable_template
from ..landmarks import BROWS, EYE_CORNERS, STABLE

WEIGHTS = tuple(
    0.25 if landmark in BROWS else 0.5 if landmark in EYE_CORNERS else 1.0 for landmark in STABLE
)
"""Brows rise with the voice and eye corners with every blink, and when the head turns the mouth
goes with the nose. On five clips these weights leave 2.0 pixels (of 256) between the skin round
the nose and where it was ten frames before; equal ones 2.7."""


def fit_frame_to_crop(stable: Float[Tensor, "t k 2"], crop_size: int) -> Float[Tensor, "t 2 3"]:
    """The similarity that takes STABLE landmarks (frame pixels) to their template, by WEIGHTS."""
    fit = fit_similarity(stable, stable_template(crop_size), torch.tensor(WEIGHTS))
    linear = fit.scale[:, None, None] * fit.rotation
    return torch.cat([linear, fit.translation[..., None]], dim=-1)


def invert(matrix: Float[Tensor, "t 2 3"]) -> Float[Tensor, "t 2 3"]:
    """The affine maps back, by the closed form of a 2 x 2 inverse, in float64."""
    matrix = matrix.double()
    (a, b), (c, d) = matrix[:, 0, :2].unbind(-1), matrix[:, 1, :2].unbind(-1)
    linear = torch.stack([d, -b, -c, a], dim=-1) / (a * d - b * c)[:, None]
    linear = rearrange(linear, "t (i j) -> t i j", i=2)
    return torch.cat([linear, -linear @ matrix[:, :, 2:]], dim=-1)


def transform(
    matrix: Float[Tensor, "t 2 3"], points: Float[Tensor, "t k 2"]
) -> Float[Tensor, "t k 2"]:
    """The points mapped, one matrix per step."""
    return torch.einsum("tij,tkj->tki", matrix[:, :, :2], points) + matrix[:, None, :, 2]


def crop_faces(
    frames: Float[Tensor, "t h w 3"], frame_to_crop: Float[Tensor, "t 2 3"], crop_size: int
) -> Float[Tensor, "t s s 3"]:
    """Aligned crops of `crop_size`, for which `frame_to_crop` was made; [0, 1] stays [0, 1].

    Cubic interpolation, since linear takes a quarter of the edges' energy there and back again;
    what lies outside the frame repeats its border. Frames that shrink on the way are blurred first,
    so that fine texture does not turn into flicker.
    """
    warp = _warp_cv2 if frames.device.type == "cpu" else warp_kornia
    crops = [
        warp(*_source_window(frame, matrix, crop_size), crop_size)
        for frame, matrix in zip(frames, frame_to_crop.double().cpu(), strict=True)
    ]
    return torch.stack(crops) if crops else frames.new_zeros(0, crop_size, crop_size, 3)


def shrink_sigma(scale: float) -> float:
    """Standard deviation in frame pixels of the blur before shrinking by `scale`; 0 from 1 up.

    Takes the frame's pixel, a Gaussian of sigma 1/2, to the crop's pixel in the frame (Lowe 2004,
    "Distinctive image features", 3.3: blurs add in squares).
    """
    return 0.5 * math.sqrt(max(0.0, scale**-2 - 1))


def _source_window(
    frame: Float[Tensor, "h w 3"], matrix: Float[Tensor, "2 3"], crop_size: int
) -> tuple[Float[Tensor, "y x 3"], Float[Tensor, "2 3"], float]:
    """The part of the frame that the crop reads, the matrix from there, and the blur it needs."""
    back = invert(matrix[None])
    sigma = shrink_sigma(float(torch.linalg.det(matrix[:, :2]).abs().sqrt()))
    side = float(crop_size)
    corners = transform(back, torch.tensor([[[0, 0], [side, 0], [0, side], [side, side]]]).double())
    margin = 2 + math.ceil(4 * sigma)
    height, width = frame.shape[:2]
    low, high = corners[0].amin(dim=0), corners[0].amax(dim=0)
    # A crop wholly outside the frame still reads the border's pixels.
    left = min(max(0, math.floor(low[0]) - margin), width - 1)
    top = min(max(0, math.floor(low[1]) - margin), height - 1)
    right = max(min(width, math.ceil(high[0]) + margin), left + 1)
    bottom = max(min(height, math.ceil(high[1]) + margin), top + 1)
    moved = matrix.clone()
    moved[:, 2] += matrix[:, :2] @ torch.tensor([left, top]).double()
    return frame[top:bottom, left:right], moved, sigma


def centres_at_integers(matrix: Float[Tensor, "2 3"]) -> Float[Tensor, "2 3"]:
    """The same map for libraries whose pixel centres sit at integers."""
    moved = matrix.clone()
    moved[:, 2] += matrix[:, :2].sum(dim=1) * 0.5 - 0.5
    return moved


def _warp_cv2(
    window: Float[Tensor, "y x 3"], matrix: Float[Tensor, "2 3"], sigma: float, crop_size: int
) -> Float[Tensor, "s s 3"]:
    import cv2

    picture = window.contiguous().numpy()
    if sigma > 0:
        picture = cv2.GaussianBlur(
            picture, _kernel_size(sigma), sigma, borderType=cv2.BORDER_REPLICATE
        )
    crop = cv2.warpAffine(
        picture,
        centres_at_integers(matrix).numpy(),
        (crop_size, crop_size),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return torch.from_numpy(crop).clamp_(0, 1)


def warp_kornia(
    window: Float[Tensor, "y x 3"], matrix: Float[Tensor, "2 3"], sigma: float, crop_size: int
) -> Float[Tensor, "s s 3"]:
    """The warp of `crop_faces` on tensors, on the window's device."""
    from kornia.filters import gaussian_blur2d
    from kornia.geometry import warp_affine

    picture = rearrange(window, "y x c -> 1 c y x")
    if sigma > 0:
        picture = gaussian_blur2d(picture, _kernel_size(sigma), (sigma, sigma), "replicate")
    crop = warp_affine(
        picture,
        centres_at_integers(matrix)[None].to(picture),
        (crop_size, crop_size),
        mode="bicubic",
        padding_mode="border",
        align_corners=True,
    )
    return rearrange(crop, "1 c y x -> y x c").clamp(0, 1)


def _kernel_size(sigma: float) -> tuple[int, int]:
    side = 2 * math.ceil(4 * sigma) + 1
    return side, side
