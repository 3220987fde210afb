"""The mode "style": clips are measured once, then every speaker is judged on them.

Whatever clips they are, studio recordings, strangers off the net or rendered heads, they come by
the whole measured road: tracked by the pack's landmarker, heard by its speech encoder.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import safe_open

from ..audio.encoder import SpeechEncoder
from ..audio.features import encode_speech
from ..checkpoint import save_tensors
from ..errors import EvaluationError
from ..face.landmarking import FaceLandmarker
from ..media.file_clip import open_clip
from ..sync.expert import SyncExpert
from ..sync.offset import LEAST_STEPS
from ..types import OnProgress, SpeechFeatures
from .bench import UNFIT, check_window
from .clips import EvaluationClip
from .drawn_styles import MODE as DRAWN
from .held_out_styles import held_out_list
from .measured_face import measure_face
from .neutral_shapes import MODE as NEUTRAL
from .neutral_shapes import run_neutral_shapes
from .own_speech import MODE as OWN_SPEECH
from .own_speech import own_speech_row
from .people_benchmark import MODE as PEOPLE
from .people_benchmark import run_people
from .results import Results
from .running import with_seen
from .speakers import Speaker
from .style_benchmark import StyleTarget, choose_targets, run_styles
from .style_clips import StyleClip, hear, without_offset
from .style_list import StyleList

MEASURED = "measured"
"""Folder, inside the run's, of what was measured of each clip."""
REFERENCES = 3
"""Clips that show a style: 9 s of GRID."""


def measure_style_clips(
    landmarker: FaceLandmarker,
    encoder: SpeechEncoder,
    clips: Sequence[EvaluationClip],
    folder: Path,
    on_progress: OnProgress | None = None,
) -> tuple[list[StyleClip], dict[str, str]]:
    """Every clip as the benchmarks need it, and why some could not be measured.

    A person's neutral is the median over the person's clips. What was measured is kept in
    `folder`, so that a run that was stopped goes on.
    """
    found: dict[str, dict[str, torch.Tensor]] = {}
    excluded: dict[str, str] = {}
    for done, clip in enumerate(clips):
        path = folder / MEASURED / f"{clip.name}.safetensors"
        try:
            if not _is_of(path, clip, encoder.id):
                _measure(landmarker, encoder, clip, path)
            found[clip.name] = _read(path)
        except UNFIT as error:
            excluded[clip.name] = str(error)
        if on_progress is not None:
            on_progress(done + 1, len(clips))
    neutrals = defaultdict(list)
    for clip in clips:
        if clip.name in found:
            neutrals[clip.person].append(found[clip.name]["neutral"])
    neutral = {person: torch.stack(n).median(dim=0).values for person, n in neutrals.items()}
    kept = [
        _style_clip(clip, found[clip.name], neutral[clip.person], encoder.id)
        for clip in clips
        if clip.name in found
    ]
    return kept, excluded


def _measure(
    landmarker: FaceLandmarker, encoder: SpeechEncoder, clip: EvaluationClip, path: Path
) -> None:
    pictures = open_clip(clip.path)
    heard = check_window(pictures)
    face = measure_face(landmarker, pictures)
    speech = encode_speech(encoder, heard).features
    steps = min(len(speech), len(face.valid))
    if (seen := int(face.valid[:steps].sum())) < LEAST_STEPS:
        raise EvaluationError(f"{seen} steps show the face and have sound, {LEAST_STEPS} needed")
    tensors = {
        "points": face.points[:steps].float(),
        "valid": face.valid[:steps],
        "neutral": face.neutral.float(),
        "speech": speech[:steps].float(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(path, tensors, {"fingerprint": clip.fingerprint, "encoder": encoder.id})


def _is_of(path: Path, clip: EvaluationClip, encoder: str) -> bool:
    """Whether `path` holds what this encoder and this very file gave."""
    if not path.is_file():
        return False
    with safe_open(path, framework="pt") as file:
        stored = file.metadata() or {}
    return stored == {"fingerprint": clip.fingerprint, "encoder": encoder}


def _read(path: Path) -> dict[str, torch.Tensor]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in ("points", "valid", "neutral", "speech")}


def _style_clip(
    clip: EvaluationClip,
    measured: dict[str, torch.Tensor],
    neutral: torch.Tensor,
    encoder: str,
) -> StyleClip:
    return StyleClip(
        name=clip.name,
        person=clip.person,
        speech=SpeechFeatures(measured["speech"], encoder),
        displacement=measured["points"] - neutral,
        valid=measured["valid"],
        neutral=neutral,
    )


def _add_own_speech(
    speakers: Mapping[str, Speaker], targets: Sequence[StyleTarget], results: Results
) -> None:
    for target in targets:
        if not results.has(OWN_SPEECH, target.clip.name):
            results.add(
                [
                    own_speech_row(name, speaker, target.clip, target.heard)
                    for name, speaker in speakers.items()
                ]
            )


def run_style(
    speakers: Mapping[str, Speaker],
    clips: Sequence[StyleClip],
    results: Results,
    *,
    alignments: Path | None = None,
    expert: SyncExpert | None = None,
    targets: int | None = None,
    lists: Sequence[StyleList] | None = None,
    seen: Mapping[str, list[str]] | None = None,
    on_progress: OnProgress | None = None,
) -> None:
    """Adds the rows of the style benchmarks that `results` does not have yet.

    The lists of styles (default: held-out styles) need the word times of `alignments`; with the
    drawn styles go the figures of the clips' own speech. People need clips of two at least, and an
    `expert` that repairs each clip's sound offset first. seen: person -> weights that know them.
    EvaluationError when the clips allow neither, or are too few.
    """
    judged, people = dict(speakers), len({clip.person for clip in clips})
    if alignments is None and (expert is None or people < 2):
        raise EvaluationError(
            f"clips of {people} people, {'no' if expert is None else 'a'} sync expert, no word "
            "times: the mode style needs clips of two people and a sync expert, or GRID's "
            "alignments (--alignments)"
        )
    if alignments is not None:
        if len(clips) <= REFERENCES:
            raise EvaluationError(
                f"{len(clips)} clips: lists of styles need a target and {REFERENCES} others that "
                "show the style; name more clips"
            )
        heard = [hear(clip, alignments) for clip in clips]
        chosen = choose_targets(list(clips), heard, targets or len(clips), REFERENCES)
        for styles in (held_out_list(),) if lists is None else lists:
            todo = [t for t in chosen if not results.has(styles.mode, t.clip.name)]
            for rows in run_styles(speakers, todo, styles, on_progress):
                results.add(rows)
            if styles.mode == DRAWN:
                _add_own_speech(judged, chosen, results)
    if expert is not None and people > 1:
        repaired = [without_offset(clip, expert) for clip in clips]
        done = frozenset(clip.name for clip in repaired if results.has(PEOPLE, clip.name))
        for rows in run_people(judged, repaired, on_progress=on_progress, skipped=done):
            results.add([with_seen(row, seen or {}) for row in rows])
        todo = [clip for clip in repaired if not results.has(NEUTRAL, clip.name)]
        for rows in run_neutral_shapes(judged, todo):
            results.add(rows)
