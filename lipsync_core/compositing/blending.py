"""Composite: the re-made crops replace the face inside the mask, and nothing else changes."""

import numpy as np
from jaxtyping import Float, Shaped
from torch import Tensor

from ..frame_memory import copied_frames
from .colour import colour_offset, fit_size
from .detail import coarse_difference, kept_texture
from .mask import changed_weight
from .place import Place
from .warping import touched_box, warp_picture


def composite(
    frames: Float[Tensor, "t h w 3"],
    crops: Float[Tensor, "t s s 3"],
    source_crops: Float[Tensor, "t s s 3"],
    frame_to_crop: Float[Tensor, "t 2 3"],
    presence: Shaped[Tensor, " t"],
    occluder: Float[Tensor, "t h w"] | None = None,
    landmarks: Float[Tensor, "t k 2"] | None = None,
) -> Float[Tensor, "t h w 3"]:
    """Frames in which the crops replace the face.

    `source_crops` are cut from `frames` with `frame_to_crop`, which leads to crop pixels of the
    size s that both stacks of crops have: any size goes. `occluder` is 1 where something stands
    in front of the face, and stays with a soft edge outside of it. `landmarks`, in frame pixels,
    tell the face from the background behind a turned head, which stays.

    `presence` is how much of the new face is shown, in [0, 1] or as truth values. Pixels outside
    the mask, frames of presence 0, and pixels where a crop
    equals its source crop within 1/255 (bar a few pixels beside a change) come back bit for bit.
    About lips and chin the rendered picture replaces the frame rather than adding its difference
    from the source: a face larger than the crop holds detail that no crop can take back. On the
    skin around, as far as it did not change, the frame's own texture stays. ValueError when the
    stacks do not fit each other.
    """
    check_stacks(frames, crops, source_crops, frame_to_crop, presence, occluder, landmarks)
    result = copied_frames(frames)
    for index in presence.nonzero().flatten().tolist():
        place = Place(
            frame_to_crop[index].numpy(force=True),
            crops.shape[1],
            float(presence[index]),
            None if occluder is None else occluder[index].numpy(force=True),
            None if landmarks is None else landmarks[index].numpy(force=True),
        )
        _composite_frame(
            result[index].numpy(),
            crops[index].float().numpy(force=True),
            source_crops[index].float().numpy(force=True),
            place,
        )
    return result


def _composite_frame(
    frame: Float[np.ndarray, "h w 3"],
    rendered: Float[np.ndarray, "s s 3"],
    source: Float[np.ndarray, "s s 3"],
    place: Place,
) -> None:
    """Edits `frame`: frame + weight * (change in light and shape) + texture_weight * (the rest)."""
    crop_weight = place.crop_weight() * changed_weight(rendered, source)
    box = touched_box(crop_weight, place.frame_to_crop, *frame.shape[:2])
    if box.empty:
        return
    offset = colour_offset(rendered, source, place.known(fit_size(place.crop_size)))
    matched = rendered if offset is None else rendered + offset
    coarse = coarse_difference(matched, source)
    texture_weight = crop_weight * (1 - kept_texture(coarse))
    weight = place.in_frame(crop_weight, box)
    texture_weight = place.in_frame(texture_weight, box)
    change = warp_picture(coarse, place.frame_to_crop, box)
    fine = warp_picture(matched, place.frame_to_crop, box)
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
    presence: Tensor,
    occluder: Tensor | None,
    landmarks: Tensor | None = None,
) -> None:
    """ValueError unless the arguments of `composite` fit each other and hold a picture."""
    if crops.shape != source_crops.shape:
        raise ValueError(
            f"crops are {tuple(crops.shape)}, source crops {tuple(source_crops.shape)}: "
            "cut the source crops again at the size of the crops"
        )
    points = len(frames) if landmarks is None else len(landmarks)
    counts = {len(frames), len(crops), len(frame_to_crop), len(presence), points}
    if len(counts) > 1:
        raise ValueError(
            f"{len(frames)} frames, {len(crops)} crops, {len(frame_to_crop)} matrices, "
            f"{len(presence)} presences and landmarks for {points} frames: there must be one of "
            "each per frame"
        )
    if not crops.isfinite().all():
        raise ValueError("crops hold NaN or infinite values: there is no picture to put back")
    if occluder is not None and occluder.shape != frames.shape[:3]:
        raise ValueError(
            f"occluder is {tuple(occluder.shape)}, frames are {tuple(frames.shape[:3])}: "
            "resize it to the frames"
        )
