"""The whole method, in the order in which it runs: two streaming passes over the video.

    1  fit the clip to the speech, track the face, hear the speech, read the style, predict motion
    2  chunk by chunk: crop, render, composite

Between the passes stay a few numbers per frame, never pictures, sound or speech features, so memory
hardly grows with the video's length: 1.3 KB a frame, 20 MB for ten minutes. Those are the landmarks
(924 bytes), the way into the crop (48), the choice of references (112) and the lip motion (some
230).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from . import weights
from .audio.encoder import SpeechEncoder, load_speech_encoder
from .audio.features import MINIMUM_SECONDS, check_sound, encode_speech, hear_speech
from .checkpoint import load_model
from .compositing.blending import composite
from .compositing.occlusion import covers_mouth
from .compositing.presence import presence
from .errors import SpeechError
from .face.alignment import crop_faces
from .face.choice import FaceChoice
from .face.landmarking import FaceLandmarker
from .face.tracking import LARGEST, track_face
from .media.fitting import FitPolicy, fit_clip
from .media.mask_clip import matched_mask
from .media.writing import write_clip
from .motion.basis import LipMotionBasis
from .motion.measuring import PosedLips, measure_lip_motion
from .motion.predictor import MotionPredictor
from .motion.streaming import stream_lip_motion
from .motion.style import extend_style, make_style_reference
from .render.motion_windows import motion_windows
from .render.references import (
    PER_FRAME,
    References,
    choose_references,
    encode_references,
    points_in_crops,
)
from .render.renderer import LipRenderer
from .render.rendering import render_lips
from .types import Clip, FaceTrack, LipMotion, OnProgress, Sound, StyleReference

TAGS = {"comment": "AI-edited: the lips were re-made to new speech by LipStyle"}
"""Written into every video: what is seen was not said so."""

CHUNK_BYTES = 32 * 2**20
"""Of frames held at a time."""


OWN_STYLE_SECONDS = 120
"""Of a video's own speech, at most, in which its style is read: what the predictor looks up grows
with every second of a style, and the work with it."""


@dataclass(frozen=True)
class Models:
    """The four networks of the method, each already where it is to run."""

    landmarker: FaceLandmarker
    encoder: SpeechEncoder
    predictor: MotionPredictor
    renderer: LipRenderer


@dataclass(frozen=True)
class LipSyncSettings:
    """What a user may choose."""

    strength: float = 1.0
    """Of the style: 0 none, 1 as seen, more exaggerates."""
    face: FaceChoice = LARGEST
    policy: FitPolicy = "ping-pong"
    """What happens when the speech is longer than the video."""
    steps: int = 1
    """Of the diffusion sampler."""
    seed: int = 0
    references: int = PER_FRAME
    """Frames of the reference clip that each frame looks at, 1 to 16."""


def load_models(predictor: Path, renderer: Path, folders: Iterable[Path] = ()) -> Models:
    """All four from files; ModelError says which is missing or does not fit."""
    searched = tuple(folders)
    return Models(
        FaceLandmarker.load(weights.find(weights.FACE_LANDMARKER, searched)),
        load_speech_encoder(weights.find(weights.SPEECH_ENCODER, searched)),
        load_model(predictor, MotionPredictor),
        load_model(renderer, LipRenderer),
    )


def read_style(
    landmarker: FaceLandmarker,
    encoder: SpeechEncoder,
    predictor: MotionPredictor,
    clip: Clip,
    *,
    audio: Sound | None = None,
    track: FaceTrack | None = None,
    extend: StyleReference | None = None,
    source: str = "",
    on_progress: OnProgress | None = None,
) -> StyleReference:
    """How the person in `clip` talks, added to `extend` if given.

    Without `audio` the clip's own sound is heard, without `track` its largest face is seen.
    Raises SpeechError when there is no sound, NoFaceError when there is no face.
    """
    audio = clip.sound() if audio is None else audio
    if audio is None:
        raise SpeechError(
            "the style clip has no sound: a style is read from what is said and how the lips move; "
            "give its audio, or a clip with sound"
        )
    track = track_face(landmarker, clip, on_progress=on_progress) if track is None else track
    motion = measure_lip_motion(track, predictor.basis)
    style = make_style_reference(encode_speech(encoder, audio), motion, source)
    return style if extend is None else extend_style(extend, style)


@dataclass(frozen=True)
class LipSync:
    """What the first pass found; the second runs while `frames` is read."""

    renderer: LipRenderer
    clip: Clip
    """The target, fitted to the speech."""
    speech: Sound
    """The new speech, cut to the clip where the policy is to cut."""
    track: FaceTrack
    motion: LipMotion
    references: References
    settings: LipSyncSettings
    occluder: Clip | None = None
    """White where something stands in front of the face, frame by frame of `clip`."""

    def frames(
        self, on_progress: OnProgress | None = None, frames: range | None = None
    ) -> Iterator[Float[Tensor, "t h w 3"]]:
        """The re-spoken frames, or only some of them, chunk by chunk."""
        for span in spans(self.clip, frames or range(self.clip.frame_count)):
            pictures = self.clip.frames(span.start, span.stop)
            if self.track.visible[span].any():
                source = crop_faces(pictures, self.track.frame_to_crop[span], self.track.crop_size)
                crops = render_lips(
                    self.renderer,
                    source,
                    self.motion,
                    self.clip.times()[span],
                    self.references.of(span),
                    seed=self.settings.seed,
                    steps=self.settings.steps,
                )
                mask = self.occluder and self.occluder.frames(span.start, span.stop)[..., 0]
                pictures = composite_span(self.track, span, pictures, crops, mask, source)
            yield pictures
            if on_progress is not None:
                on_progress(span.stop, self.clip.frame_count)

    def write(self, path: Path, on_progress: OnProgress | None = None) -> None:
        """Runs the second pass into an mp4; an error or cancel leaves no file."""
        clip = self.clip
        size = clip.height, clip.width
        frames = self.frames(on_progress)
        write_clip(path, frames, clip.fps, *size, self.speech, TAGS, coding=clip.coding)


def lip_sync(
    models: Models,
    clip: Clip,
    speech: Sound,
    settings: LipSyncSettings,
    style: StyleReference | None = None,
    reference: Clip | None = None,
    on_progress: OnProgress | None = None,
    occluder: Clip | None = None,
) -> LipSync:
    """The first pass: everything but the pictures.

    Without `style` the person's way of speaking is read from the clip's own sound, if it has any;
    without `reference` teeth and skin come from the clip's own frames. `occluder` is white where
    something stands in front of the face and is to stay: one picture for all frames or one per
    frame of `clip`, else ValueError. Progress counts frames tracked.
    """
    if occluder is not None:
        occluder = fit_clip(matched_mask(occluder, clip), speech.duration, settings.policy)
    check_sound(speech)
    fitted = fit_clip(clip, speech.duration, settings.policy)
    size = models.renderer.config.crop_size
    track = track_face(models.landmarker, fitted, settings.face, size, on_progress)
    covered = None if occluder is None else covered_mouths(occluder, track)
    if style is None:
        shown = track if covered is None else replace(track, visible=track.visible & ~covered)
        style = own_style(models, clip, fitted, shown)
    motion = hear_and_predict(models, speech, style, settings.strength)
    references = find_references(
        models.landmarker,
        models.renderer,
        fitted,
        track,
        motion,
        reference,
        covered=covered,
        per_frame=settings.references,
    )
    speech = cut(speech, fitted.duration) if settings.policy == "cut" else speech
    return LipSync(models.renderer, fitted, speech, track, motion, references, settings, occluder)


def hear_and_predict(
    models: Models, speech: Sound, style: StyleReference | None, strength: float
) -> LipMotion:
    """The motion of lips that say `speech`; its features are let go of as soon as it is known."""
    heard = hear_speech(models.encoder, speech)
    pieces = list(stream_lip_motion(models.predictor, heard, style, strength))
    return replace(
        pieces[0],
        coefficients=torch.cat([piece.coefficients for piece in pieces]),
        valid=torch.cat([piece.valid for piece in pieces]),
    )


def own_style(models: Models, clip: Clip, fitted: Clip, track: FaceTrack) -> StyleReference | None:
    """The style of the clip's own speech, from the frames that were tracked in their own order:
    where a long clip shows the face the most, OWN_STYLE_SECONDS of it. None when the clip is silent
    or shows too little of the speaker."""
    sound = clip.sound()
    forward = min(clip.frame_count, fitted.frame_count)
    if sound is None or not track.visible[:forward].any():
        return None
    span = most_seen(track.visible[:forward], round(OWN_STYLE_SECONDS * clip.fps))
    rate = sound.sample_rate / clip.fps
    sound = sound.samples(round(span.start * rate), round(span.stop * rate))
    if sound.duration < MINIMUM_SECONDS:
        return None
    return read_style(
        models.landmarker,
        models.encoder,
        models.predictor,
        clip,
        audio=sound,
        track=part_of_track(track, span),
        source="the target video's own speech",
    )


def find_references(
    landmarker: FaceLandmarker,
    renderer: LipRenderer,
    clip: Clip,
    track: FaceTrack,
    motion: LipMotion,
    reference: Clip | None = None,
    on_progress: OnProgress | None = None,
    covered: Bool[Tensor, " t"] | None = None,
    per_frame: int = PER_FRAME,
) -> References:
    """Reference crops for every frame of `clip` as `motion` wants it to speak: out of `reference`,
    else out of the clip itself, as far as its mouth is not `covered`.

    Only the few frames that were chosen are read.
    """
    size = renderer.config.crop_size
    source, seen = clip, track.resized(size)
    if reference is not None:
        source = reference
        seen = track_face(landmarker, reference, crop_size=size, on_progress=on_progress)
    wanted, lips = reference_lips(renderer, clip, motion, source, seen)
    chosen = {"per_frame": per_frame, "opening": lips_opening(renderer)}
    if reference is None:
        choice = choose_references(track, wanted, lips, covered=covered, **chosen)
    else:
        choice = choose_references(track, wanted, lips, seen, **chosen)
    pool = torch.empty(len(choice.frames), size, size, 3, dtype=torch.float16)
    for crop, frame in zip(pool, choice.frames, strict=True):
        picture = source.frames(frame, frame + 1)
        crop.copy_(crop_faces(picture, seen.frame_to_crop[frame, None], size)[0])
    if not renderer.config.places_references:
        return encode_references(renderer, pool, choice)
    basis, posed = renderer_basis(renderer), PosedLips(track)

    def wanted_points(frames: slice) -> Float[Tensor, "t k 2"]:
        landmarks = posed.landmarks(basis.displacement(wanted[frames]), frames)
        return points_in_crops(landmarks, track.frame_to_crop[frames], track.crop_size)

    found = points_in_crops(seen.landmarks, seen.frame_to_crop, size)[list(choice.frames)]
    return encode_references(renderer, pool, choice, found, wanted_points)


def reference_lips(
    renderer: LipRenderer, clip: Clip, motion: LipMotion, source: Clip, seen: FaceTrack
) -> tuple[Float[Tensor, "t m"], Float[Tensor, "r m"]]:
    """The lips that `motion` wants in every frame of `clip`, and those in every frame of `source`,
    whose face is `seen`; in the renderer's basis. Nothing where the renderer knows no basis: then
    the head's pose alone decides."""
    config = renderer.config
    if not config.knows_references:
        return torch.zeros(clip.frame_count, 1), torch.zeros(source.frame_count, 1)
    shown = measure_lip_motion(seen, renderer_basis(renderer))
    wanted = motion.in_basis(config.basis, config.motion_dim)
    return (
        motion_windows(wanted.coefficients.float().cpu(), clip.times(), 1)[:, 0],
        motion_windows(shown.coefficients, source.times(), 1)[:, 0],
    )


def lips_opening(renderer: LipRenderer) -> Float[Tensor, " m"] | None:
    """See `choose_references`; None where the renderer knows no basis."""
    return renderer_basis(renderer).opening if renderer.config.knows_references else None


def renderer_basis(renderer: LipRenderer) -> LipMotionBasis:
    """The basis in which a renderer that knows its references measures them."""
    return LipMotionBasis(renderer.basis_components.cpu(), renderer.config.basis_extends)


def composite_span(
    track: FaceTrack,
    span: slice,
    frames: Float[Tensor, "t h w 3"],
    crops: Float[Tensor, "t s s 3"],
    occluder: Float[Tensor, "t h w"] | None = None,
    source: Float[Tensor, "t s s 3"] | None = None,
) -> Float[Tensor, "t h w 3"]:
    """The frames of `span` with `crops` of any size put back; `source` are the frames' own crops
    of that size, if they are at hand."""
    matrices = track.resized(crops.shape[1]).frame_to_crop[span]
    source = crop_faces(frames, matrices, crops.shape[1]) if source is None else source
    face = presence(track, span), occluder, track.landmarks[span, :, :2]
    return composite(frames, crops, source, matrices, *face)


def chunks(clip: Clip) -> Iterator[slice]:
    """Spans of frames that fit into CHUNK_BYTES, at least one frame each."""
    count = max(1, min(32, CHUNK_BYTES // (clip.height * clip.width * 3 * 4)))
    for start in range(0, clip.frame_count, count):
        yield slice(start, min(start + count, clip.frame_count))


def spans(clip: Clip, frames: range) -> Iterator[slice]:
    """The chunks of a clip, as far as they lie in `frames`."""
    for chunk in chunks(clip):
        start, stop = max(chunk.start, frames.start), min(chunk.stop, frames.stop)
        if start < stop:
            yield slice(start, stop)


def covered_mouths(occluder: Clip, track: FaceTrack) -> Bool[Tensor, " t"]:
    """In which frames something that is white in `occluder` stands before the tracked mouth."""
    covered = torch.zeros(occluder.frame_count, dtype=torch.bool)
    for span in chunks(occluder):
        for frame, mask in enumerate(occluder.frames(span.start, span.stop)[..., 0], span.start):
            if track.visible[frame]:
                matrix = track.frame_to_crop[frame].numpy()
                covered[frame] = covers_mouth(mask.numpy(), matrix, track.crop_size)
    return covered


def most_seen(visible: Bool[Tensor, " t"], count: int) -> slice:
    """The first run of `count` frames, or all if there are fewer, that shows the face the most."""
    if len(visible) <= count:
        return slice(0, len(visible))
    seen = functional.pad(visible.long().cumsum(0), (1, 0))
    start = int((seen[count:] - seen[:-count]).argmax())
    return slice(start, start + count)


def part_of_track(track: FaceTrack, frames: slice) -> FaceTrack:
    """The track of some of a clip's frames."""
    return replace(
        track,
        landmarks=track.landmarks[frames],
        frame_to_crop=track.frame_to_crop[frames],
        visible=track.visible[frames],
        cuts=tuple(cut - frames.start for cut in track.cuts if frames.start < cut < frames.stop),
    )


def cut(sound: Sound, duration: float) -> Sound:
    """The first `duration` seconds."""
    return sound.samples(0, round(duration * sound.sample_rate))
