"""Batches for the renderer: scenes of a few frames of a clip, and other crops of its person.

As at inference, references come from a pool of frames far away in time, and most of them are those
of the pool whose mouths come nearest to the wanted ones.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from ..motion.basis import LipMotionBasis
from ..render.motion_windows import motion_windows
from ..render.placement import Pool, in_light_of, place
from ..render.references import mouth_distance
from ..types import MOTION_RATE
from .augmentation import (
    change_colours,
    colour_changes,
    degrade,
    face_shapes,
    random_similarities,
    skin_textures,
    smooth_fields,
    warp,
)
from .crops import CropClip, clip_weights, network_images, read_crop_clips, resized
from .motion_clips import is_synthetic, read_motion_clips

REFERENCE_DISTANCE = 30
"""Frames between a reference and its target within one clip, where the clip is long enough."""


@dataclass(frozen=True)
class SceneRecipe:
    """What a batch is made of. All crops of a scene change colour alike."""

    scenes: int = 8
    frames: int = 3
    """Targets of a scene, near to one another; they share their references."""
    references: int = 4
    usable_share: float = 0.8
    """Of the references but the first: any number must do."""
    pool: int = 24
    """Frames, at most, that references are chosen from."""
    near_share: float = 0.85
    """Of the scenes in which most references are the nearest of the pool; else all are any."""
    other_clip_share: float = 0.5
    """Of the scenes whose references come from another clip of the person, where there is one."""
    balance: float = 0.45
    """See `crops.clip_weights`."""
    synthetic_share: float = 0.3
    """Of the scenes: synthetic heads, where there are people as well."""
    recoloured: float = 1.0
    """Strength of the change of colours."""
    reshaped: float = 0.6
    """Share of the scenes whose face gets other proportions and another skin: references must be
    read to know them."""
    reshaping: float = 1.0
    """Strength of that."""
    jitter: float = 0.2
    """How far references stand off their place, in units of 6 % of scale and turn and 2 % of the
    side. At inference they stand almost exactly: what is too loose here is copied as blur."""
    misplaced: float = 0.004
    """How far points of references in place are off, as a standard deviation in crop sides."""
    relit: float = 0.0
    """Share of the scenes whose references stand in another light, as other clips do."""
    degraded: float = 0.1
    """Share of the scenes that are seen softly."""


@dataclass(frozen=True)
class RenderedBatch:
    """b = scenes x frames targets and a pool of p = scenes x references; pictures in [-1, 1]."""

    crops: Float[Tensor, "b 3 s s"]
    motion: Float[Tensor, "b steps m"]
    references: Float[Tensor, "p 3 s s"]
    choice: Int[Tensor, "b n"]
    usable: Bool[Tensor, "b n"]
    shown: Float[Tensor, "b n m"]
    """Motion of the references."""
    distance: Float[Tensor, "b n"]
    """See `render.references.mouth_distance`."""
    placed: Float[Tensor, "b 3 s s"]
    """The usable references of each target, their lips brought into place, see
    `render.references.placed`."""
    frames: int
    """Targets per scene; those of one scene stand together."""

    def to(self, device: torch.device) -> "RenderedBatch":
        """The batch on `device`."""
        return replace(
            self,
            crops=self.crops.to(device),
            motion=self.motion.to(device),
            references=self.references.to(device),
            choice=self.choice.to(device),
            usable=self.usable.to(device),
            shown=self.shown.to(device),
            distance=self.distance.to(device),
            placed=self.placed.to(device),
        )


@dataclass(frozen=True)
class RenderedClip:
    """A clip's crops and the motion that is seen in them."""

    crops: CropClip
    coefficients: Float[Tensor, "n m"]
    poses: Float[Tensor, "f p"]
    """How the head is turned in every frame, see `crop_poses`."""
    frames: Int[Tensor, " t"]
    """Numbers of the frames in which the face is seen and its motion measured."""
    synthetic: bool

    def lips(self, frames: Int[Tensor, " t"]) -> Float[Tensor, "t m"]:
        """The motion at frames."""
        return motion_windows(self.coefficients, frames / self.crops.fps, 1)[:, 0]

    def pictures(self, frames: Int[Tensor, " t"], size: int) -> Float[Tensor, "t 3 s s"]:
        """The crops of frames at `size` pixels, in [0, 1]."""
        return resized(network_images(self.crops.crops[frames]), size)


class RenderedClips:
    """The clips of a split, ready to draw batches from."""

    def __init__(self, clips: list[RenderedClip], crop_size: int):
        self.clips, self.crop_size = clips, crop_size
        self.by_person: dict[str, list[int]] = {}
        for number, clip in enumerate(clips):
            self.by_person.setdefault(clip.crops.person, []).append(number)

    def motion_statistics(self) -> tuple[Float[Tensor, " m"], Float[Tensor, " m"]]:
        """Mean and standard deviation of all coefficients."""
        coefficients = torch.cat([clip.coefficients for clip in self.clips])
        return coefficients.mean(0), coefficients.std(0)

    def draw(
        self, recipe: SceneRecipe, window_steps: int, generator: torch.Generator
    ) -> RenderedBatch:
        """A batch; motion windows of `window_steps`."""
        chances = self._chances(recipe)
        chosen = torch.multinomial(chances, recipe.scenes, replacement=True, generator=generator)
        scenes = [
            self._scene(self.clips[i], recipe, window_steps, generator) for i in chosen.tolist()
        ]
        crops, motion, references, shown, distance, wanted, found = (
            torch.cat(part) for part in zip(*scenes, strict=True)
        )
        pool = torch.arange(len(references)).reshape(recipe.scenes, recipe.references)
        choice = pool.repeat_interleave(recipe.frames, 0)
        usable = torch.rand(len(crops), recipe.references, generator=generator)
        usable = usable < recipe.usable_share
        usable[:, 0] = True
        far = distance.masked_fill(~usable, torch.inf)
        wanted = wanted + recipe.misplaced * torch.randn(wanted.shape, generator=generator)
        placed = place(Pool.of(references), choice, far, found, wanted)
        crops, references, placed = _augmented(crops, references, placed, recipe, generator)
        placed = in_light_of(crops, placed)
        return RenderedBatch(
            crops=2 * crops - 1,
            motion=motion,
            references=2 * references - 1,
            choice=choice,
            usable=usable,
            shown=shown,
            distance=distance,
            placed=2 * placed - 1,
            frames=recipe.frames,
        )

    def _chances(self, recipe: SceneRecipe) -> Float[Tensor, " n"]:
        """How often each clip is drawn."""
        chances = clip_weights([clip.crops for clip in self.clips], recipe.balance)
        made = torch.tensor([clip.synthetic for clip in self.clips])
        if made.all() or not made.any():
            return chances
        share = chances[made].sum() / chances.sum()
        chances[made] *= recipe.synthetic_share / share
        chances[~made] *= (1 - recipe.synthetic_share) / (1 - share)
        return chances

    def _scene(
        self,
        clip: RenderedClip,
        recipe: SceneRecipe,
        window_steps: int,
        generator: torch.Generator,
    ) -> tuple[Tensor, ...]:
        """Target crops, their motion windows, reference crops, their motion as each target is
        told it, their distances from each target, and the points of targets and references."""
        centre = _pick(clip.frames, 1, generator)
        nearest = (clip.frames - centre).abs().argsort()[: 5 * recipe.frames]
        targets = _pick(clip.frames[nearest], recipe.frames, generator)
        others = [i for i in self.by_person[clip.crops.person] if self.clips[i] is not clip]
        if others and torch.rand((), generator=generator) < recipe.other_clip_share:
            source = self.clips[others[int(torch.randint(len(others), (), generator=generator))]]
            allowed = source.frames
        else:
            source = clip
            allowed = distant_frames(clip.frames, targets, recipe.references)
        pool = _pick(allowed, min(recipe.pool, len(allowed)), generator)
        distance = mouth_distance(
            clip.lips(targets), source.lips(pool), clip.poses[targets], source.poses[pool]
        )
        chosen = _choose(distance, recipe, generator)
        references = pool[chosen]
        motion = motion_windows(clip.coefficients, targets / clip.crops.fps, window_steps)
        return (
            clip.pictures(targets, self.crop_size),
            motion,
            source.pictures(references, self.crop_size),
            source.lips(references).expand(recipe.frames, -1, -1),
            distance[:, chosen],
            clip.crops.points[targets],
            source.crops.points[references],
        )


def _choose(
    distance: Float[Tensor, "t p"], recipe: SceneRecipe, generator: torch.Generator
) -> Int[Tensor, " r"]:
    """Numbers of the pool: any, or mostly the nearest to each of the targets in turn."""
    near = torch.rand((), generator=generator) < recipe.near_share
    order = torch.randperm(distance.shape[1], generator=generator)
    chosen: list[int] = []
    for number in range(recipe.references):
        free = [i for i in order.tolist() if i not in chosen] or order.tolist()
        # One in four is any even then: what a short clip cannot offer must not be counted on.
        if near and torch.rand((), generator=generator) < 0.75:
            free = [min(free, key=distance[number % len(distance)].tolist().__getitem__)]
        chosen.append(free[0])
    # The first is always usable: let it be any.
    turn = torch.randperm(recipe.references, generator=generator)
    return torch.tensor(chosen)[turn]


def distant_frames(
    frames: Int[Tensor, " t"], targets: Int[Tensor, " n"], fewest: int
) -> Int[Tensor, " r"]:
    """Those of `frames` at least REFERENCE_DISTANCE from all targets, else the farthest few."""
    distance = (frames[:, None] - targets).abs().amin(1)
    distant = frames[distance >= REFERENCE_DISTANCE]
    if len(distant) >= fewest:
        return distant
    return frames[distance.argsort(descending=True)[:fewest]]


def read_rendered_clips(
    prepared: Path, split: str, basis: LipMotionBasis, crop_size: int
) -> RenderedClips:
    """The clips of `split` beneath `prepared`, of crops of any size, to be drawn at `crop_size`.

    TrainingError when there are none.
    """
    motions = {(clip.person, clip.name): clip for clip in read_motion_clips(prepared, split)}
    clips = []
    for crops in read_crop_clips(prepared, split):
        motion = motions[crops.person, crops.name]
        steps = (crops.visible / crops.fps * MOTION_RATE).round().long()
        measured = motion.valid[steps.clamp(max=motion.steps - 1)] & (steps < motion.steps)
        if measured.any():
            coefficients = basis.project(motion.displacement)
            frames = crops.visible[measured]
            clips.append(
                RenderedClip(crops, coefficients, crops.poses, frames, is_synthetic(motion))
            )
    return RenderedClips(clips, crop_size)


def _augmented(
    crops: Tensor,
    references: Tensor,
    placed: Tensor,
    recipe: SceneRecipe,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Unless a face is reshaped, targets keep their pixels' places: resampling teaches blur."""
    crops, references, placed = _reshaped((crops, references, placed), recipe, generator)
    loose = recipe.jitter
    jitter = random_similarities(
        len(references), generator, scale=0.06 * loose, turn=0.06 * loose, shift=0.02 * loose
    )
    references = warp(references, jitter)
    colours = colour_changes(recipe.scenes, generator, recipe.recoloured)
    crops, references, placed = (
        change_colours(x, *(c.repeat_interleave(len(x) // recipe.scenes, 0) for c in colours))
        for x in (crops, references, placed)
    )
    references, placed = (
        change_colours(x, *colour_changes(len(x), generator, 0.2 * recipe.recoloured))
        for x in (references, placed)
    )
    references, placed = _relit((references, placed), recipe, generator)
    soft = torch.rand(recipe.scenes, generator=generator) < recipe.degraded
    size = 0.45 + 0.45 * torch.rand((), generator=generator).item()
    crops, references, placed = (
        degrade(x, soft.repeat_interleave(len(x) // recipe.scenes), size)
        for x in (crops, references, placed)
    )
    return crops, references, placed


def _reshaped(
    sets: tuple[Tensor, ...], recipe: SceneRecipe, generator: torch.Generator
) -> tuple[Tensor, ...]:
    """Pictures of some scenes as another person: one shape and skin per scene."""
    chosen = (torch.rand(recipe.scenes, generator=generator) < recipe.reshaped).nonzero()[:, 0]
    if not len(chosen):
        return sets
    size = sets[0].shape[-1]
    shapes = face_shapes(len(chosen), size, generator, recipe.reshaping)
    skins = skin_textures(len(chosen), size, generator, recipe.reshaping)
    sets = tuple(pictures.clone() for pictures in sets)
    for pictures in sets:
        share = len(pictures) // recipe.scenes
        for scene, shape, skin in zip(chosen.tolist(), shapes, skins, strict=True):
            part = slice(scene * share, (scene + 1) * share)
            grid = shape.expand(share, -1, -1, -1)
            pictures[part] = functional.grid_sample(
                pictures[part], grid, "bicubic", "border", align_corners=False
            )
            pictures[part] = (pictures[part] * skin).clamp(0, 1)
    return sets


def _relit(
    sets: tuple[Tensor, ...], recipe: SceneRecipe, generator: torch.Generator
) -> tuple[Tensor, ...]:
    """Pictures of some scenes in another light: one smooth factor per scene and colour."""
    chosen = torch.rand(recipe.scenes, generator=generator) < recipe.relit
    if not chosen.any():
        return sets
    size = sets[0].shape[-1]
    light = smooth_fields(recipe.scenes, 1, 2, size, generator) * 0.25
    tint = 0.06 * torch.randn(recipe.scenes, 3, 1, 1, generator=generator)
    factors = torch.exp((light + tint) * chosen[:, None, None, None])
    return tuple(
        (x * factors.repeat_interleave(len(x) // recipe.scenes, 0)).clamp(0, 1) for x in sets
    )


def _pick(numbers: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` of `numbers`, without repetition while there are enough."""
    order = torch.randperm(len(numbers), generator=generator)
    return numbers[order.repeat(-(-count // len(numbers)))[:count]]
