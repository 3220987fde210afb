"""Controls of the renderer alone: does it draw from motion, references and noise, and no other?

swapped motion   another clip's motion: the lips must be that clip's, not the real one's
no motion        the person's rest all along: the mouth must be still
another person   references of somebody else: the face must move towards them
another seed     other noise: another picture, however little
painted mouth    what the mask hides painted green first: nothing may change at all
no modulation, no attention, no drawing    a part of the network switched off
"""

import math
from dataclasses import replace
from itertools import islice

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..render.renderer import LipRenderer
from ..render.rendering import feathered_mask
from ..types import LipMotion
from .bench import Bench, Talking
from .identity_distance import NAME as IDENTITY
from .measured_face import MeasuredFace, measured
from .motion_measures import opening_correlation, opening_statistics
from .picture_regions import lips_in_crop, mouth_box
from .renderer_clips import (
    LookedAt,
    RendererClip,
    laid_over,
    look_up,
    middle,
    next_clips,
    other_clips,
    render,
    track_part,
)
from .renderer_networks import FaceJudge
from .renderer_parts import without_attention, without_drawing, without_modulation
from .renderer_pictures import crop_figures, put_back, write_crops
from .results import Measure
from .seen_clips import SeenClip

AS_GIVEN, SWAPPED, OTHER_CLIP, STILL = "as given", "swapped motion", "the other clip", "no motion"
STRANGER, RESEEDED, PAINTED = "another person", "another seed", "painted mouth"
PARTS = {
    "no modulation": without_modulation,
    "no attention": without_attention,
    "no drawing": without_drawing,
}
"""Subject -> the renderer without that part."""
MEANINGS = {
    AS_GIVEN: "one step, as in the table above",
    SWAPPED: "driven by the true motion of that of the next three clips which is least like it",
    OTHER_CLIP: "that clip itself, beside the same real clip: what a perfect swap scores",
    STILL: "driven by zeros",
    STRANGER: "references out of another person's clip",
    RESEEDED: "other noise",
    PAINTED: "everything that is made anew painted green before it is hidden",
    "no modulation": "lip motion modulates no convolution",
    "no attention": "references are not looked at but where they are brought into place",
    "no drawing": "references in place as they are: the network changes nothing",
}
OWN_R, OTHER_R = "opening r", "opening r to the other clip"
OTHER_IDENTITY = "identity distance to the other person"
CHANGE, LARGEST_CHANGE = "mouth changed", "largest change"
MEASURES = (
    Measure(
        OTHER_R, "", "higher when swapped", "Whether the mouth follows the motion it is given."
    ),
    Measure(OTHER_IDENTITY, "", "lower for another person", "Mean of face descriptors' distances."),
    Measure(
        CHANGE,
        "levels",
        "0 when painted",
        "Mean absolute difference from as given, in the mouth's box.",
    ),
    Measure(
        LARGEST_CHANGE,
        "levels",
        "0 when painted",
        "The largest anywhere in the crop, of 255 levels.",
    ),
)
CANDIDATES = 3
_GREEN = (0.0, 1.0, 0.0)


class Controls:
    """The controls of one clip; `given` are its crops of one step, `judge` the real faces."""

    def __init__(
        self,
        bench: Bench,
        work: RendererClip,
        looked: LookedAt,
        given: Float[Tensor, "t s s 3"],
        real: Talking,
        judge: FaceJudge | None,
    ):
        self._bench, self._work, self._looked = bench, work, looked
        self._given, self._real, self._judge = given, real, judge
        self._picked = work.in_span(work.picked)
        self.notes: dict[str, str] = {}
        """Which other clips the controls took, or that there was none."""

    def figures(self, output: Talking) -> dict[str, dict[str, float]]:
        """subject -> figures; `output` is `given` written."""
        found = {AS_GIVEN: self._motion_figures(output)}
        self._swap_motion(found, output)
        self._keep_still(found)
        self._swap_person(found)
        reseeded = self._render(self._looked, seed=self._bench.settings.seed + 1)
        found[RESEEDED] = self._changes(reseeded)
        painted = painted_crops(self._bench.models.renderer, self._work.crops[self._picked])
        found[PAINTED] = self._changes(self._render(self._looked, crops=painted))
        self._switch_off(found)
        return found

    def _switch_off(self, found: dict[str, dict[str, float]]) -> None:
        found[AS_GIVEN] |= self._crop_figures(self._given[self._picked])
        for subject, without in PARTS.items():
            crops = self._render(self._looked, renderer=without(self._bench.models.renderer))
            found[subject] = self._changes(crops) | self._crop_figures(crops)

    def _crop_figures(self, crops: Float[Tensor, "n s s 3"]) -> dict[str, float]:
        """Of the picked frames."""
        real = self._work.crops[self._picked]
        return crop_figures(crops, real, self._work.track, self._picked)

    def _swap_motion(self, found: dict[str, dict[str, float]], output: Talking) -> None:
        other = self._least_alike()
        if other is None:
            self.notes[SWAPPED] = "no other clip"
            return
        self.notes[SWAPPED] = other.name
        talking, crops = self._write(laid_over(other, self._work), SWAPPED)
        face = self._middle_face(other)
        found[AS_GIVEN][OTHER_R] = opening_correlation(output.face, face)
        found[SWAPPED] = (
            self._motion_figures(talking)
            | {OTHER_R: opening_correlation(talking.face, face)}
            | self._changes(crops[self._picked])
        )
        found[OTHER_CLIP] = {OWN_R: opening_correlation(face, self._real.face)}

    def _least_alike(self) -> SeenClip | None:
        """Of the next CANDIDATES clips the one whose mouth opens least as the real one does: a
        swap for nearly the same motion would show nothing."""
        clips = other_clips(self._bench, self._work.clip, next_clips(self._bench, self._work.clip))
        candidates = list(islice(clips, CANDIDATES))
        likeness = [
            opening_correlation(self._middle_face(other), self._real.face) for other in candidates
        ]
        # A mouth that never moves has no correlation and comes last.
        ranked = [abs(r) if math.isfinite(r) else math.inf for r in likeness]
        return candidates[ranked.index(min(ranked))] if candidates else None

    def _middle_face(self, other: SeenClip) -> MeasuredFace:
        span = middle(other.pictures.frame_count, len(self._given))
        return measured(track_part(other.track, span))

    def _keep_still(self, found: dict[str, dict[str, float]]) -> None:
        motion = self._work.seen.motion
        zeros = LipMotion(torch.zeros_like(motion.coefficients), motion.valid, motion.basis)
        talking, crops = self._write(zeros, STILL)
        found[STILL] = self._motion_figures(talking) | self._changes(crops[self._picked])

    def _swap_person(self, found: dict[str, dict[str, float]]) -> None:
        stranger = self._find_stranger()
        self.notes[STRANGER] = "no other clip" if stranger is None else stranger.name
        if stranger is None:
            return
        work = self._work
        looked = look_up(self._bench, work.seen, work.seen.motion, stranger)
        crops = self._render(looked)
        found[STRANGER] = self._changes(crops)
        if self._judge is not None:
            given = self._given[self._picked]
            found[AS_GIVEN] |= self._identities(self._judge, given, stranger)
            found[STRANGER] |= self._identities(self._judge, crops, stranger)

    def _find_stranger(self) -> SeenClip | None:
        bench, clip = self._bench, self._work.clip
        if bench.other_person is not None:
            return bench.see(bench.other_person)
        clips = [other for other in next_clips(bench, clip) if other.person != clip.person]
        return next(other_clips(bench, clip, clips), None)

    def _identities(
        self, judge: FaceJudge, crops: Float[Tensor, "n s s 3"], stranger: SeenClip
    ) -> dict[str, float]:
        """Distances of the picked frames with `crops` in them, before writing."""
        pictures = put_back(self._work, crops, self._work.picked)
        seen = self._work.seen.track.visible[self._work.picked]
        ours = judge.describe(pictures[seen])
        return {
            IDENTITY: float((ours - judge.descriptors).norm(dim=-1).mean()),
            OTHER_IDENTITY: float(torch.cdist(ours, judge.describe_clip(stranger)).mean()),
        }

    def _render(
        self,
        looked: LookedAt,
        *,
        crops: Float[Tensor, "n s s 3"] | None = None,
        seed: int | None = None,
        renderer: LipRenderer | None = None,
    ) -> Float[Tensor, "n s s 3"]:
        """The picked frames, one step, with the true motion."""
        models = self._bench.models
        return render(
            models if renderer is None else replace(models, renderer=renderer),
            self._work,
            self._work.seen.motion,
            looked,
            frames=self._work.picked,
            crops=crops,
            seed=self._bench.settings.seed if seed is None else seed,
        )

    def _write(self, motion: LipMotion, kind: str) -> tuple[Talking, Float[Tensor, "t s s 3"]]:
        models, work = self._bench.models, self._work
        looked = look_up(self._bench, work.seen, motion, work.reference)
        crops = render(models, work, motion, looked, seed=self._bench.settings.seed)
        return write_crops(self._bench, work, kind, crops), crops

    def _motion_figures(self, talking: Talking) -> dict[str, float]:
        r = opening_correlation(talking.face, self._real.face)
        return {OWN_R: r} | opening_statistics(talking.face)

    def _changes(self, crops: Float[Tensor, "n s s 3"]) -> dict[str, float]:
        """How far the picked crops are from those as given, in levels of 255."""
        change = 255 * (crops - self._given[self._picked]).abs()
        lips, size = lips_in_crop(self._work.track)[self._picked], crops.shape[1]
        boxes = [mouth_box(points, size, size) for points in lips]
        means = [float(c[b.slices].mean()) for c, b in zip(change, boxes, strict=True)]
        return {CHANGE: sum(means) / len(means), LARGEST_CHANGE: float(change.max())}


def painted_crops(
    renderer: LipRenderer, crops: Float[Tensor, "n s s 3"]
) -> Float[Tensor, "n s s 3"]:
    """The crops with all green that is made anew; the rim that is blended with them stays."""
    return torch.where(_made_anew(renderer), torch.tensor(_GREEN), crops)


def _made_anew(renderer: LipRenderer) -> Bool[Tensor, "s s 1"]:
    return (feathered_mask(renderer)[0, 0, ..., None] == 1).cpu()
