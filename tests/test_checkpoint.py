"""Weight files: whole or absent, self-describing, and plain about what does not fit."""

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lipsync_core import checkpoint
from lipsync_core.checkpoint import Model, load_model, read_header, save_model, save_tensors
from lipsync_core.errors import ModelError
from lipsync_core.operations import Operations


@dataclass(frozen=True)
class SmallConfig:
    widths: tuple[int, int] = (3, 5)


class Small(Model):
    config_class = SmallConfig

    def __init__(self, config: SmallConfig, operations: Operations = nn):
        super().__init__(config)
        self.layer = operations.Linear(*config.widths)
        self.register_buffer("steps", torch.arange(3))


class Other(Small):
    pass


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    model = Small(SmallConfig(widths=(4, 2)))
    path = tmp_path / "small.safetensors"
    save_model(path, model, {"data": "none"}, dtype=torch.float32)
    return path, model


def test_a_model_comes_back_bit_for_bit_with_its_config_and_provenance(saved):
    path, model = saved
    loaded = load_model(path, Small)
    assert loaded.config == model.config and not loaded.training
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    assert not any(tensor.is_meta for tensor in loaded.state_dict().values())
    assert read_header(path).provenance == {"data": "none"}


def test_floats_are_stored_in_16_bits_and_loaded_in_32(saved, tmp_path):
    _, model = saved
    path = tmp_path / "half.safetensors"
    save_model(path, model, {})
    assert path.stat().st_size < saved[0].stat().st_size
    loaded = load_model(path, Small)
    assert loaded.layer.weight.dtype == torch.float32
    assert torch.equal(loaded.layer.weight, model.layer.weight.half().float())


def test_another_kind_is_refused_by_name(saved):
    with pytest.raises(ModelError, match="holds a Small, a Other is needed"):
        load_model(saved[0], Other)


def test_a_missing_a_foreign_and_a_damaged_file_each_say_so(saved, tmp_path):
    with pytest.raises(ModelError, match="no weight file"):
        load_model(tmp_path / "absent.safetensors", Small)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"x": torch.zeros(1)}, foreign)
    with pytest.raises(ModelError, match="format None"):
        load_model(foreign, Small)
    whole = saved[0].read_bytes()
    for damaged in (b"", b"text", whole[: len(whole) // 2]):
        foreign.write_bytes(damaged)
        with pytest.raises(ModelError, match="damaged"):
            load_model(foreign, Small)


def test_a_file_with_missing_weights_or_unknown_settings_is_refused(saved, tmp_path):
    path, model = saved
    state = model.state_dict()
    state.pop("layer.bias")
    save_model(path, model, {}, state=state)
    with pytest.raises(ModelError, match=r"layer\.bias"):
        load_model(path, Small)
    metadata = checkpoint.read_metadata(path) | {"config": json.dumps({"depth": 3})}
    save_tensors(path, model.state_dict(), metadata)
    with pytest.raises(ModelError, match="depth"):
        load_model(path, Small)


def test_a_failed_save_leaves_the_older_file_and_nothing_else(saved, monkeypatch):
    path, model = saved
    before = path.read_bytes()

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "replace", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_model(path, model, {})
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_files_are_as_readable_as_others(saved):
    plain = saved[0].with_name("plain")
    plain.write_text("")
    assert stat.S_IMODE(saved[0].stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_files_name_the_release_that_wrote_them():
    project = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    assert f'\nversion = "{checkpoint.VERSION}"\n' in project
