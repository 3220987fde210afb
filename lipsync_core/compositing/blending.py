"""Composite: the re-made crops replace the face inside the mask, and nothing else changes."""

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from .colour import colour_offset
from .mask import changed_weight, soft_mask
from .warping import touched_box, warp_picture, warp_weight


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
    in front of the face.

    Pixels outside the mask, frames in which the face is not `visible`, and pixels where a crop
    equals its source crop within 1/255 (bar a few pixels beside a change) come back bit for bit.
    The rendered picture replaces the frame rather than adding its difference from the source:
    a face larger than the crop holds detail that no crop can take back. ValueError when the
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
    """Edits `frame`."""
    crop_weight = soft_mask(rendered.shape[0]) * changed_weight(rendered, source)
    box = touched_box(crop_weight, frame_to_crop, *frame.shape[:2])
    if box.empty:
        return
    offset = colour_offset(rendered, source)
    matched = rendered if offset is None else rendered + offset
    picture = warp_picture(matched, frame_to_crop, box)
    np.clip(picture, 0, 1, out=picture)
    weight = warp_weight(crop_weight, frame_to_crop, box)
    if occluder is not None:
        weight *= 1 - np.clip(occluder[box.slices], 0, 1)
    # In place, because memory is what this costs; weight 0 adds an exact 0.
    region = frame[box.slices]
    picture -= region
    picture *= weight[..., None]
    region += picture


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
