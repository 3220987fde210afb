"""The modes of an evaluation that re-speak videos: what is written, and what it is set beside.

    reconstruction  the clip's own speech; the real clip is the truth
    cross audio     another clip's speech; there is no truth but the sound
    silent audio    silence; the mouth should shut

A mode gives the rows of one clip, and what a page may show of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch

from ..sync.offset import SyncScore
from ..types import Audio
from .bench import Bench, Subject, Talking
from .closures import closure_figures
from .face_distributions import FaceDistributions
from .motion_energy import motion_energy
from .motion_measures import compare_motion, opening_correlation, opening_statistics
from .mouth_closing import lip_leak
from .picture_figures import compare_pictures
from .results import Measure, Row
from .sync_measures import judge_sync, sync_figures

RECONSTRUCTION, CROSS, SILENT = "reconstruction", "cross audio", "silent audio"
OUTPUT, CEILING, CHANCE, SOURCE = "output", "ceiling", "chance", "source"

MEANINGS = {
    RECONSTRUCTION: {
        OUTPUT: "the clip re-spoken with its own speech",
        CEILING: "the real clip written by the same writer",
        CHANCE: "another clip of the person, set beside the same truth and the same speech",
    },
    CROSS: {
        OUTPUT: "the clip re-spoken with another clip's speech",
        CEILING: "the real clip that the speech is from",
        SOURCE: "the untouched clip with the other speech: what no lip sync at all scores",
    },
    SILENT: {
        OUTPUT: "the clip re-spoken with silence",
        SOURCE: "the untouched clip, which talks on: what no lip sync at all scores",
    },
}
"""mode -> subject -> what it is."""

OWN_SPEECH = "opening r to own speech"
CROSS_MEASURES = (
    Measure(OWN_SPEECH, "", "near ceiling", "likeness to the clip's own sentence: high is a copy"),
)
LEAST_SILENCE, MOST_SILENCE = 2.0, 4.0
"""Seconds."""
_SILENCE_RATE = 16_000


@dataclass(frozen=True)
class Exhibit:
    """What can be shown of one clip in one mode."""

    videos: dict[str, Talking]
    """What is seen at the same times, by what it is."""
    scores: dict[str, SyncScore | None] = field(default_factory=dict)
    speech: Audio | None = None
    """What the outputs were driven by."""


@dataclass(frozen=True)
class Finding:
    """One clip in one mode."""

    rows: list[Row]
    exhibit: Exhibit


def reconstruct(bench: Bench, subject: Subject) -> Finding:
    """Own speech: everything is compared with the real clip."""
    real, speech = subject.real, subject.heard
    videos = {
        OUTPUT: bench.respeak(subject, speech, "own"),
        CEILING: bench.read(bench.rewrite(subject)),
    }
    notes = {"style": subject.style_source}
    other = bench.next_subject(subject.clip, same_person=True)
    if other is None:
        notes["chance"] = "no other clip of the person"
    else:
        videos[CHANCE] = other.real
    pictures = _compare_pictures(bench, subject, videos)
    known = [real.face] if other is None else [real.face, other.real.face]
    scores = {name: _judge(bench, video, speech) for name, video in videos.items()}
    figures = {
        name: (_sync(bench, scores[name]) | compare_motion(video.face, real.face))
        | opening_statistics(video.face)
        | motion_energy(video.face)
        | closure_figures(video.face, known, bench.alignments, subject.clip.name, subject.start)
        | pictures.get(name, {})
        for name, video in videos.items()
    }
    return Finding(
        _rows(RECONSTRUCTION, subject, figures, notes),
        Exhibit({"real": _in_folder(bench, subject), OUTPUT: videos[OUTPUT]}, scores, speech),
    )


def _compare_pictures(
    bench: Bench, subject: Subject, videos: dict[str, Talking]
) -> dict[str, dict[str, float]]:
    """The output beside the real clip written again, so that compression plays no part; that one
    beside the real clip. Another clip's frames tell nothing."""
    output, ceiling, real = videos[OUTPUT].clip, videos[CEILING].clip, subject.real
    found = {
        OUTPUT: compare_pictures(output, ceiling, real.face.track, bench.networks),
        CEILING: compare_pictures(ceiling, real.clip, real.face.track, bench.networks),
    }
    faces = {name: pictures.faces for name, pictures in found.items() if pictures.faces}
    if faces:
        FaceDistributions(bench.folder).add(subject.clip.name, faces)
    return {name: pictures.figures for name, pictures in found.items()}


def cross(bench: Bench, subject: Subject) -> Finding:
    """Another clip's speech: only what needs no truth."""
    other = bench.next_subject(subject.clip)
    notes = {"style": subject.style_source}
    if other is None:
        return Finding(_rows(CROSS, subject, {}, notes | {"speech": "no other clip"}), Exhibit({}))
    output = bench.respeak(subject, other.heard, "cross")
    own = bench.respeak(subject, subject.heard, "own")
    videos = {OUTPUT: output, CEILING: other.real, SOURCE: subject.real}
    scores = {name: _judge(bench, video, other.heard) for name, video in videos.items()}
    figures = {
        name: _sync(bench, scores[name])
        | opening_statistics(video.face)
        | motion_energy(video.face)
        for name, video in videos.items()
    }
    figures[OUTPUT][OWN_SPEECH] = opening_correlation(output.face, own.face)
    figures[CEILING][OWN_SPEECH] = opening_correlation(other.real.face, subject.real.face)
    return Finding(
        _rows(CROSS, subject, figures, notes | {"speech": other.clip.name}),
        Exhibit(
            {
                "real, who says it": _in_folder(bench, other),
                OUTPUT: output,
                SOURCE: _in_folder(bench, subject),
            },
            scores,
            other.heard,
        ),
    )


def silence(bench: Bench, subject: Subject) -> Finding:
    """No speech: the mouth should shut and stay so."""
    seconds = min(max(subject.real.clip.duration, LEAST_SILENCE), MOST_SILENCE)
    silent = Audio(torch.zeros(round(seconds * _SILENCE_RATE)), _SILENCE_RATE)
    output = bench.respeak(subject, silent, "silent")
    videos = {OUTPUT: output, SOURCE: subject.real}
    figures = {
        name: {"lip leak": lip_leak(video.face, (0.0, seconds))}
        | opening_statistics(video.face)
        | motion_energy(video.face)
        for name, video in videos.items()
    }
    notes = {"style": subject.style_source}
    return Finding(
        _rows(SILENT, subject, figures, notes),
        Exhibit({OUTPUT: output, SOURCE: _in_folder(bench, subject)}, {}, silent),
    )


PerClip = Callable[[Bench, Subject], Finding]
MODES: dict[str, PerClip] = {RECONSTRUCTION: reconstruct, CROSS: cross, SILENT: silence}


def _in_folder(bench: Bench, subject: Subject) -> Talking:
    """The real clip, with a file that a page in the run's folder can show."""
    return replace(subject.real, path=bench.rewrite(subject))


def _judge(bench: Bench, video: Talking, speech: Audio) -> SyncScore | None:
    if bench.expert is None:
        return None
    return judge_sync(bench.expert, bench.models.encoder, video.clip, video.face, speech)


def _sync(bench: Bench, score: SyncScore | None) -> dict[str, float]:
    return {} if bench.expert is None else sync_figures(score)


def _rows(
    mode: str, subject: Subject, figures: dict[str, dict[str, float]], notes: dict[str, str]
) -> list[Row]:
    clip = subject.clip
    rows = [Row(mode, clip.name, clip.person, name, found) for name, found in figures.items()]
    if not rows:
        rows = [Row(mode, clip.name, clip.person, OUTPUT, {})]
    return [replace(rows[0], notes=notes), *rows[1:]]
