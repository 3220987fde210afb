"""ComfyUI may load a part of a network: the rest works from where it lies, with the same result."""

import json
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("partial_loading.py")


@pytest.fixture(scope="module")
def report(host_environment, tmp_path_factory) -> dict[str, dict[str, float]]:
    run = subprocess.run(
        [host_environment.python, SCRIPT, host_environment.comfyui, tmp_path_factory.mktemp("own")],
        env=host_environment.variables(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", ["predictor", "expert", "renderer"])
@pytest.mark.parametrize("memory", ["little", "none"])
def test_where_memory_is_short_layers_stay_off_the_device(report, name, memory):
    assert 0 < report[name][memory] < 0.9


@pytest.mark.parametrize("memory", ["little", "none", "plenty"])
def test_a_network_of_other_layers_is_wholly_on_the_device(report, memory):
    assert report["encoder"][memory] == 1


@pytest.mark.parametrize("name", ["predictor", "expert", "renderer"])
def test_with_plenty_of_memory_all_of_a_network_is_on_the_device(report, name):
    assert report[name]["plenty"] == 1


@pytest.mark.parametrize("name", ["encoder", "predictor", "expert", "renderer"])
def test_a_part_computes_what_the_whole_does(report, name):
    assert report[name]["difference"] == 0
