"""Composite: the re-made crops replace the face inside the mask, and nothing else changes."""

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from .colour import colour_offset, fit_size
from .detail import coarse_difference, kept_texture
from .mask import changed_weight, soft_mask
from .occlusion import clear_of, seen_in_crop
from .warping import frame_pixels_per_crop_pixel, touched_box, warp_picture, warp_weight


def composite(
    frames: Float[Tensor, "t h w 3"],
    crops: Float[Tensor, "t s s 3"],
    source_crops: Float[Tensor, "t s s 3"],
    frame_to_crop: Float[Tensor, "t 2 3"],
    visible: Bool[Tensor, " t"],
    occluder: Float[Tensor, "t h w"] | None = None,
) -> Float[Tensor, "t h w 3"]:
    """Frames in which the crops replace the face.

    `source_crops` are cut from `frames` with `frame_to_crop`, which leads to crop pixels of the
    size s that both stacks of crops have: any size goes. `occluder` is 1 where something stands
    in front of the face, and stays with a soft edge outside of it.

    Pixels outside the mask, frames in which the face is not `visible`, and pixels where a crop
    equals its source crop within 1/255 (bar a few pixels beside a change) come back bit for bit.
    About lips and chin the rendered picture replaces the frame rather than adding its difference
    from the source: a face larger than the crop holds detail that no crop can take back. On the
    skin around, as far as it did not change, the frame's own texture stays. ValueError when the
    stacks do not fit each other.
    """
    check_stacks(frames, crops, source_crops, frame_to_crop, visible, occluder)
    result = frames.clone()
    for index in visible.nonzero().flatten().tolist():
        _composite_frame(
            result[index].numpy(),
            crops[index].float().numpy(force=True),
            source_crops[index].float().numpy(force=True),
            frame_to_crop[index].numpy(force=True),
            None if occluder is None else occluder[index].numpy(force=True),
        )
    return result


def _composite_frame(
    frame: Float[np.ndarray, "h w 3"],
    rendered: Float[np.ndarray, "s s 3"],
    source: Float[np.ndarray, "s s 3"],
    frame_to_crop: Float[np.ndarray, "2 3"],
    occluder: Float[np.ndarray, "h w"] | None,
) -> None:
    """Edits `frame`: frame + weight * (change in light and shape) + texture_weight * (the rest)."""
    size = rendered.shape[0]
    crop_weight = soft_mask(size) * changed_weight(rendered, source)
    box = touched_box(crop_weight, frame_to_crop, *frame.shape[:2])
    if box.empty:
        return
    known = None
    if occluder is not None:
        known = seen_in_crop(occluder, frame_to_crop, size, fit_size(size))
    offset = colour_offset(rendered, source, known)
    matched = rendered if offset is None else rendered + offset
    coarse = coarse_difference(matched, source)
    texture_weight = crop_weight * (1 - kept_texture(coarse))
    weight = warp_weight(crop_weight, frame_to_crop, box)
    texture_weight = warp_weight(texture_weight, frame_to_crop, box)
    if occluder is not None:
        clear = clear_of(occluder, box, size * frame_pixels_per_crop_pixel(frame_to_crop))
        weight *= clear
        texture_weight *= clear
    change = warp_picture(coarse, frame_to_crop, box)
    fine = warp_picture(matched, frame_to_crop, box)
    np.clip(fine, 0, 1, out=fine)
    # In place, because memory is what this costs; weight 0 adds an exact 0.
    region = frame[box.slices]
    fine -= region
    fine -= change
    fine *= texture_weight[..., None]
    change *= weight[..., None]
    change += fine
    change += region
    np.clip(change, 0, 1, out=change)
    np.copyto(region, change, where=weight[..., None] > 0)


def check_stacks(
    frames: Tensor,
    crops: Tensor,
    source_crops: Tensor,
    frame_to_crop: Tensor,
    visible: Tensor,
    occluder: Tensor | None,
) -> None:
    """ValueError unless the arguments of `composite` fit each other and hold a picture."""
    if crops.shape != source_crops.shape:
        raise ValueError(
            f"crops are {tuple(crops.shape)}, source crops {tuple(source_crops.shape)}: "
            "cut the source crops again at the size of the crops"
        )
    counts = {len(frames), len(crops), len(frame_to_crop), len(visible)}
    if len(counts) > 1:
        raise ValueError(
            f"{len(frames)} frames, {len(crops)} crops, {len(frame_to_crop)} matrices and "
            f"{len(visible)} visibilities: there must be one of each per frame"
        )
    if not crops.isfinite().all():
        raise ValueError("crops hold NaN or infinite values: there is no picture to put back")
    if occluder is not None and occluder.shape != frames.shape[:3]:
        raise ValueError(
            f"occluder is {tuple(occluder.shape)}, frames are {tuple(frames.shape[:3])}: "
            "resize it to the frames"
        )
