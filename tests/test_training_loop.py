"""The training loop: it learns, resumes bit for bit, averages weights and stops on bad numbers."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from lipsync_core.checkpoint import Model, load_model
from lipsync_core.errors import TrainingError
from lipsync_core.operations import Operations
from lipsync_core.training.loop import LoopRecipe, Task, learning_rate, train

RECIPE = LoopRecipe(
    steps=12, warmup_steps=2, log_every=2, validate_every=6, save_every=3, precision="no"
)


@dataclass(frozen=True)
class LineConfig:
    width: int = 4


class Line(Model):
    config_class = LineConfig

    def __init__(self, config: LineConfig, operations: Operations = nn):
        super().__init__(config)
        self.frozen = operations.Linear(config.width, config.width).requires_grad_(False)
        self.linear = operations.Linear(config.width, 1)
        # Laid out otherwise in memory, as networks on pictures are.
        self.picture = operations.Conv2d(2, 2, 3).to(memory_format=torch.channels_last)

    def forward(self, x):
        pictures = x.new_ones(1, 2, 3, 3) * x.mean()
        return self.linear(torch.dropout(self.frozen(x), 0.1, self.training)) + self.picture(
            pictures
        ).square().mean((1, 2, 3))


class FitLine(Task):
    def __init__(self, poison: int | None = None):
        torch.manual_seed(0)
        self.model = Line(LineConfig())
        self.poison = poison

    def loss(self, model, step, generator):
        x = torch.randn(64, 4, generator=generator)
        error = (model(x)[:, 0] - x.sum(1)).square().mean()
        return error * (float("nan") if step == self.poison else 1), {"seen": float(step)}

    def validate(self, generator):
        x = torch.randn(64, 4, generator=generator)
        return {"held_out": (self.model(x)[:, 0] - x.sum(1)).square().mean().item()}


def stats(folder: Path) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "steps_per_second"} for line in lines]


def test_the_loss_falls(tmp_path):
    recipe = replace(RECIPE, steps=150, learning_rate=0.05)
    train(FitLine(), tmp_path, recipe, {})
    lines = stats(tmp_path)
    assert lines[-1]["loss"] < 0.3 * lines[0]["loss"]
    assert lines[-1]["held_out"] < 0.5


def test_a_resumed_run_equals_an_unbroken_one_bit_for_bit(tmp_path):
    train(FitLine(), tmp_path / "whole", RECIPE, {"data": "line"})
    train(FitLine(), tmp_path / "broken", RECIPE, {"data": "line"}, stop_at=5)
    train(FitLine(), tmp_path / "broken", RECIPE, {"data": "line"})
    for name in ("state.safetensors", "model.safetensors"):
        whole, broken = (load_file(tmp_path / run / name) for run in ("whole", "broken"))
        assert whole.keys() == broken.keys()
        assert all(torch.equal(whole[key], broken[key]) for key in whole)
    assert stats(tmp_path / "whole") == stats(tmp_path / "broken")


def test_a_run_cut_between_checkpoints_resumes_from_the_last_one(tmp_path):
    class Cut(Exception):
        pass

    def cut(done, total):
        if done == 8:
            raise Cut

    with pytest.raises(Cut):
        train(FitLine(), tmp_path / "cut", RECIPE, {}, on_progress=cut)
    train(FitLine(), tmp_path / "cut", RECIPE, {})
    train(FitLine(), tmp_path / "whole", RECIPE, {})
    assert stats(tmp_path / "cut") == stats(tmp_path / "whole")


def test_the_exported_model_is_the_average_not_the_last_step(tmp_path):
    task = FitLine()
    path = train(task, tmp_path, replace(RECIPE, learning_rate=0.1), {"data": "line"})
    exported = load_model(path, Line)
    assert torch.equal(exported.frozen.weight, task.model.frozen.weight.half().float())
    assert not torch.allclose(exported.linear.weight, task.model.linear.weight, atol=1e-3)


def test_another_recipe_does_not_resume_a_run(tmp_path):
    train(FitLine(), tmp_path, RECIPE, {}, stop_at=3)
    with pytest.raises(TrainingError, match="loop"):
        train(FitLine(), tmp_path, replace(RECIPE, learning_rate=0.5), {})


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(tmp_path):
    with pytest.raises(TrainingError, match="step 7"):
        train(FitLine(poison=7), tmp_path, RECIPE, {})


def test_the_learning_rate_warms_up_and_ends_at_its_floor():
    rates = [learning_rate(RECIPE, step) for step in range(12)]
    assert rates[0] < rates[1] and max(rates) <= RECIPE.learning_rate
    assert rates[-1] < 0.1 * RECIPE.learning_rate
