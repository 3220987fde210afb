"""Decoded frames to RGB and back: matrix, range, bit depth, and which way is up."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ..types import PictureCoding

if TYPE_CHECKING:
    import av
    from av.video.reformatter import VideoReformatter

# SWS_* flags of libswscale. Its default shortcuts darken every copy by one level of 255; with
# these, pictures that go to RGB and back keep their luma to 60 dB (measured on 720p speech).
_ACCURATE = 0x40000 | 0x80000  # ACCURATE_RND, BITEXACT
_TO_RGB = _ACCURATE | 0x4 | 0x2000  # BICUBIC, FULL_CHR_H_INT
_FROM_RGB = _ACCURATE | 0x4  # BICUBIC
_LIMITED, _FULL = 1, 2  # AVColorRange
# The code points of matrices -> SWS_CS_*: BT.709, FCC, the BT.601 pair, SMPTE 240M, BT.2020.
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}
_BT709, _BT601, _BT2020, _BT2020_CONSTANT = 1, 5, 9, 10
_LUMA_WEIGHTS = {
    1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114),
    7: (0.212, 0.087), 9: (0.2627, 0.0593),
}  # fmt: skip
"""Of red and blue, by the matrix's code point (ISO/IEC 23091-2, table 4)."""
_LEAST_HD_HEIGHT = 720
_LINES = 128


@dataclass(frozen=True)
class Orientation:
    """How stored pictures are turned for display: first transposed, then flipped."""

    transposed: bool = False
    upside_down: bool = False
    mirrored: bool = False

    def upright(self, picture: np.ndarray) -> np.ndarray:
        """A view of an h w c picture, as it is to be seen."""
        if self.transposed:
            picture = picture.swapaxes(0, 1)
        if self.upside_down:
            picture = picture[::-1]
        return picture[:, ::-1] if self.mirrored else picture


def orientation_of(frame: "av.VideoFrame") -> Orientation:
    """Reads the display matrix: (x, y) goes to (a x + c y, b x + d y) (ISO/IEC 14496-12, 8.3.2).

    Turns by quarters and mirrorings are honoured; other angles, which no camera writes, are
    rounded to the nearest quarter.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return Orientation()
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    if abs(b) > abs(a):
        return Orientation(transposed=True, upside_down=b < 0, mirrored=c < 0)
    return Orientation(upside_down=d < 0, mirrored=a < 0)


def rgb_pixels(
    frame: "av.VideoFrame", width: int, height: int, reformatter: "VideoReformatter"
) -> tuple[np.ndarray, int]:
    """The frame as stored (not turned), h w 3: RGB and the number that stands for white.

    8 bits deep, or 16 if the frame holds more than 8. High dynamic range is not tone-mapped. One
    `reformatter` serves all frames of a stream: a frame's own `reformat` would keep threads and
    tables of libswscale for as long as the frame is remembered.
    """
    bits = _bits(frame)
    matrix, full = _matrix_and_range(frame)
    matrix = _MATRICES[matrix]
    rgb = reformatter.reformat(
        frame,
        width=width,
        height=height,
        format="rgb48le" if bits > 8 else "rgb24",
        src_colorspace=matrix,
        dst_colorspace=_other_than(matrix),
        src_color_range=_FULL if full else _LIMITED,
        dst_color_range=_FULL,
        interpolation=_TO_RGB,
    )
    return rgb.to_ndarray(), _white(frame.format, bits, full)


def coding_of(frame: "av.VideoFrame", primaries: int, transfer: int) -> PictureCoding:
    """How a decoded frame is stored; which primaries and transfer only its stream says.

    Pictures stored as RGB, which has no matrix, are BT.709 of limited range once written.
    """
    deep = _bits(frame) > 8
    if frame.format.is_rgb:
        return PictureCoding(primaries=primaries, transfer=transfer, deep=deep)
    matrix, full = _matrix_and_range(frame)
    return PictureCoding(matrix, primaries, transfer, full, deep)


def _matrix_and_range(frame: "av.VideoFrame") -> tuple[int, bool]:
    """The matrix's code point, and whether the range is full.

    Files that name no matrix are taken as players take them: BT.709 from 720 lines up, BT.601
    below. BT.2020 with constant luminance, which libswscale does not know, passes for the common
    kind.
    """
    matrix = int(frame.colorspace)
    if matrix == _BT2020_CONSTANT:
        matrix = _BT2020
    elif matrix not in _MATRICES:
        matrix = _BT709 if frame.height >= _LEAST_HD_HEIGHT else _BT601
    return matrix, frame.color_range == _FULL or frame.format.name.startswith("yuvj")


def _bits(frame: "av.VideoFrame") -> int:
    return max(component.bits for component in frame.format.components)


def _other_than(matrix: int) -> int:
    """RGB has no matrix, but PyAV 14 heeds that of the other side only if the two differ."""
    return _BT601 if matrix == _BT709 else _BT709


def _white(pixel_format: "av.VideoFormat", bits: int, full: bool) -> int:
    """libswscale moves deep YCbCr up to 16 bits by shifts, so that white falls short of 65535."""
    if bits <= 8:
        return 255
    if pixel_format.is_rgb:
        return 65535
    grey = len(pixel_format.components) == 1
    return ((1 << bits) - 1) << (16 - bits) if full or grey else 255 << 8


def store_unit_range(pixels: np.ndarray, white: int, picture: Float[Tensor, "h w 3"]) -> None:
    """Fills `picture` with pixels / white in [0, 1]; rounding x * 255 gives a byte back."""
    out = picture.numpy()
    np.divide(pixels, np.float32(white), out=out, dtype=np.float32)
    if white > 255:
        np.minimum(out, 1, out=out)


def video_frame(
    picture: Float[Tensor, "h w 3"],
    pixel_format: str,
    coding: PictureCoding,
    reformatter: "VideoReformatter",
) -> "av.VideoFrame":
    """RGB in [0, 1] as a frame of `coding`, in 4:2:0 or 4:4:4 of 8 bits, or of 10 if it is deep.

    One `reformatter` serves all frames of a stream, see `rgb_pixels`.
    libswscale is exact to a tenth of a level for 8 bits of limited range; others it darkens by half
    a level and more (measured), so they are computed here.
    """
    import av

    if coding.deep or coding.full_range:
        return _filled_frame(_components(picture, pixel_format, coding), pixel_format)
    pixels = np.empty(picture.shape, np.uint8)
    # Some lines at a time: whole frames of floats would come and go with each.
    for top in range(0, len(pixels), _LINES):
        lines = (picture[top : top + _LINES] * 255).round_().clamp_(0, 255)
        pixels[top : top + _LINES] = lines.to(torch.uint8).numpy(force=True)
    matrix = _MATRICES[coding.matrix]
    return reformatter.reformat(
        av.VideoFrame.from_ndarray(pixels, "rgb24"),
        format=pixel_format,
        src_colorspace=_other_than(matrix),
        dst_colorspace=matrix,
        src_color_range=_FULL,
        dst_color_range=_LIMITED,
        interpolation=_FROM_RGB,
    )


def _components(
    picture: Float[Tensor, "h w 3"], pixel_format: str, coding: PictureCoding
) -> list[np.ndarray]:
    """Luma and the two chroma planes in levels (ISO/IEC 23091-2, 8.3); chroma of 4:2:0 is the mean
    of four pixels, so it lies in their middle, as libswscale has it."""
    red, blue = _LUMA_WEIGHTS[coding.matrix]
    luma = picture.float().clamp(0, 1) @ picture.new_tensor((red, 1 - red - blue, blue)).float()
    colours = picture[..., (2, 0)].float().clamp(0, 1) - luma[..., None]
    chroma = rearrange(colours / (2 - 2 * picture.new_tensor((blue, red))), "h w c -> 1 c h w")
    if "420" in pixel_format:
        chroma = avg_pool2d(chroma, 2)
    bits = 10 if coding.deep else 8
    zero, grey = 0 if coding.full_range else 16 << (bits - 8), 128 << (bits - 8)
    span, spread = (
        ((1 << bits) - 1,) * 2 if coding.full_range else (219 << (bits - 8), 224 << (bits - 8))
    )
    planes = [zero + span * luma, *(grey + spread * chroma[0])]
    return [plane.round().clamp(0, (1 << bits) - 1).cpu().numpy() for plane in planes]


def _filled_frame(planes: list[np.ndarray], pixel_format: str) -> "av.VideoFrame":
    """Planes of whole numbers as a frame; its lines are longer than the picture's."""
    import av

    kind = np.uint16 if "10" in pixel_format else np.uint8
    frame = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], pixel_format)
    for plane, levels in zip(frame.planes, planes, strict=True):
        lines = np.zeros((plane.height, plane.line_size // np.dtype(kind).itemsize), kind)
        lines[:, : plane.width] = levels
        plane.update(lines.tobytes())
    return frame
