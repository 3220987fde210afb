"""The one training loop: step, EMA, a log line, a checkpoint, resume.

A run is a folder:

    recipe.json         what was asked for; the same folder refuses another recipe
    stats.jsonl         one JSON object per logged step
    state.safetensors   weights, optimizer and EMA at the last checkpoint: private to the run
    model.safetensors   the EMA weights as a LipStyle model file: what is used and shared

Running the same command again resumes. Every step draws its randomness from a generator seeded by
(seed, step) alone, so a run that was stopped and resumed ends bit for bit where an unbroken one
does. Nothing is pickled.
"""

import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, autocast, nn

from ..checkpoint import Model, save_model, save_tensors
from ..errors import TrainingError
from ..types import OnProgress

STATE_FILE, MODEL_FILE = "state.safetensors", "model.safetensors"


@dataclass(frozen=True)
class LoopRecipe:
    """How long and how fast to learn; the same for every model."""

    steps: int
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    final_learning_rate: float = 0.02
    """Of the peak, where the cosine ends."""
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    clip_gradient: float = 1.0
    ema_decay: float = 0.997
    log_every: int = 50
    validate_every: int = 500
    save_every: int = 250
    seed: int = 0
    precision: str = "bf16"
    """"bf16" for bfloat16 autocast, "no" for none."""


class Task(ABC):
    """What one model learns: its data, and the loss of one step."""

    model: Model
    critic: nn.Module | None = None
    """What is learned beside the model to judge it: kept in the run's state, not in the model."""

    @abstractmethod
    def loss(
        self, model: nn.Module, step: int, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """The loss to descend and figures for the log.

        `model` is `self.model` as accelerate prepared it: call it by its forward. All randomness
        comes from `generator` (on the CPU) or, for dropout, torch's global one, seeded per step.
        """

    def validate(self, generator: torch.Generator) -> dict[str, float]:
        """Figures on held-out data; `self.model` carries the EMA weights meanwhile."""
        return {}


def learning_rate(recipe: LoopRecipe, step: int) -> float:
    """Linear warm-up, then a cosine to `final_learning_rate` of the peak."""
    warmup = min(1.0, (step + 1) / max(recipe.warmup_steps, 1))
    cosine = 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
    floor = recipe.final_learning_rate
    return recipe.learning_rate * warmup * (floor + (1 - floor) * cosine)


def step_generator(seed: int, step: int, process: int = 0) -> torch.Generator:
    """A generator that depends on nothing but its arguments; also seeds torch's global one."""
    mixed = (seed * 1_000_003 + step) * 1_009 + process
    torch.manual_seed(mixed)
    return torch.Generator().manual_seed(mixed)


def train(
    task: Task,
    folder: Path,
    recipe: LoopRecipe,
    provenance: dict[str, Any],
    on_progress: OnProgress | None = None,
    stop_at: int | None = None,
) -> Path:
    """Trains `task.model` until `recipe.steps` (or pauses at `stop_at`) and returns the model file.

    Raises TrainingError when `folder` holds a run of another recipe, or when the loss is not
    finite; the last checkpoint stays.
    """
    from accelerate import Accelerator
    from diffusers.training_utils import EMAModel

    # Precision is set here, step by step: accelerate knows only one for the life of a process.
    accelerator = Accelerator()
    parameters = [p for p in task.model.parameters() if p.requires_grad]
    judging = [] if task.critic is None else list(task.critic.parameters())
    optimizer = torch.optim.AdamW(
        parameters + judging,
        lr=recipe.learning_rate,
        betas=recipe.betas,
        weight_decay=recipe.weight_decay,
        fused=True,
    )
    task.model.to(accelerator.device)
    if task.critic is not None:
        task.critic.to(accelerator.device)
    ema = EMAModel(parameters, decay=recipe.ema_decay, use_ema_warmup=True, inv_gamma=1, power=0.75)
    run = _Run(folder, task, optimizer, ema, recipe, provenance)
    start = run.resume() if (folder / STATE_FILE).exists() else run.begin()
    model, optimizer = accelerator.prepare(task.model, optimizer)

    end = min(recipe.steps, recipe.steps if stop_at is None else stop_at)
    clock = time.monotonic()
    model.train()
    for step in range(start, end):
        generator = step_generator(recipe.seed, step, accelerator.process_index)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(recipe, step)
        with autocast(accelerator.device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
            loss, figures = task.loss(model, step, generator)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss of step {step} is {loss.item()}: the last good state is in {folder}; "
                "lower the learning rate or look at the data of that step"
            )
        accelerator.backward(loss)
        norm = accelerator.clip_grad_norm_(parameters, recipe.clip_gradient)
        if judging:
            accelerator.clip_grad_norm_(judging, recipe.clip_gradient)
        optimizer.step()
        optimizer.zero_grad()
        ema.step(parameters)

        done = step + 1
        line: dict[str, Any] = {}
        if done % recipe.log_every == 0 or done == recipe.steps:
            speed = (done - start) / (time.monotonic() - clock)
            line = {"loss": loss.item(), "gradient": float(norm or 0), "steps_per_second": speed}
            line |= figures
        if done % recipe.validate_every == 0 or done == recipe.steps:
            line |= _validate(task, ema, parameters, recipe.seed)
            model.train()
        if accelerator.is_main_process:
            if line:
                run.log(done, line)
            if done % recipe.save_every == 0 or done == end:
                run.save(done)
        if on_progress is not None:
            on_progress(done, recipe.steps)
    return folder / MODEL_FILE


def _validate(task: Task, ema: Any, parameters: list[nn.Parameter], seed: int) -> dict[str, float]:
    ema.store(parameters)
    ema.copy_to(parameters)
    task.model.eval()
    with torch.no_grad():
        figures = task.validate(step_generator(seed, -1))
    ema.restore(parameters)
    return figures


class _Run:
    """The files of one run and what they keep."""

    def __init__(
        self,
        folder: Path,
        task: Task,
        optimizer: torch.optim.Optimizer,
        ema: Any,
        recipe: LoopRecipe,
        provenance: dict[str, Any],
    ):
        self.folder, self.model, self.optimizer, self.ema = folder, task.model, optimizer, ema
        self.critic, self.provenance = task.critic, provenance
        config = asdict(self.model.config)
        self.recipe = json.loads(
            json.dumps({"loop": asdict(recipe), "config": config} | provenance)
        )
        self.names = [name for name, p in self.model.named_parameters() if p.requires_grad]
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]

    def begin(self) -> int:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "recipe.json").write_text(json.dumps(self.recipe, indent=2))
        (self.folder / "stats.jsonl").write_text("")
        return 0

    def log(self, step: int, figures: dict[str, Any]) -> None:
        with (self.folder / "stats.jsonl").open("a") as stats:
            stats.write(json.dumps({"step": step} | figures) + "\n")

    def save(self, step: int) -> None:
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        for name, parameter, shadow in self._trained():
            tensors[f"ema.{name}"] = shadow
            tensors |= self._moments(name, parameter)
        for name, parameter in self._judging():
            tensors[f"critic.{name}"] = parameter
            tensors |= self._moments(f"critic.{name}", parameter)
        save_tensors(self.folder / STATE_FILE, tensors, {"step": str(step)})
        state = dict(self.model.state_dict())
        state |= {name: shadow for name, _, shadow in self._trained()}
        save_model(
            self.folder / MODEL_FILE, self.model, self.provenance | {"step": step}, state=state
        )

    def resume(self) -> int:
        stored = json.loads((self.folder / "recipe.json").read_text())
        if stored != self.recipe:
            changed = sorted(k for k in self.recipe if stored.get(k) != self.recipe[k])
            raise TrainingError(
                f"{self.folder} holds a run with another recipe (different: {changed}): "
                "use its recipe to resume it, or another folder for a new run"
            )
        with safe_open(self.folder / STATE_FILE, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            step = int(file.metadata()["step"])
        self.model.load_state_dict(
            {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
        )
        for name, parameter, shadow in self._trained():
            shadow.copy_(tensors[f"ema.{name}"])
            self._remember(name, parameter, tensors)
        for name, parameter in self._judging():
            parameter.data.copy_(tensors[f"critic.{name}"])
            self._remember(f"critic.{name}", parameter, tensors)
        self.ema.optimization_step = step
        self._forget_after(step)
        return step

    def _moments(self, name: str, parameter: Tensor) -> dict[str, Tensor]:
        """What the optimizer keeps of a parameter; nothing before its first gradient."""
        state = self.optimizer.state[parameter]
        return {f"optimizer.{name}.{key}": value for key, value in state.items()}

    def _remember(self, name: str, parameter: Tensor, tensors: dict[str, Tensor]) -> None:
        prefix = f"optimizer.{name}."
        moments = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        # Laid out in memory as the parameter is: the fused optimizer pairs them by place.
        self.optimizer.state[parameter] = {
            k: torch.empty_like(parameter).copy_(v) if v.shape == parameter.shape else v
            for k, v in moments.items()
        }

    def _forget_after(self, step: int) -> None:
        """Drops log lines of steps that were run but not checkpointed."""
        stats = self.folder / "stats.jsonl"
        kept = [line for line in stats.read_text().splitlines() if json.loads(line)["step"] <= step]
        stats.write_text("".join(f"{line}\n" for line in kept))

    def _judging(self) -> list[tuple[str, nn.Parameter]]:
        return [] if self.critic is None else list(self.critic.named_parameters())

    def _trained(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        return zip(self.names, self.parameters, self.ema.shadow_params, strict=True)
