"""Run by test_partial_loading.py in the host's environment: networks of which ComfyUI loads a part.

    python tests/partial_loading.py COMFYUI FOLDER

Without an accelerator, torch's "meta" device stands for one: it computes shapes only, and refuses
what lies elsewhere, as an accelerator does. Writes, as JSON, per network the share of its bytes
that is on the device for little memory, for none (--novram) and for plenty; and how far its outputs
are from those of torch's own layers when ComfyUI's fetch their weights at each call (on the CPU).
"""

import importlib.util
import json
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

PACK = Path(__file__).resolve().parents[1]
COMFYUI, FOLDER = Path(sys.argv[1]), Path(sys.argv[2])
del sys.argv[1:]
sys.path[:0] = [str(COMFYUI), str(PACK), str(PACK / "tests")]

from comfy.cli_args import args  # noqa: E402

args.cpu = True

import tiny_recogniser  # noqa: E402
from comfy import model_management as management  # noqa: E402
from tiny_models import save_tiny_judge, save_tiny_models  # noqa: E402

from lipsync_core.audio.encoder import load_speech_encoder  # noqa: E402
from lipsync_core.checkpoint import load_model  # noqa: E402
from lipsync_core.motion.predictor import MotionPredictor  # noqa: E402
from lipsync_core.render.renderer import LipRenderer  # noqa: E402
from lipsync_core.render.unet import Conditioning  # noqa: E402
from lipsync_core.sync.expert import SyncExpert  # noqa: E402

PREDICTOR, RENDERER = save_tiny_models(FOLDER)
EXPERT = "expert.safetensors"
save_tiny_judge(FOLDER / EXPERT)
HAMA = tiny_recogniser.write_hama(FOLDER / "asr_waveform.hama", tiny_recogniser.arrays())


def nodes_host():
    """nodes/host.py, as a part of the pack."""
    place = importlib.util.spec_from_file_location(
        "lipstyle", PACK / "__init__.py", submodule_search_locations=[str(PACK)]
    )
    assert place is not None and place.loader is not None
    pack = sys.modules["lipstyle"] = importlib.util.module_from_spec(place)
    # Not nodes/__init__.py: its nodes are not wanted.
    nodes = sys.modules["lipstyle.nodes"] = type(sys)("lipstyle.nodes")
    nodes.__path__ = [str(PACK / "nodes")]
    place.loader.exec_module(pack)
    return importlib.import_module("lipstyle.nodes.host")


host = nodes_host()


def network(name: str, operations) -> nn.Module:
    if name == "encoder":
        return load_speech_encoder(HAMA)
    files = {"predictor": (PREDICTOR, MotionPredictor), "renderer": (RENDERER, LipRenderer)}
    file, model_class = files.get(name, (EXPERT, SyncExpert))
    return load_model(FOLDER / file, model_class, operations)


def outputs(name: str, model: nn.Module, device: torch.device) -> list[Tensor]:
    """What a network makes of random numbers on a device."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(device)

    yes = torch.ones(1, 2, 20, dtype=torch.bool, device=device)
    if name == "encoder":
        return [model(random(1, 160000))]
    config = model.config
    if name == "predictor":
        spoken = random(1, 2, 20, config.speech_width), random(1, 2, 20, config.motion_size)
        return [*model(*spoken, yes, yes[..., :2], yes)]
    if name == "expert":
        return [*model(random(1, 20, 40, 3), random(1, 20, config.speech_width), yes[:, 0])]
    latents = model.encode_masked(random(2, 3, 128, 128))
    condition = Conditioning(
        masked=latents,
        mask=model.latent_mask(),
        motion=random(2, config.motion_window_steps, config.motion_dim),
        choice=torch.tensor([[0, 1], [1, 0]], device=device),
        usable=torch.ones(2, 2, dtype=torch.bool, device=device),
        shown=random(2, 2, config.motion_dim),
        distance=random(2, 2).abs(),
    )
    drawn = model(random(*latents.shape), random(2).abs(), latents, condition)
    return [drawn, model.decode(drawn)]


def share_on_device(name: str, state, free: int) -> float:
    """Lends a network as the nodes do, with `free` bytes of the device, and has it compute."""
    device = torch.device("meta")
    management.vram_state = state
    management.get_torch_device = lambda: device
    management.unet_offload_device = lambda: torch.device("cpu")
    management.get_free_memory = lambda device, torch_free_too=False: (
        (free, free) if torch_free_too else free
    )
    hosted = host.HostedModel(network(name, host.operations()))
    with host.on_device(hosted) as (model,):
        assert all(x.device == device for x in outputs(name, model, device))
        tensors = model.state_dict().values()
        there = sum(x.nbytes for x in tensors if x.device == device)
    assert hosted.patcher.loaded_size() == there
    management.current_loaded_models.clear()
    return there / hosted.patcher.model_size()


def largest_difference(name: str) -> float:
    """Of a network that fetches weights, was freed in part, and is whole again."""
    cpu = torch.device("cpu")
    expected = outputs(name, network(name, nn), cpu)
    management.get_torch_device = management.unet_offload_device = lambda: cpu
    hosted = host.HostedModel(network(name, host.operations()))
    patcher, differences = hosted.patcher, []

    def compare(fetching: bool) -> None:
        layers = [m for m in hosted.network.modules() if hasattr(m, "comfy_cast_weights")]
        assert all(m.comfy_cast_weights == fetching for m in layers)
        found = outputs(name, hosted.network, cpu)
        differences.extend((x - y).abs().max().item() for x, y in zip(found, expected, strict=True))

    patcher.load(cpu, lowvram_model_memory=1)
    patcher.model.bring_the_rest(cpu)
    compare(fetching=True)
    patcher.detach()
    with host.on_device(hosted):
        compare(fetching=False)
        patcher.partially_unload(cpu, patcher.model_size())
        compare(fetching=True)
    with host.on_device(hosted):
        compare(fetching=False)
    management.current_loaded_models.clear()
    return max(differences)


states = management.VRAMState
report = {}
with torch.no_grad():
    for name in ("encoder", "predictor", "expert", "renderer"):
        report[name] = {
            "difference": largest_difference(name),
            "little": share_on_device(name, states.NORMAL_VRAM, 1000),
            "none": share_on_device(name, states.NO_VRAM, 10**10),
            "plenty": share_on_device(name, states.NORMAL_VRAM, 10**10),
        }
        management.vram_state = states.DISABLED
sys.stdout.write(json.dumps(report))
