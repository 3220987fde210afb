"""The mode "style": clips measured once, excluded with a reason, judged, resumed and told."""

import json

import pytest
from synthetic_motion import ENCODER
from test_style_benchmarks import Deaf, ReferenceReader, clip_of, heard_in
from tiny_models import save_tiny_judge, save_tiny_models, write_talking_face

from lipsync_core import weights
from lipsync_core.__main__ import main
from lipsync_core.audio.encoder import load_speech_encoder
from lipsync_core.errors import EvaluationError
from lipsync_core.evaluation import style_mode
from lipsync_core.evaluation.blocks import markdown
from lipsync_core.evaluation.clips import find_clips
from lipsync_core.evaluation.drawn_styles import MODE as DRAWN
from lipsync_core.evaluation.drawn_styles import read_drawn_styles
from lipsync_core.evaluation.own_speech import MODE as OWN_SPEECH
from lipsync_core.evaluation.people_benchmark import MODE as PEOPLE_MODE
from lipsync_core.evaluation.results import Results
from lipsync_core.evaluation.style_list import StyleList
from lipsync_core.evaluation.style_mode import measure_style_clips, run_style
from lipsync_core.evaluation.style_report import style_blocks, style_machine, style_rows
from lipsync_core.face.landmarking import FaceLandmarker
from lipsync_core.sync.expert import SyncExpert, SyncExpertConfig

FRAMES, SIZE = 40, {"height": 150, "width": 200}
PEOPLE = {"anna": 0.5, "bert": 1.0, "cleo": 2.0}


@pytest.fixture(scope="module")
def clips():
    return [
        clip_of(f"{person}{i}", person, 10 * n + i, steps=240, gain=gain)
        for n, (person, gain) in enumerate(PEOPLE.items())
        for i in range(2)
    ]


@pytest.fixture(scope="module")
def speakers(clips):
    return {"reader": ReferenceReader(clips[:1]), "deaf": Deaf(clips[:1])}


@pytest.fixture(scope="module")
def expert():
    config = SyncExpertConfig(
        encoder=ENCODER, speech_width=12, width=16, embedding=8, dilations=(1,)
    )
    return SyncExpert(config).eval()


@pytest.fixture
def unrepaired(monkeypatch):
    """An expert with random weights would move the sounds to anywhere."""
    monkeypatch.setattr(style_mode, "without_offset", lambda clip, expert: clip)


def test_a_stopped_run_goes_on_and_gives_the_same(clips, speakers, expert, tmp_path, unrepaired):
    whole = Results(tmp_path / "whole")
    run_style(speakers, clips, whole, expert=expert)
    parts = Results(tmp_path / "parts")

    class Stop(BaseException):
        pass

    def stop(done, total):
        if done == 3:
            raise Stop

    with pytest.raises(Stop):
        run_style(speakers, clips, parts, expert=expert, on_progress=stop)
    assert 0 < len(parts.rows) < len(whole.rows)
    again = Results(tmp_path / "parts")
    run_style(speakers, clips, again, expert=expert)
    assert again.rows == whole.rows
    first, second = (tmp_path / name / "rows.jsonl" for name in ("whole", "parts"))
    assert first.read_bytes() == second.read_bytes()


def test_the_tables_name_everybody_and_are_json(clips, speakers, expert, tmp_path, unrepaired):
    results = Results(tmp_path)
    run_style(speakers, clips, results, expert=expert, seen={"anna": ["reader.safetensors"]})
    for mode, rows in style_rows(results).items():
        text = markdown(list(style_blocks(mode, rows)))
        assert "reader" in text and "deaf" in text
        assert mode != PEOPLE_MODE or "anna by reader.safetensors" in text
        json.dumps(style_machine(mode, rows), allow_nan=False)


def test_the_drawn_list_is_judged_told_and_resumed(clips, speakers, tmp_path, monkeypatch):
    monkeypatch.setattr(style_mode, "hear", lambda clip, alignments: heard_in(clip))
    few = StyleList(DRAWN, [style for style in read_drawn_styles() if style.name.endswith("0")])
    designs = {f"{name}@{seed}": own for name, own in speakers.items() for seed in range(2)}
    results = Results(tmp_path)
    for targets in (1, 2):
        run_style(designs, clips[:4], results, alignments=tmp_path, targets=targets, lists=[few])
        judged = [row for row in results.rows if row.mode == DRAWN]
        assert len(judged) == targets * len(designs) * len(few.styles), "no clip twice"
    found = style_rows(results)
    assert set(found) == {DRAWN, OWN_SPEECH}
    for mode, rows in found.items():
        text = markdown(list(style_blocks(mode, rows)))
        assert "reader" in text and "reader@0" not in text
        told = style_machine(mode, rows)
        json.dumps(told, allow_nan=False)
        assert set(told["figures by seed"]) == set(designs)


def test_what_cannot_be_compared_is_refused(clips, speakers, tmp_path):
    with pytest.raises(EvaluationError, match="two people and a sync expert"):
        run_style(speakers, clips, Results(tmp_path))
    with pytest.raises(EvaluationError, match="name more clips"):
        run_style(speakers, clips[:2], Results(tmp_path), alignments=tmp_path)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two talking people with two clips each, and one clip that is no use."""
    folder = tmp_path_factory.mktemp("videos")
    for seed, name in enumerate(("anna0", "anna1", "bert0", "bert1")):
        write_talking_face(folder / f"{name}.mp4", FRAMES, seed=seed, **SIZE)
    write_talking_face(folder / "short.mp4", 12, seed=9, **SIZE)
    return folder


def test_clips_are_measured_once_and_the_useless_left_out(videos, tmp_path):
    people = {path.stem: path.stem[:4] for path in videos.glob("*.mp4")}
    found = find_clips(videos, people=people)
    encoder = load_speech_encoder(weights.find(weights.SPEECH_ENCODER))
    landmarker = FaceLandmarker.load(weights.find(weights.FACE_LANDMARKER))
    measured, excluded = measure_style_clips(landmarker, encoder, found, tmp_path)
    assert [clip.name for clip in measured] == ["anna0", "anna1", "bert0", "bert1"]
    assert list(excluded) == ["short"] and "needed" in excluded["short"]
    assert all(clip.valid.all() and clip.steps >= FRAMES - 1 for clip in measured)

    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    again, _ = measure_style_clips(landmarker, encoder, found[:4], tmp_path)
    assert {path: path.stat().st_mtime_ns for path in written} == written, "measured again"
    for first, second in zip(measured, again, strict=True):
        assert (first.displacement == second.displacement).all()


def test_the_command_judges_rivals_and_refuses_half_a_name(videos, tmp_path, capsys):
    save_tiny_models(tmp_path)
    save_tiny_judge(tmp_path / "judge.safetensors")
    people = {path.stem: path.stem[:4] for path in videos.glob("*.mp4")}
    (tmp_path / "people.json").write_text(json.dumps(people))
    predictor = str(tmp_path / "tiny_predictor.safetensors")
    command = ["evaluate", "style", "--clips", str(videos), "--out", str(tmp_path / "run")]
    command += ["--people", str(tmp_path / "people.json"), "--predictor", predictor]
    command += ["--renderer", str(tmp_path / "tiny_renderer.safetensors")]
    command += ["--judge", str(tmp_path / "judge.safetensors")]
    assert main([*command, "--against", "nameless"]) == 1
    assert "NAME=FILE" in capsys.readouterr().err
    assert main([*command, "--against", f"rival={predictor}", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    figures = told["modes"]["people"]["figures"]["r, own - another's"]
    assert figures["rival"] == figures["tiny_predictor"]
    assert figures["rival"]["count"] == 2
    page = (tmp_path / "run" / "report.md").read_text()
    assert "## People" in page and "excluded: short" in page
