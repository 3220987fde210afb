"""Networks take every layer with weights from the operations that are handed in."""

from dataclasses import dataclass, replace

import pytest
import torch
from tiny_models import tiny_predictor
from tiny_renderer import tiny_renderer
from torch import nn

from lipsync_core.checkpoint import Model, load_model, save_model
from lipsync_core.motion.predictor import READINGS
from lipsync_core.operations import Operations
from lipsync_core.sync.expert import LANDMARKS, PIXELS, SyncExpert, SyncExpertConfig

KINDS = ("Linear", "Conv1d", "Conv2d", "GroupNorm", "LayerNorm")


class Unstarted:
    """Layers without first values, as ComfyUI's."""


for _kind in KINDS:
    _base = getattr(nn, _kind)
    setattr(Unstarted, _kind, type(_kind, (_base,), {"reset_parameters": lambda self: None}))


class Late(Unstarted):
    """Linear layers have no weights before they are loaded, as those of newer ComfyUIs."""

    class Linear(nn.Linear):
        def __init__(self, inputs: int, outputs: int):
            nn.Module.__init__(self)
            self.in_features, self.out_features = inputs, outputs
            self.weight = self.bias = None

        def _load_from_state_dict(self, state, prefix, metadata, strict, missing, *_):
            for name in ("weight", "bias"):
                found = state.get(prefix + name)
                if found is None:
                    missing.append(prefix + name)
                else:
                    setattr(self, name, nn.Parameter(found, requires_grad=False))


@dataclass(frozen=True)
class Case:
    name: str
    model: type[Model]
    config: object


def _cases() -> list[Case]:
    predictor, renderer = tiny_predictor(), tiny_renderer()
    cases = [
        Case(f"predictor {reading}", type(predictor), replace(predictor.config, reading=reading))
        for reading in READINGS
    ]
    cases += [
        Case("renderer", type(renderer), renderer.config),
        Case("renderer of details", type(renderer), replace(renderer.config, detail_width=16)),
    ]
    return cases + [
        Case(f"expert on {sees}", SyncExpert, SyncExpertConfig("made-up", sees, 8, width=16))
        for sees in (LANDMARKS, PIXELS)
    ]


each_network = pytest.mark.parametrize("case", _cases(), ids=lambda case: case.name)


def test_torch_is_a_collection_of_operations():
    assert isinstance(nn, Operations) and isinstance(Unstarted, Operations)


@each_network
def test_every_layer_with_weights_is_taken_from_the_operations(case):
    network = case.model(case.config, Unstarted)
    layers = [m for m in network.modules() if isinstance(m, tuple(getattr(nn, k) for k in KINDS))]
    assert layers
    assert all(type(layer) in vars(Unstarted).values() for layer in layers)


@each_network
@pytest.mark.parametrize("operations", [Unstarted, Late])
def test_the_names_of_weights_do_not_depend_on_the_operations(case, operations, tmp_path):
    path = tmp_path / "network.safetensors"
    torch.manual_seed(0)
    network = case.model(case.config)
    save_model(path, network, {}, dtype=torch.float32)
    loaded = load_model(path, case.model, operations)
    state = loaded.state_dict()
    assert state.keys() == network.state_dict().keys()
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
