"""The command line: clips are prepared once, models learn from them, mistakes are said plainly."""

import json

import pytest
import torch
from safetensors.torch import load_file
from tiny_models import save_tiny_models, write_talking_face

from lipsync_core.__main__ import main
from lipsync_core.checkpoint import read_header
from lipsync_core.media.file_clip import open_clip
from lipsync_core.training.prepared import read_prepared
from lipsync_core.training.silence import read_silence


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Two talking clips of one person, prepared by the command."""
    folder = tmp_path_factory.mktemp("commands")
    clips, out = folder / "clips", folder / "prepared"
    clips.mkdir()
    for number in range(2):
        write_talking_face(clips / f"{number}.mp4", frame_count=40, seed=number)
    (folder / "splits.json").write_text('{"train": ["0"], "validation": ["1"]}')
    arguments = ["prepare", clips, "--out", out, "--person", "drawn", "--source", "drawn face"]
    arguments += ["--splits", folder / "splits.json", "--speech-variants", 2, "--voice-variants", 1]
    arguments += ["--sounds", 3]
    assert main([str(argument) for argument in arguments]) == 0
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    assert main([str(argument) for argument in arguments]) == 0
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before
    return out


def test_a_prepared_clip_holds_what_training_needs(prepared):
    train, validation = (read_prepared(prepared, split) for split in ("train", "validation"))
    assert [clip.name for clip in train] == ["0"] and [clip.name for clip in validation] == ["1"]
    tensors = load_file(train[0].path)
    assert tensors["crops"].shape == (40, 128, 128, 3) and tensors["crops"].dtype == torch.uint8
    assert tensors["canonical"].shape == (40, 57, 3) and tensors["valid"].all()
    assert tensors["speech"].shape == (3, 40, 768)
    alone, amid, other_voice = tensors["speech"].float()
    assert not torch.equal(alone, amid) and not torch.equal(alone, other_voice)
    assert torch.nn.functional.cosine_similarity(alone, amid, dim=-1).mean() > 0.7
    # 12 silences, 2 more about either clip, and 3 sounds that are no speech.
    assert read_silence(prepared).shape == (19, 100, 768)


def test_training_runs_resumes_and_says_what_it_learned_from(prepared, tmp_path):
    command = ["train", "codec-tiny", "--prepared", str(prepared), "--run", str(tmp_path)]
    command += ["--set", "loop.steps=4", "--set", "loop.save_every=2", "--set", "batch_size=2"]
    assert main(command) == 0
    header = read_header(tmp_path / "model.safetensors")
    assert header.kind == "Codec" and header.provenance["step"] == 4
    assert header.provenance["data"]["drawn face"]["clips"] == 1
    lines = (tmp_path / "stats.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines]
    assert steps == [4]
    assert main(command) == 0


def test_a_dry_run_prints_the_recipe_and_trains_nothing(capsys, tmp_path):
    command = ["train", "renderer-tiny", "--prepared", "nowhere", "--run", str(tmp_path / "run")]
    assert main([*command, "--set", "loop.steps=7", "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out)["loop"]["steps"] == 7
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["prepare", "{tmp}", "--out", "{tmp}", "--source", "x"], "no video files"),
        (["train", "codec-tiny", "--prepared", "{tmp}", "--run", "{tmp}"], "prepare"),
        (
            ["train", "codec-tiny", "--prepared", "{tmp}", "--run", "{tmp}", "--set", "a=1"],
            "no 'a'",
        ),
        (["sync", "--video", "{tmp}/x.mp4", "--audio", "x.wav", "--out", "{tmp}/o.mp4"], "x.mp4"),
        (["sync", "--video", "x", "--audio", "x", "--out", "{tmp}/o.avi"], "mp4"),
    ],
)
def test_mistakes_are_said_in_one_line(command, message, tmp_path, capsys):
    assert main([part.format(tmp=tmp_path) for part in command]) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and message in error and "\n" not in error


def test_sync_writes_a_video_of_the_speechs_length(tmp_path, capsys):
    names = save_tiny_models(tmp_path)
    write_talking_face(tmp_path / "person.mp4", frame_count=25)
    write_talking_face(tmp_path / "speech.mp4", frame_count=30, seed=1)
    files = {"--video": "person.mp4", "--audio": "speech.mp4", "--style": "speech.mp4"}
    files |= {"--out": "out.mp4", "--predictor": names[0], "--renderer": names[1]}
    command = [part for flag, name in files.items() for part in (flag, str(tmp_path / name))]
    assert main(["sync", *command]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out.mp4")
    assert open_clip(tmp_path / "out.mp4").frame_count == 30
