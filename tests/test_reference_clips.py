"""Reference pictures of a person come from as many of its other clips as are asked for."""

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from synthetic_face import sway, syllables, talking_face
from tiny_models import save_tiny_models

from lipsync_core.evaluation.bench import Bench
from lipsync_core.evaluation.clips import find_clips
from lipsync_core.evaluation.renderer_clips import look_up, read_renderer_clip
from lipsync_core.media.writing import write_clip
from lipsync_core.pipeline import LipSyncSettings, load_models
from lipsync_core.types import Audio

FRAMES, FPS, RATE = 30, Fraction(25), 16_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips of one person, of which the third is of another size, and one of another."""
    folder = tmp_path_factory.mktemp("people")
    for seed, name in enumerate(("a", "b", "c", "d", "stranger")):
        height, width = (180, 240) if name == "c" else (150, 200)
        matrices = sway(FRAMES, height, width, 1.0, FPS)
        face = talking_face(syllables(FRAMES, FPS, seed), matrices, height, width, FPS)
        # Noise is like no other noise: no two clips are of one recording.
        noise = torch.randn(RATE * FRAMES // 25, generator=torch.Generator().manual_seed(seed))
        sound = Audio(0.1 * noise, RATE)
        write_clip(folder / f"{name}.mp4", [face.frames], FPS, height, width, sound)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory):
    weights = tmp_path_factory.mktemp("weights")
    return load_models(*(weights / name for name in save_tiny_models(weights)))


def bench(folder: Path, models, count: int) -> Bench:
    people = {name: "p" for name in "abcd"} | {"stranger": "q"}
    clips = find_clips(folder, None, people, None)
    return Bench(
        models, None, LipSyncSettings(), folder / "out", clips, clips, reference_clips=count
    )


@pytest.mark.parametrize(("count", "names"), [(1, "b"), (2, "b, d"), (9, "b, d")])
def test_other_clips_of_the_person_follow_one_another(folder, models, count, names):
    """Never the clip itself, another size or another person."""
    asked = bench(folder, models, count)
    work = read_renderer_clip(asked, asked.clips[0])
    assert work.reference is not None and work.reference.name == names
    others = len(names.split(", "))
    assert work.reference.pictures.frame_count == FRAMES * others
    looked = look_up(asked, work.seen, work.seen.motion, work.reference)
    assert {frame // FRAMES for frame in looked.pool} == set(range(others))


def test_a_style_and_its_pictures_come_from_the_same_clips(folder, models):
    asked = bench(folder, models, 2)
    subject = asked.subject(asked.clips[0])
    assert subject.style_source == "b, c"
    # The second is of another size and cannot follow the first.
    assert subject.reference.frame_count == FRAMES
    assert bench(folder, models, 3).subject(asked.clips[0]).reference.frame_count == 2 * FRAMES
