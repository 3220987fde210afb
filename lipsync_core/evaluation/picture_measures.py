"""How good a written picture is beside the real one, over a clip of any length.

Everything is summed frame by frame, so memory does not grow with the clip. "Real" should be the
real clip written again by the same writer: compression alone takes a third of a picture's motion
energy away, and what it took is nobody's fault.
"""

import math
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from ..compositing.warping import Box
from ..face.alignment import crop_faces
from ..types import FaceTrack
from .picture_regions import (
    inside_outline,
    lips_in_crop,
    lips_in_frame,
    mask_outlines,
    mouth_box,
)
from .results import Measure
from .seam import measure_seam

PSNR_CAP = 100.0
"""dB. Equal pictures have an infinite PSNR, and one such frame would make a clip's mean infinite;
8-bit rounding alone leaves 59 dB, so no real difference reaches the cap."""
SSIM_WINDOW = 11
"""Pixels; Gaussian of sigma 1.5, as in Wang et al. 2004 (doi 10.1109/TIP.2003.819861)."""
MOTION_CROP = 128
"""Side in pixels of the aligned crops in which motion is measured."""
MOTION_BLUR = 2.0
"""Sigma in those pixels (0.033 eye distances) of the blur that keeps lips and drops codec noise."""

_PLACES = {"frame": "the whole frame", "mask": "the mask", "mouth": "the box of the real mouth"}
MEASURES = (
    *(
        Measure(f"PSNR {place}", "dB", "higher", f"Peak signal to noise ratio in {where}.")
        for place, where in _PLACES.items()
    ),
    *(
        Measure(f"SSIM {place}", "", "higher", f"Structural similarity in {where}.")
        for place, where in _PLACES.items()
    ),
    Measure("sharpness", "x real", "near 1", "Gradient energy in the mouth's box."),
    Measure("motion energy", "x real", "near 1", "Squared change between frames, mouth's box."),
    Measure(
        "motion energy, blurred", "x real", "near 1", "The same without what only flickers finely."
    ),
    Measure("seam", "x real", "near 1", "Gradient energy across the edge of the mask."),
    Measure("seam step", "levels", "lower", "Step of our error across that edge, of 255 levels."),
)  # fmt: skip


def psnr(
    ours: Float[Tensor, "h w 3"],
    real: Float[Tensor, "h w 3"],
    where: Bool[Tensor, "h w"] | None = None,
) -> float:
    """dB between pictures in [0, 1], over the pixels of `where`; at most PSNR_CAP, nan of none."""
    error = (ours.double() - real.double()).square().mean(-1)
    mean = float(error.mean() if where is None else error[where].mean())
    return mean if math.isnan(mean) else min(-10 * math.log10(max(mean, 1e-30)), PSNR_CAP)


def ssim_map(ours: Float[Tensor, "h w 3"], real: Float[Tensor, "h w 3"]) -> Float[Tensor, "h w"]:
    """Structural similarity about every pixel, mean of the three colours; 1 where equal."""
    from kornia.metrics import ssim

    pictures = (rearrange(x.float(), "h w c -> 1 c h w") for x in (ours, real))
    return ssim(*pictures, window_size=SSIM_WINDOW)[0].mean(0)


def gradient_energy(picture: Float[Tensor, "h w 3"]) -> float:
    """Sum of squared differences between neighbouring pixels; what blur takes away first."""
    return sum(float(picture.double().diff(dim=axis).square().sum()) for axis in (0, 1))


@dataclass
class _Mean:
    """Of values as they come; nan of none."""

    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        if not math.isnan(value):
            self.total += value
            self.count += 1

    @property
    def value(self) -> float:
        return self.total / self.count if self.count else math.nan


@dataclass
class _Ratio:
    """Of two sums; nan where the real one is 0, since nothing was there to compare with."""

    ours: float = 0.0
    real: float = 0.0

    def add(self, ours: float, real: float) -> None:
        self.ours += ours
        self.real += real

    @property
    def value(self) -> float:
        return self.ours / self.real if self.real > 0 else math.nan


class PictureMeter:
    """Compares a clip with the real one, chunk after chunk; `track` is the real clip's face."""

    def __init__(self, track: FaceTrack):
        self._track = track
        self._outlines = mask_outlines(track)
        self._lips = lips_in_frame(track)
        self._motion = MotionMeter(track.resized(MOTION_CROP))
        self._means: dict[str, _Mean] = {}
        self._ratios: dict[str, _Ratio] = {}
        self._next = 0

    def add(
        self, ours: Float[Tensor, "t h w 3"], real: Float[Tensor, "t h w 3"], span: range
    ) -> None:
        """Frames `span` of both clips, in [0, 1]; spans follow each other without a gap.

        Frames in which the face is not visible count for the whole frame alone. ValueError when
        shapes or spans do not fit.
        """
        if ours.shape != real.shape or len(ours) != len(span):
            raise ValueError(
                f"{tuple(ours.shape)} frames against {tuple(real.shape)} for {len(span)} places: "
                "both clips need the same frames, of one size"
            )
        if span.start != self._next or span.stop > len(self._track.visible):
            raise ValueError(
                f"frames {span.start} to {span.stop} of {len(self._track.visible)}, "
                f"{self._next} comes next: add spans in order"
            )
        self._next = span.stop
        for index, one, other in zip(span, ours, real, strict=True):
            self._add_frame(index, one, other)
        for name, (our, their) in self._motion.add(ours, real, span).items():
            self._ratio(name).add(our, their)

    def figures(self) -> dict[str, float]:
        """Every measure of MEASURES so far; nan where nothing could be measured."""
        found = {**self._means, **self._ratios}
        return {
            measure.name: found[measure.name].value if measure.name in found else math.nan
            for measure in MEASURES
        }

    def _add_frame(
        self, index: int, ours: Float[Tensor, "h w 3"], real: Float[Tensor, "h w 3"]
    ) -> None:
        height, width = real.shape[:2]
        similarity = ssim_map(ours, real)
        self._mean("PSNR frame").add(psnr(ours, real))
        self._mean("SSIM frame").add(float(similarity.mean()))
        if not self._track.visible[index]:
            return
        inside = inside_outline(self._outlines[index], height, width)
        self._mean("PSNR mask").add(psnr(ours, real, inside))
        self._mean("SSIM mask").add(float(similarity[inside].mean()))
        box = mouth_box(self._lips[index], height, width)
        if not box.empty:
            rows, columns = box.slices
            our_mouth, real_mouth = ours[rows, columns], real[rows, columns]
            self._mean("PSNR mouth").add(psnr(our_mouth, real_mouth))
            self._mean("SSIM mouth").add(float(similarity[rows, columns].mean()))
            self._ratio("sharpness").add(gradient_energy(our_mouth), gradient_energy(real_mouth))
        seam = measure_seam(ours, real, self._outlines[index])
        if seam is not None:
            self._ratio("seam").add(seam.our_energy, seam.real_energy)
            self._mean("seam step").add(seam.step)

    def _mean(self, name: str) -> _Mean:
        return self._means.setdefault(name, _Mean())

    def _ratio(self, name: str) -> _Ratio:
        return self._ratios.setdefault(name, _Ratio())


class MotionMeter:
    """Change between neighbouring frames about the mouth, in crops that follow the real head."""

    def __init__(self, track: FaceTrack):
        self._track = track
        self._lips = lips_in_crop(track)
        self._last: Float[Tensor, "2 s s 3"] | None = None

    def add(
        self, ours: Float[Tensor, "t h w 3"], real: Float[Tensor, "t h w 3"], span: range
    ) -> dict[str, tuple[float, float]]:
        """Energies, ours and real, of the changes that this chunk brings."""
        frames = slice(span.start, span.stop)
        matrices, size = self._track.frame_to_crop[frames], self._track.crop_size
        crops = torch.stack([crop_faces(x.float(), matrices, size) for x in (ours, real)], 1)
        sums = {"motion energy": [0.0, 0.0], "motion energy, blurred": [0.0, 0.0]}
        for index, pair in zip(span, crops, strict=True):
            if self._last is not None and self._follows(index):
                box = self._box(index)
                change = pair - self._last
                for name, kind in zip(sums, (change, _blurred(change)), strict=True):
                    for subject in (0, 1):
                        sums[name][subject] += _energy(kind[subject], box)
            self._last = pair
        return {name: (our, their) for name, (our, their) in sums.items()}

    def _follows(self, index: int) -> bool:
        """Whether `index` and the frame before show the face in one shot."""
        visible = self._track.visible
        return bool(visible[index] and visible[index - 1]) and index not in self._track.cuts

    def _box(self, index: int) -> Box:
        """About the mouths of `index` and the frame before, crop pixels."""
        size = self._track.crop_size
        return mouth_box(self._lips[index - 1 : index + 1].flatten(0, 1), size, size)


def _blurred(pictures: Float[Tensor, "n s s 3"]) -> Float[Tensor, "n s s 3"]:
    from kornia.filters import gaussian_blur2d

    side = 2 * math.ceil(3 * MOTION_BLUR) + 1
    channels_first = rearrange(pictures, "n h w c -> n c h w")
    blurred = gaussian_blur2d(channels_first, (side, side), (MOTION_BLUR, MOTION_BLUR))
    return rearrange(blurred, "n c h w -> n h w c")


def _energy(change: Float[Tensor, "s s 3"], box: Box) -> float:
    return 0.0 if box.empty else float(change[box.slices].double().square().mean())
