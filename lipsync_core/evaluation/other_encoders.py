"""Measured clips heard once more, for predictors that listen with another speech encoder.

Sound offsets are repaired and sounds told apart by the first encoder, so all predictors are judged
on the same steps of the same clips.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from safetensors.torch import load_file

from ..audio.encoder import SpeechEncoder
from ..audio.features import encode_speech
from ..checkpoint import read_metadata, save_tensors
from ..media.file_clip import open_clip
from ..types import OnProgress, SpeechFeatures
from .bench import check_window
from .clips import EvaluationClip
from .style_clips import StyleClip


def also_hear(
    encoder: SpeechEncoder,
    clips: Sequence[EvaluationClip],
    measured: Sequence[StyleClip],
    folder: Path,
    on_progress: OnProgress | None = None,
) -> list[StyleClip]:
    """`measured` with what `encoder` hears in them, kept in `folder` for a run that is resumed.

    `measured` are whole clips out of `clips`, their offsets not yet repaired.
    """
    files = {clip.name: clip for clip in clips}
    place = folder / "heard" / re.sub(r"[^\w.+-]", "_", encoder.id)
    heard = []
    for done, clip in enumerate(measured):
        features = _heard(encoder, files[clip.name], place / f"{clip.name}.safetensors")
        cut = replace(features, features=features.features[: clip.steps])
        heard.append(replace(clip, also_heard=(*clip.also_heard, cut)))
        if on_progress is not None:
            on_progress(done + 1, len(measured))
    return heard


def _heard(encoder: SpeechEncoder, clip: EvaluationClip, path: Path) -> SpeechFeatures:
    facts = {"fingerprint": clip.fingerprint, "encoder": encoder.id}
    if not path.is_file() or read_metadata(path) != facts:
        speech = encode_speech(encoder, check_window(open_clip(clip.path)))
        save_tensors(path, {"speech": speech.features}, facts)
    return SpeechFeatures(load_file(path)["speech"], encoder.id)
