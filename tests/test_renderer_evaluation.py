"""`evaluate renderer`: stage 2 alone beside its codec, copies and controls, with tiny models."""

import importlib.util
import json
import math
from contextlib import redirect_stdout
from dataclasses import replace
from fractions import Fraction
from io import StringIO
from pathlib import Path

import pytest
import torch
from tiny_models import save_tiny_models, write_talking_face
from tiny_renderer import SIZE, face_track, lip_motion, mouth_crops, tiny_renderer

from lipsync_core import weights
from lipsync_core.__main__ import main
from lipsync_core.evaluation.clips import EvaluationClip
from lipsync_core.evaluation.feature_distances import JudgingNetworks
from lipsync_core.evaluation.renderer_clips import LookedAt, RendererClip, laid_over, middle
from lipsync_core.evaluation.renderer_controls import PARTS, painted_crops
from lipsync_core.evaluation.renderer_copies import (
    copy_mouths,
    nearest_frames,
    shelf_of_clip,
    shelf_of_itself,
    shelf_of_references,
    through_codec,
)
from lipsync_core.evaluation.renderer_mode import add_gains
from lipsync_core.evaluation.renderer_networks import FaceJudge, pick
from lipsync_core.evaluation.renderer_pictures import (
    CROP_PSNR,
    CROP_SHARPNESS,
    PSNR,
    SHARPNESS,
    crop_figures,
)
from lipsync_core.evaluation.renderer_sheet import mouth_sheet, shown_frames
from lipsync_core.evaluation.seen_clips import SeenClip
from lipsync_core.landmarks import opening
from lipsync_core.media.tensor_clip import TensorClip
from lipsync_core.render.references import ReferenceChoice, References, encode_references
from lipsync_core.render.renderer import LipRenderer
from lipsync_core.render.rendering import feathered_mask, render_lips
from lipsync_core.types import LipMotion

PLACES = torch.tensor([1, 256, 65536], dtype=torch.int32)
"""What makes one number of a colour."""
FRAMES = 40
"""Of the drawn clips, all of them 25 Hz: a frame is a step of motion."""


def seen(openings: torch.Tensor, name: str = "drawn") -> SeenClip:
    """A drawn face whose frames are its crops and whose motion is its opening, in four numbers."""
    motion = LipMotion(openings[:, None].repeat(1, 4), torch.ones(len(openings)).bool(), "b")
    pictures = TensorClip(mouth_crops(openings / SIZE), Fraction(25))
    return SeenClip(name, pictures, face_track(openings), motion)


def work_of(drawn: SeenClip, span: slice, reference: SeenClip | None = None) -> RendererClip:
    clip = EvaluationClip(Path(drawn.name), drawn.name, "p", "", drawn.name)
    crops = drawn.pictures.frames(span.start, span.stop)
    return RendererClip(clip, drawn, span, crops, reference)


def swell(count: int = FRAMES) -> torch.Tensor:
    return 12 * (1 + torch.sin(torch.arange(count) * 0.7)) / 2


def references(choice: torch.Tensor, usable: torch.Tensor) -> References:
    """A choice alone: nothing of it is drawn."""
    pool = int(choice.max()) + 1
    return References(
        torch.zeros(pool, 1),
        choice.short(),
        usable,
        torch.zeros(pool, 4),
        torch.zeros(choice.shape),
    )


def test_the_middle_is_what_is_rendered():
    assert middle(75, 50) == slice(12, 62) and middle(30, 50) == slice(0, 30)


def test_frames_of_the_picked_are_counted_in_the_clip_and_in_the_stretch():
    work = work_of(seen(swell()), slice(10, 30))
    picked = work.picked
    assert [*range(picked.start, picked.stop, picked.step)] == [10, 14, 18, 22, 26]
    assert torch.equal(work.crops[work.in_span(picked)][1], work.seen.pictures.frames(14, 15)[0])
    assert len(work.track.visible) == 20


def test_the_nearest_motion_is_copied_and_nothing_that_is_not_allowed():
    other = seen(torch.linspace(0, 12, 25), "other")
    work = work_of(seen(swell()), slice(5, 25), other)
    shelf = shelf_of_clip(work, other)
    wanted = work.seen.frame_motion()[work.span]
    best = (torch.linspace(0, 12, 25) - wanted[:, :1]).abs()
    assert torch.equal(nearest_frames(shelf, wanted), best.argmin(dim=1))
    forbidden = replace(shelf, allowed=shelf.allowed.clone())
    forbidden.allowed[:, best.argmin(dim=1)] = False
    assert not set(nearest_frames(forbidden, wanted).tolist()) & set(best.argmin(dim=1).tolist())


def test_a_copy_brings_the_other_frames_mouth_and_keeps_what_is_outside():
    other = seen(torch.linspace(0, 12, 25), "other")
    work = work_of(seen(swell()), slice(5, 25), other)
    shelf = shelf_of_clip(work, other)
    copied = copy_mouths(tiny_renderer(), work, shelf)
    chosen = nearest_frames(shelf, work.seen.frame_motion()[work.span])
    seam = feathered_mask(tiny_renderer())[0, 0]
    source = torch.stack([other.pictures.frames(i, i + 1)[0] for i in chosen.tolist()])
    assert torch.equal(copied[:, seam == 0], work.crops[:, seam == 0])
    assert torch.allclose(copied[:, seam == 1], source[:, seam == 1])


def test_only_what_the_renderer_looks_at_is_on_its_shelf():
    """Padding points at a frame that is not meant."""
    choice = torch.tensor([[0, 2, 1]]).repeat(FRAMES, 1)
    looked = LookedAt(references(choice, choice != 1), seen(swell()), (3, 17, 30))
    shelf = shelf_of_references(work_of(seen(swell()), slice(5, 25)), looked)
    assert shelf.frames.tolist() == [3, 17, 30]
    assert shelf.allowed.tolist() == [[True, False, True]] * 20


def test_a_clip_is_copied_from_itself_thirty_frames_away_or_not_at_all():
    work = work_of(seen(swell(80)), slice(15, 65))
    shelf = shelf_of_itself(work)
    assert shelf is not None
    chosen = nearest_frames(shelf, work.seen.frame_motion()[work.span])
    assert ((chosen - torch.arange(15, 65)).abs() >= 30).all()
    assert shelf_of_itself(work_of(seen(swell()), slice(5, 25))) is None


def test_a_swapped_motion_begins_where_the_rendered_stretch_does():
    """The other clip's frame 10 of 30 is the first of its middle 10."""
    other = seen(torch.arange(30.0), "other")
    motion = laid_over(other, work_of(seen(swell()), slice(7, 17)))
    assert motion.coefficients[7:17, 0].tolist() == [float(x) for x in range(10, 20)]
    assert len(motion.coefficients) == FRAMES
    assert motion.coefficients[-1, 0] == 29


def test_figures_of_crops_know_sharp_from_blurred_and_right_from_wrong():
    drawn = seen(swell())
    crops = drawn.pictures.frames(0, FRAMES)
    same = crop_figures(crops, crops, drawn.track)
    assert same == {CROP_PSNR: 100.0, CROP_SHARPNESS: pytest.approx(1)}
    blurred = torch.nn.functional.avg_pool2d(crops.movedim(-1, 1), 5, 1, 2).movedim(1, -1)
    found = crop_figures(blurred, crops, drawn.track)
    assert found[CROP_SHARPNESS] < 0.95 and found[CROP_PSNR] < 50
    late = crop_figures(crops.roll(4, 0), crops, drawn.track)
    assert late[CROP_SHARPNESS] == pytest.approx(1, abs=0.05) and late[CROP_PSNR] < 35


def test_what_is_outside_the_mouth_does_not_count():
    drawn = seen(swell())
    crops = drawn.pictures.frames(0, FRAMES)
    other = crops.clone()
    other[:, : SIZE // 3] = 0
    assert crop_figures(other, crops, drawn.track)[CROP_PSNR] == 100.0


def test_faces_that_are_not_seen_do_not_count():
    drawn = seen(swell())
    crops = drawn.pictures.frames(0, FRAMES)
    hidden = replace(drawn.track, visible=torch.arange(FRAMES) < 20)
    other = crops.clone()
    other[20:] = 0
    assert crop_figures(other, crops, hidden)[CROP_PSNR] == 100.0


def test_the_codec_alone_keeps_what_lies_outside_the_mask():
    drawn, renderer = seen(swell()), tiny_renderer()
    crops = drawn.pictures.frames(0, 20)
    through, seam = through_codec(renderer, crops), feathered_mask(renderer)[0, 0]
    assert torch.equal(through[:, seam == 0], crops[:, seam == 0])
    assert (through - crops)[:, seam == 1].abs().mean() > 0.01


def test_gains_are_of_each_clip_and_only_of_the_sampler():
    figures = {
        name: {CROP_PSNR: value, "PSNR mouth": value - 1}
        for name, value in {
            "1 step": 33.0,
            "2 steps": 34.0,
            "4 steps": 35.0,
            "copied clip": 30.0,
        }.items()
    }
    add_gains(figures)
    assert figures["1 step"][f"{CROP_PSNR}, above copied clip"] == 3
    assert figures["4 steps"]["PSNR mouth, above 1 step"] == 2
    assert f"{CROP_PSNR}, above 1 step" not in figures["1 step"]
    assert len(figures["copied clip"]) == 2


def test_the_sheet_shows_pixels_as_they_are_from_shut_to_open():
    drawn = seen(swell())
    frames = shown_frames(drawn.track)
    openings = opening(drawn.track.landmarks[frames])
    assert len(frames) == 8 and (openings.diff() >= 0).all()
    assert openings[0] == opening(drawn.track.landmarks).min()
    black = TensorClip(torch.zeros(FRAMES, SIZE, SIZE, 3), Fraction(25))
    sheet = mouth_sheet({"real": drawn.pictures, "black": black}, drawn.track)
    height = len(sheet) // 2
    real, black = sheet[20:height], sheet[height + 20 :]
    assert black.max() == 0 and real.max() > 100
    stored = (drawn.pictures.frames(0, FRAMES) * 255).round().int()
    assert torch.isin(torch.from_numpy(real).int() @ PLACES, stored @ PLACES).all()


def test_the_painted_control_sees_a_renderer_that_looks_under_the_mask(monkeypatch):
    renderer, crops = tiny_renderer(), mouth_crops(swell(4) / SIZE)
    painted = painted_crops(renderer, crops)
    green = (painted == torch.tensor([0.0, 1.0, 0.0])).all(-1)
    assert green[0].float().mean() > 0.2 and torch.equal(painted[~green], crops[~green])

    def rendered(pictures):
        choice = torch.zeros(4, 1, dtype=torch.long)
        pool = ReferenceChoice((0,), choice, choice == 0, torch.zeros(1, 4), torch.zeros(4, 1))
        points = torch.rand(4, 77, 2, generator=torch.Generator().manual_seed(0))
        looked = encode_references(renderer, crops[:1], pool, points[:1], points)
        return render_lips(
            renderer, pictures, lip_motion(torch.ones(4, 4)), torch.arange(4) / 25, looked
        )

    assert torch.equal(rendered(painted), rendered(crops))
    monkeypatch.setattr(LipRenderer, "encode_masked", LipRenderer.encode)
    assert not torch.equal(rendered(painted), rendered(crops))


def test_networks_see_the_frames_that_are_picked_and_know_equal_ones():
    places = [weight.package for weight in weights.EVALUATION_WEIGHTS] + ["dlib"]
    if missing := [place for place in places if importlib.util.find_spec(place) is None]:
        pytest.skip(f"the optional packages of evaluation are not installed: {missing}")
    drawn = seen(swell())
    hidden = replace(drawn.track, visible=torch.arange(FRAMES) != 10)
    judge = FaceJudge(JudgingNetworks.load(), hidden, drawn.pictures, slice(0, 20, 10))
    assert judge.frames == [0]
    assert all(value == 0 for value in judge.figures(pick(drawn.pictures, [0])).values())
    assert all(value > 0 for value in judge.figures(pick(drawn.pictures, [2])).values())


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The command run once on two of three tiny clips of two people; its JSON and its folder."""
    folder = tmp_path_factory.mktemp("renderer")
    predictor, renderer = save_tiny_models(folder, opens=True)
    (folder / "clips").mkdir()
    for seed, name in enumerate(("one", "two", "three")):
        path = folder / "clips" / f"{name}.mp4"
        write_talking_face(path, 32, seed=seed, height=150, width=200)
    (folder / "people.json").write_text('{"one": "p", "two": "p", "three": "q"}')
    files = {"--predictor": predictor, "--renderer": renderer, "--clips": "clips"}
    files |= {"--people": "people.json", "--out": "out"}
    named = [part for flag, name in files.items() for part in (flag, str(folder / name))]
    options = ["--frames", "12", "--limit", "2", "--pictures", "1", "--without-networks", "--json"]
    with redirect_stdout(StringIO()) as printed:
        assert main(["evaluate", "renderer", *named, *options]) == 0
    return json.loads(printed.getvalue()), folder / "out"


def figure(told, mode: str, name: str, subject: str) -> float:
    return told[0]["modes"][mode]["figures"][name][subject]["mean"]


def test_every_setting_stands_beside_the_codec_and_the_copies(told):
    table = told[0]["modes"]["renderer"]
    assert table["clips"] == 2 and table["people"] == 2
    settings = ["1 step", "2 steps", "4 steps"]
    # A clip of 32 frames has none that is 30 away from its middle.
    assert table["subjects"] == [*settings, "codec", "copied reference", "copied clip"]
    for subject in table["subjects"]:
        for name in (CROP_PSNR, CROP_SHARPNESS, PSNR, SHARPNESS, "opening r"):
            assert math.isfinite(figure(told, "renderer", name, subject)), (name, subject)
    gained = figure(told, "renderer", f"{PSNR}, above codec", "4 steps")
    assert gained == pytest.approx(
        figure(told, "renderer", PSNR, "4 steps") - figure(told, "renderer", PSNR, "codec")
    )


def test_the_copy_of_nearest_motion_opens_the_mouth_as_the_real_clip_does(told):
    """The drawn face is the same in all clips. Random weights open it too, as references in place
    do, whatever tones they add."""
    copied = figure(told, "renderer", "opening r", "copied clip")
    assert copied > 0.6
    assert 0.5 < figure(told, "renderer", "opening r", "1 step") < copied
    assert figure(told, "renderer", PSNR, "copied clip") > 28


def test_controls_change_what_they_should_and_nothing_else(told):
    for name in ("mouth changed", "largest change"):
        assert figure(told, "renderer controls", name, "painted mouth") == 0
        for subject in ("swapped motion", "no motion", "another person", "another seed"):
            assert figure(told, "renderer controls", name, subject) > 0, (name, subject)
    assert figure(told, "renderer controls", "opening r", "the other clip") < 0.9
    for part in PARTS:
        assert figure(told, "renderer controls", "mouth changed", part) > 0
        assert math.isfinite(figure(told, "renderer controls", CROP_PSNR, part))


def test_who_was_looked_at_is_told_and_a_person_alone_looks_at_itself(told):
    lines = (told[1] / "rows.jsonl").read_text().splitlines()
    rows = [row for line in lines for row in json.loads(line)]
    notes = {row["clip"]: row["notes"] for row in rows if row["subject"] == "1 step"}
    assert {name: told["references"] for name, told in notes.items()} == {
        "one": "two", "three": "its own distant frames",
    }  # fmt: skip
    assert notes["one"]["frames"] == "12 of 32, from 10 on" and "128" in notes["one"]["crop"]
    given = [row for row in rows if row["subject"] == "as given"]
    strangers = {row["clip"]: row["notes"]["another person"] for row in given}
    assert strangers == {"one": "three", "three": "one"}


def test_the_page_shows_the_mouths_of_every_clip(told):
    page = (told[1] / "report.html").read_text()
    sheets = sorted(path.name for path in told[1].rglob("*mouths.png"))
    assert sheets == [f"{name}.renderer.mouths.png" for name in ("one", "three")]
    assert all(name in page for name in sheets)
    assert "the ceiling" in page and "painted green" in page


def test_too_few_frames_are_refused(tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["evaluate", "renderer", "--clips", "x", "--out", out, "--frames", "5"]) == 1
    assert "--frames 5: at least 10" in capsys.readouterr().err
