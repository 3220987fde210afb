"""`evaluate` with tiny models: its modes, what it leaves out, the same numbers twice."""

import json
from contextlib import redirect_stdout
from fractions import Fraction
from io import StringIO

import pytest
import torch
from synthetic_face import HALF_WIDTH, syllables
from tiny_models import save_tiny_judge, save_tiny_models, tiny_predictor, write_talking_face

from lipsync_core.__main__ import main
from lipsync_core.checkpoint import save_model
from lipsync_core.commands import evaluate as command
from lipsync_core.evaluation.mouth_closing import OPEN_ASPECT
from lipsync_core.evaluation.running import evaluate
from lipsync_core.media.fingerprint import file_fingerprint
from lipsync_core.media.writing import write_clip

FRAMES, SIZE = 32, {"height": 150, "width": 200}
MODES = "reconstruction", "cross", "silent"
ALIGNMENT = "0 5000 sil\n5000 20000 bin\n20000 32000 sil\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Tiny weights, and two talking clips of one person."""
    folder = tmp_path_factory.mktemp("evaluation")
    save_tiny_models(folder)
    save_tiny_judge(folder / "judge.safetensors")
    (folder / "clips").mkdir()
    for seed, name in enumerate(("one", "two")):
        write_talking_face(folder / "clips" / f"{name}.mp4", FRAMES, seed=seed, **SIZE)
    (folder / "one.align").write_text(ALIGNMENT)
    return folder


def arguments(folder, out, *modes, clips="clips", predictor="tiny_predictor.safetensors"):
    files = {"--predictor": predictor, "--renderer": "tiny_renderer.safetensors"}
    files |= {"--judge": "judge.safetensors", "--clips": clips, "--alignments": ""}
    named = [part for flag, name in files.items() for part in (flag, str(folder / name))]
    return [
        "evaluate",
        *modes,
        *named,
        "--out",
        str(out),
        "--json",
        "--without-networks",
        "--person",
        "drawn",
    ]


def told(capsys, *given, **named) -> dict:
    assert main(arguments(*given, **named)) == 0
    found = json.loads(capsys.readouterr().out)
    del found["timing"]
    return found


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    """The command run once, as a user runs it: its JSON and its folder."""
    out = tmp_path_factory.mktemp("whole")
    with redirect_stdout(StringIO()) as printed:
        assert main(arguments(folder, out, *MODES)) == 0
    found = json.loads(printed.getvalue())
    del found["timing"]
    return found, out


def figure(found: dict, mode: str, name: str, subject: str) -> float:
    return found["modes"][mode]["figures"][name][subject]["mean"]


def test_every_mode_sets_the_output_beside_its_bounds(whole):
    found, _ = whole
    subjects = {mode: table["subjects"] for mode, table in found["modes"].items()}
    assert subjects == {
        "reconstruction": ["output", "ceiling", "chance"],
        "cross audio": ["output", "ceiling", "source"],
        "silent audio": ["output", "source"],
    }
    assert all(table["clips"] == 2 and table["people"] == 1 for table in found["modes"].values())


def test_the_real_clip_written_again_is_nearly_the_truth_and_another_clip_is_not(whole):
    found, _ = whole
    ceiling = figure(found, "reconstruction", "opening r", "ceiling")
    assert ceiling > 0.97 > figure(found, "reconstruction", "opening r", "chance") + 0.2
    assert figure(found, "reconstruction", "lip vertex error", "ceiling") < 1.5
    assert figure(found, "reconstruction", "PSNR mouth", "ceiling") > 32
    assert figure(found, "reconstruction", "PSNR mouth", "output") < figure(
        found, "reconstruction", "PSNR mouth", "ceiling"
    )


def test_sync_is_judged_wherever_there_is_speech(whole):
    found, _ = whole
    for mode in ("reconstruction", "cross audio"):
        for subject in found["modes"][mode]["subjects"]:
            assert -600 <= figure(found, mode, "sync offset", subject) <= 600
    assert "sync offset" not in found["modes"]["silent audio"]["figures"]


def test_a_face_that_talks_through_silence_leaks(whole):
    found, _ = whole
    drawn = torch.cat([syllables(FRAMES, seed=seed) for seed in (0, 1)])
    is_open = (drawn > OPEN_ASPECT * 2 * HALF_WIDTH).float().mean()
    leak = figure(found, "silent audio", "lip leak", "source")
    assert leak == pytest.approx(float(is_open), abs=0.08) and leak > 0.05


def test_the_other_speech_of_cross_audio_is_the_next_clips(whole):
    _, out = whole
    lines = (out / "rows.jsonl").read_text().splitlines()
    rows = [row for line in lines for row in json.loads(line)]
    speech = {row["clip"]: row["notes"]["speech"] for row in rows if "speech" in row["notes"]}
    assert speech == {"one": "two", "two": "one"}
    styles = {row["clip"]: row["notes"]["style"] for row in rows if "style" in row["notes"]}
    assert styles == {"one": "two", "two": "one"}


def test_closures_are_measured_where_words_are_known(whole):
    found, _ = whole
    assert found["modes"]["reconstruction"]["figures"]["bilabial opening"]["output"]["count"] == 1


def test_the_page_shows_what_is_in_the_folder(whole):
    _, out = whole
    page = (out / "report.html").read_text()
    files = [*out.rglob("*.png"), *out.rglob("*.mp4")]
    assert len([file for file in files if file.suffix == ".png"]) == 12
    assert files and all(str(file.relative_to(out)) in page for file in files)
    assert "predictor.safetensors" in page and "its header does not say" in page


def test_a_run_that_was_stopped_goes_on_to_the_same_numbers(
    folder, whole, tmp_path, monkeypatch, capsys
):
    found, _ = whole

    def stopped(bench, modes, results, *others):
        def stop(done, total):
            raise KeyboardInterrupt

        return evaluate(bench, modes, results, *others[:-1], stop)

    with monkeypatch.context() as patch:
        patch.setattr(command, "evaluate", stopped)
        assert main(arguments(folder, tmp_path, *MODES)) == 130
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 1
    again = told(capsys, folder, tmp_path, *MODES)
    assert json.dumps(again) == json.dumps(found)
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 6


@pytest.fixture(scope="module")
def unfit(folder):
    """Clips that cannot be evaluated, each for another reason, and one that can."""
    clips = folder / "unfit"
    clips.mkdir()
    write_talking_face(clips / "alone.mp4", 64, **SIZE)
    write_talking_face(clips / "dumb.mp4", 26, sound=False, **SIZE)
    write_talking_face(clips / "short.mp4", 20, **SIZE)
    audio = write_talking_face(folder / "sound.mp4", 70, **SIZE)
    grey = [torch.full((70, 150, 200, 3), 0.5)]
    write_clip(clips / "empty.mp4", grey, Fraction(25), 150, 200, audio)
    (clips / "broken.mp4").write_bytes(b"no video")
    return clips


def test_clips_that_cannot_be_evaluated_are_counted_with_the_reason(
    folder, unfit, tmp_path, capsys
):
    table = told(capsys, folder, tmp_path, "silent", clips="unfit")["modes"]["silent audio"]
    assert table["clips"] == 1 and set(table["excluded"]) == {"dumb", "short", "empty", "broken"}
    reasons = table["excluded"]
    assert "no sound" in reasons["dumb"] and "0.80 s" in reasons["short"]
    assert "face" in reasons["empty"]
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert "own first half" in next(line for line in lines if '"alone"' in line)


def test_a_weight_that_was_trained_on_a_clip_is_refused(folder, tmp_path, capsys):
    digits = file_fingerprint(folder / "clips" / "two.mp4")
    entry = {"people": 1, "clips": 1, "split": ["train"], "fingerprints": [digits]}
    save_model(folder / "trained.safetensors", tiny_predictor(), {"data": {"x": entry}})
    assert main(arguments(folder, tmp_path / "run", predictor="trained.safetensors")) == 1
    error = capsys.readouterr().err
    assert "trained.safetensors was trained on 1 of the 2 clips (two)" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--limit", "0"], "at least 1 clip"),
        (["--split", "none", "--splits", "{tmp}/none.json"], "none.json"),
        (["--people", "{tmp}/people.json"], "people.json"),
    ],
)
def test_mistakes_are_said_in_one_line(folder, tmp_path, capsys, more, message):
    given = arguments(folder, tmp_path / "run")
    given = given[:-2] if "--people" in more else given
    assert main([*given, *(part.format(tmp=tmp_path) for part in more)]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ") and message in error


def test_a_mode_that_is_not_there_is_refused(folder, tmp_path, capsys):
    assert main(arguments(folder, tmp_path, "sideways")) == 1
    assert "no mode 'sideways'" in capsys.readouterr().err
