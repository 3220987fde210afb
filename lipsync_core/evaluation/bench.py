"""What clips are evaluated on: the networks, a clip with its face and style, its re-spoken video.

Every real clip is tracked once and every style read once; what is written is read back from its
file, so that compression and the face tracker's view of it are in every figure.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

from torch import Tensor

from ..errors import EvaluationError, LipStyleError, MediaError, NoFaceError, SpeechError
from ..media.chaining import chain_clips
from ..media.file_clip import open_clip
from ..media.trimming import trim_clip
from ..media.writing import write_clip
from ..pipeline import TAGS, LipSyncSettings, Models, chunks, lip_sync, read_style
from ..sync.expert import SyncExpert
from ..types import MOTION_RATE, Audio, Clip, Sound, StyleReference
from .clips import NO_SPLIT, EvaluationClip
from .feature_distances import JudgingNetworks
from .measured_face import MeasuredFace, measure_face
from .same_recording import same_recording
from .seen_clips import SeenClip, see

WINDOW = 1.0
"""Seconds of visible face and sound below which a clip is not evaluated."""
GAP = 0.5
"""Seconds left out between the half that a style is read from and the half that is re-spoken."""
REFERENCE_CLIPS = 3
"""Other clips of a person, at most, that show how it speaks and what it looks like."""
UNFIT = (EvaluationError, MediaError, NoFaceError, SpeechError)
"""Errors that one clip is left out for; any other ends the run."""
_KEPT = 8
VIDEOS = "videos"

T = TypeVar("T")


@dataclass(frozen=True)
class Talking:
    """Pictures, the face in them, and the sound that is heard with them."""

    clip: Clip
    face: MeasuredFace
    speech: Audio | None
    path: Path | None = None
    """Where it was written, if it was."""


@dataclass(frozen=True)
class Subject:
    """A clip to be re-spoken: the part that is, and where style and teeth come from."""

    clip: EvaluationClip
    real: Talking
    heard: Audio
    style: StyleReference
    style_source: str
    """For people: which clips the style was read from."""
    reference: Clip
    start: float = 0.0
    """Seconds into the file at which the part begins."""


@dataclass
class Bench:
    """All that every clip is evaluated with."""

    models: Models
    expert: SyncExpert | None
    """Without it nothing is said of sync."""
    settings: LipSyncSettings
    folder: Path
    """Where written videos go."""
    clips: Sequence[EvaluationClip]
    """Those that are evaluated."""
    style_pool: Sequence[EvaluationClip]
    """Those that styles may be read from, by person."""
    style_clips: Sequence[Path] = ()
    """Read for every clip instead, if given."""
    networks: JudgingNetworks | None = None
    """Without them no perceptual, identity or Frechet distance is measured."""
    alignments: Path | None = None
    """Folder of GRID .align files."""
    reference_clips: int = REFERENCE_CLIPS
    """So many other clips of a person, at most, give its style and its reference pictures."""
    renderer_frames: int = 40
    """The mode "renderer" renders so many frames of a clip's middle at most."""
    other_person: Path | None = None
    """Its references of another person; without it out of another clip of another person."""
    _subjects: "OrderedDict[str, Subject]" = field(default_factory=OrderedDict)
    _styles: dict[tuple[Path, ...], StyleReference] = field(default_factory=dict)
    _unfit: dict[str, LipStyleError] = field(default_factory=dict)
    _seen: "OrderedDict[str, SeenClip]" = field(default_factory=OrderedDict)

    def subject(self, clip: EvaluationClip) -> Subject:
        """The clip, tracked; one of UNFIT when it cannot be evaluated."""
        if clip.name in self._unfit:
            raise self._unfit[clip.name]
        try:
            return _cached(self._subjects, clip.name, lambda: self._make_subject(clip))
        except UNFIT as error:
            self._unfit[clip.name] = error
            raise

    def next_subject(self, clip: EvaluationClip, same_person: bool = False) -> Subject | None:
        """The first clip after `clip`, in turns, that can be evaluated; None when there is none."""
        place = next(i for i, other in enumerate(self.clips) if other.name == clip.name)
        for other in [*self.clips[place + 1 :], *self.clips[:place]]:
            if same_person and other.person != clip.person:
                continue
            try:
                return self.subject(other)
            except UNFIT:
                continue
        return None

    def see(self, *paths: Path) -> SeenClip:
        """The beginnings of files, one after another, with their face and true lip motion; one of
        UNFIT without a face."""
        return _cached(self._seen, "\n".join(map(str, paths)), lambda: see(self.models, *paths))

    def respeak(self, subject: Subject, speech: Audio, kind: str) -> Talking:
        """The subject driven by `speech`, written, and read back from the file."""
        path = self.video(subject, kind)
        if not path.is_file():
            work = lip_sync(
                self.models,
                subject.real.clip,
                speech,
                self.settings,
                subject.style,
                subject.reference,
            )
            _write(path, work.clip, work.frames(), work.speech)
        return self.read(path)

    def rewrite(self, subject: Subject) -> Path:
        """The real clip through the same writer."""
        path, clip = self.video(subject, "real"), subject.real.clip
        if not path.is_file():
            frames = (clip.frames(span.start, span.stop) for span in chunks(clip))
            _write(path, clip, frames, subject.heard)
        return path

    def read(self, path: Path) -> Talking:
        """A file with its largest face."""
        clip = open_clip(path)
        return Talking(clip, measure_face(self.models.landmarker, clip), clip.audio(), path)

    def video(self, subject: Subject, kind: str) -> Path:
        """Where a written video of the subject lies."""
        return self.folder / VIDEOS / f"{subject.clip.name}.{kind}.mp4"

    def read_style(self, paths: Sequence[Path], clips: Sequence[Clip]) -> StyleReference:
        """One style out of several clips."""
        style: StyleReference | None = None
        for path, clip in zip(paths, clips, strict=True):
            style = read_style(
                self.models.landmarker,
                self.models.encoder,
                self.models.predictor,
                clip,
                extend=style,
                source=path.stem,
            )
        if style is None:
            raise ValueError("a style needs at least one clip")
        return style

    def _make_subject(self, clip: EvaluationClip) -> Subject:
        whole = open_clip(clip.path)
        check_window(whole)
        paths = self.style_clips or self._style_paths(clip)
        if paths:
            style = self._cached_style(tuple(paths))
            source = ", ".join(path.stem for path in paths)
            reference = chain_clips(alike([open_clip(path) for path in paths]))
            return self._subject(clip, whole, style, source, reference)
        first, second, start = split_in_halves(whole)
        style = self.read_style([clip.path], [first])
        return self._subject(clip, second, style, "the clip's own first half", first, start)

    def _subject(
        self,
        clip: EvaluationClip,
        part: Clip,
        style: StyleReference,
        style_source: str,
        reference: Clip,
        start: float = 0.0,
    ) -> Subject:
        heard = check_window(part)
        face = measure_face(self.models.landmarker, part)
        if (seen := int(face.valid.sum())) < WINDOW * MOTION_RATE:
            raise NoFaceError(
                f"the face is seen for {seen / MOTION_RATE:.2f} s, {WINDOW:.0f} s is needed"
            )
        return Subject(
            clip, Talking(part, face, heard), heard, style, style_source, reference, start
        )

    def _style_paths(self, clip: EvaluationClip) -> list[Path]:
        """Other clips of the person that a style can be read from."""
        usable: list[Path] = []
        sound = open_clip(clip.path).audio()
        for other in self.style_pool:
            if other.person != clip.person or other.fingerprint == clip.fingerprint:
                continue
            try:
                if same_recording(sound, check_window(open_clip(other.path))):
                    continue
                self._cached_style((other.path,))
            except UNFIT:
                continue
            usable.append(other.path)
            if len(usable) == self.reference_clips:
                break
        return usable

    def _cached_style(self, paths: tuple[Path, ...]) -> StyleReference:
        if paths not in self._styles:
            self._styles[paths] = self.read_style(paths, [open_clip(path) for path in paths])
        return self._styles[paths]


def style_pool(
    clips: Sequence[EvaluationClip], evaluated: Sequence[EvaluationClip]
) -> list[EvaluationClip]:
    """Where styles may be read: the validation split, or every clip where nothing is split."""
    if any(clip.split != NO_SPLIT for clip in clips):
        chosen = {clip.name for clip in evaluated}
        return [clip for clip in clips if clip.split == "validation" and clip.name not in chosen]
    return list(clips)


def check_window(clip: Clip) -> Audio:
    """The clip's sound; one of UNFIT when there is none, or when it or the pictures are short."""
    heard = clip.audio()
    if heard is None:
        raise SpeechError("the clip has no sound: nothing can be said of its lips")
    if (length := min(clip.duration, heard.duration)) < WINDOW:
        raise EvaluationError(f"pictures and sound last {length:.2f} s, {WINDOW:.0f} s is needed")
    return heard


def split_in_halves(clip: Clip) -> tuple[Clip, Clip, float]:
    """Two disjoint parts with GAP between them, and the second's start in seconds; EvaluationError
    when either would be shorter than WINDOW."""
    half = (clip.duration - GAP) / 2
    if half < WINDOW:
        raise EvaluationError(
            f"no other clip of the person is there to read the style from, and {clip.duration:.2f} "
            f"s is too short for two halves of {WINDOW:.0f} s"
        )
    start = float(round((half + GAP) * clip.fps) / clip.fps)
    return trim_clip(clip, 0.0, half), trim_clip(clip, start), start


def alike(clips: Sequence[Clip]) -> list[Clip]:
    """Those of the size and rate of the first, which can follow it."""

    def kind(clip: Clip) -> tuple[int, int, Fraction]:
        return clip.width, clip.height, clip.fps

    return [clip for clip in clips if kind(clip) == kind(clips[0])]


def _write(path: Path, like: Clip, frames: Iterable[Tensor], sound: Sound) -> None:
    """As LipSync.write does, but so that the same frames are always the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_clip(path, frames, like.fps, like.height, like.width, sound, TAGS, repeatable=True)


def _cached(kept: "OrderedDict[str, T]", name: str, make: Callable[[], T]) -> T:
    """What was made last is kept, the rest made again when it is needed."""
    if name not in kept:
        kept[name] = make()
        if len(kept) > _KEPT:
            kept.popitem(last=False)
    kept.move_to_end(name)
    return kept[name]
