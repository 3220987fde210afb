"""What people complain of in other lip-sync packs, and that it cannot happen here: the pack.

docs/rivals.md numbers the complaints and links to where they were made. Its own ComfyUI runs here:
beside it stands a pack that looks into the host, and ours comes without any weight file.
"""

import ast
import json
import re
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from node_graphs import (
    PREDICTOR,
    SILENT_FACE,
    SPEECH,
    Graph,
    lip_sync,
    made,
    noise,
    output,
    predictor,
    provide_files,
    save_video,
    speech,
    video,
)
from packaging.requirements import Requirement
from synthetic_media import write_sound
from test_nodes import NODE_CLASSES

from lipsync_core.media.audio_file import read_audio
from lipsync_core.media.file_clip import open_clip
from tools.hosting.client import GraphRefused
from tools.hosting.environment import PACK, Environment
from tools.hosting.server import ComfyServer, running_server

HEAVY_OR_FRAGILE = {
    "3 insightface does not build": {"insightface", "onnxruntime", "onnx"},
    "4 no wheel for this Python": {"mediapipe", "decord", "face_alignment", "dlib"},
    "12 mmcv does not install": {"mmcv", "mmpose", "mmdet", "mmengine", "tensorflow"},
    "13 torchaudio without torchcodec": {"torchaudio", "torchcodec", "torchvision"},
}
WINDOW = '''
"""Looks into the host."""
import json


class Window:
    RETURN_TYPES = ()
    FUNCTION = "look"
    OUTPUT_NODE = True
    INPUT_TYPES = classmethod(lambda cls: {"required": {}, "optional": {"after": ("*",)}})
    IS_CHANGED = classmethod(lambda cls, **_: float("nan"))
    VALIDATE_INPUTS = classmethod(lambda cls, input_types=None: True)

    def look(self, after=None):
        import comfy.model_management as management
        import folder_paths

        def loaded():
            return [type(one.model.model).__name__ for one in management.current_loaded_models]

        seen = {"models": loaded(), "temp": folder_paths.get_temp_directory()}
        management.unload_all_models()
        seen["left"] = loaded()
        return {"ui": {"text": [json.dumps(seen)]}}


NODE_CLASS_MAPPINGS = {"TestWindow": Window}
'''


def code_of_the_pack() -> Iterator[tuple[Path, ast.Module]]:
    """What is shipped and can run inside ComfyUI."""
    for path in (PACK / "__init__.py", *(PACK / "nodes").rglob("*.py")):
        yield path, ast.parse(path.read_text("utf-8"))
    for path in (PACK / "lipsync_core").rglob("*.py"):
        if path.relative_to(PACK).parts[1] not in {"evaluation", "training", "synthesis"}:
            yield path, ast.parse(path.read_text("utf-8"))


@pytest.mark.parametrize("complaint", HEAVY_OR_FRAGILE)
def test_complaint_of_installing(complaint):
    """3: LatentSyncWrapper#177, #195; comfyui-reactor-node#233, #219; PhotoMaker-Plus#46.
    4: LatentSyncWrapper#231, PR#168; LatentSync#299. 12: ComfyUI-MuseTalk#21, #23, #18;
    MuseTalk_FSH#9. 13: ComfyUI_Sonic PR#124; F5-TTS#68; Whisper#28, #32.
    Such packages are neither asked for nor imported, at whatever depth."""
    asked = {Requirement(line).name for line in (PACK / "requirements.txt").read_text().split()}
    assert not {name.replace("-", "_") for name in asked} & HEAVY_OR_FRAGILE[complaint]
    for path, tree in code_of_the_pack():
        for node in ast.walk(tree):
            names = [alias.name for alias in getattr(node, "names", [])]
            if isinstance(node, ast.ImportFrom):
                names = [] if node.level else [node.module or ""]
            elif not isinstance(node, ast.Import):
                continue
            used = {name.split(".")[0] for name in names}
            assert not used & HEAVY_OR_FRAGILE[complaint], f"{path} line {node.lineno}"


def test_complaint_5_nothing_that_is_installed_is_moved():
    """mediapipe#6078; LivePortraitKJ#170; WanVideoWrapper#961: numpy and others pinned, so that
    other packs break. No requirement has an upper end, and what is installed here meets each, so
    pip changes nothing of it."""
    for line in (PACK / "requirements.txt").read_text().splitlines():
        wanted = Requirement(line)
        assert {part.operator for part in wanted.specifier} <= {">="}, line
        try:
            found = version(wanted.name)
        except PackageNotFoundError:
            assert wanted.name in {"opencv-python", "comfyui-frontend-package"}, line
            continue
        assert wanted.specifier.contains(found), f"{line}: {found} is installed"


# In ComfyUI


@pytest.fixture(scope="module")
def bare(
    host_environment: Environment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ComfyServer]:
    """A ComfyUI whose pack has no weights, beside a pack that looks into the host."""
    base = tmp_path_factory.mktemp("bare")
    pack = base / "pack"
    pack.mkdir()
    shutil.copy(PACK / "__init__.py", pack)
    for part in ("nodes", "lipsync_core", "locales", "web"):
        shutil.copytree(PACK / part, pack / part, ignore=shutil.ignore_patterns("__pycache__"))
    window = base / "comfyui/custom_nodes/window"
    window.mkdir(parents=True)
    (window / "__init__.py").write_text(WINDOW)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tools.hosting.server.PACK", pack)
        with running_server(host_environment, base / "comfyui") as server:
            yield server


@pytest.fixture(scope="module")
def host(bare: ComfyServer) -> ComfyServer:
    """The same with tiny weights, which came while it ran."""
    return provide_files(bare)


def seen(server: ComfyServer) -> dict:
    """What the window shows."""
    graph = Graph()
    graph.add("TestWindow")
    return json.loads(server.run(graph, timeout=60)["1"]["text"][0])


def spoken(seed: int = 0) -> Graph:
    graph = Graph()
    return save_video(graph, lip_sync(graph, video(graph), speech(graph, SPEECH), seed=seed))


@pytest.mark.server
def test_complaint_11_a_missing_model_is_said_on_its_loader(bare):
    """ComfyUI_wav2lip#6, #20, #61: paths written into the code, and a missing model is an import
    failure. (Runs first: later tests bring weights.)"""
    assert bare.loading_error() is None
    assert set(NODE_CLASSES) <= set(bare.object_info())
    write_sound(bare.input / "said.wav", noise(0.5), "pcm_s16le")
    graph = Graph()
    loaded = predictor(graph)
    heard = graph.add(
        "LipStyleEncodeSpeech", predictor=loaded, audio=graph.add("LoadAudio", audio="said.wav")
    )
    graph.add("PreviewAny", source=heard)
    with pytest.raises(GraphRefused) as refusal:
        bare.submit(graph)
    assert set(refusal.value.node_errors) == {loaded[0]}
    assert f"there is no file '{PREDICTOR}' in models/lipstyle" in str(refusal.value)


def test_complaint_11_no_path_of_one_machine_is_in_the_code():
    r"""The same, and LatentSyncWrapper's D:\ComfyUI_windows."""
    for path, tree in code_of_the_pack():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                rooted = re.match(
                    r"[A-Za-z]:[\\/]|/(home|Users|mnt|content|root|tmp)\b", node.value
                )
                assert not rooted, f"{path} line {node.lineno}"


@pytest.mark.server
def test_complaint_10_the_temp_folder_stays_where_and_as_it_is(host):
    """LatentSyncWrapper#167, #185, #126, #151, #65: ComfyUI's temp folder is deleted, and another
    put in its place. Files of others are there after a run, and the host names the same folder."""
    others = host.base / "temp/another_pack/keep.bin"
    others.parent.mkdir(parents=True)
    others.write_bytes(b"kept")
    assert Path(seen(host)["temp"]) == host.base / "temp"
    made(host, spoken(seed=1))
    assert Path(seen(host)["temp"]) == host.base / "temp"
    assert others.read_bytes() == b"kept"


@pytest.mark.server
def test_also_complained_of_memory_is_the_hosts_to_give_back(host):
    """ComfyUI#7277, #7071; KJNodes#62: networks that the host does not know of stay on the card.
    After a run it knows all three of ours, what its button calls lets go of them, and the next run
    has them again."""
    for seed in (2, 5):
        graph = spoken(seed)
        made_here = next(n for n, node in graph.items() if node["class_type"] == "LipStyleLipSync")
        window = graph.add("TestWindow", after=[made_here, 0])
        there = json.loads(host.run(graph, timeout=120)[window[0]]["text"][0])
        assert there["models"].count("LipStyleNetwork") == 3
        assert "LipStyleNetwork" not in there["left"]


@pytest.mark.server
def test_also_complained_of_a_cancel_lets_the_next_run_begin(host):
    """HiDream-Sampler#104; LongLook#3: cancel does nothing. The run ends where it is, without a
    video, and the one that waited behind it is made."""
    with host.events("canceller") as events:
        long = Graph()
        said = long.add("EmptyAudio", duration=60.0, sample_rate=16000, channels=1)
        save_video(long, lip_sync(long, video(long), said, policy="loop", seed=3))
        first, second = host.submit(long, "canceller"), host.submit(spoken(seed=4), "canceller")
        events.set_timeout(120)
        for event in events:
            if isinstance(event, dict) and event["type"] == "progress":
                break
    host.interrupt()
    assert host.wait(first, timeout=60)["status"]["messages"][-1][0] == "execution_interrupted"
    assert len(host.output_files(host.outputs(host.wait(second, timeout=120)))) == 1


@pytest.mark.server
def test_also_complained_of_a_silent_clip_is_spoken_over(host):
    """VHS PR#718: a clip without sound, out of the core's loader into Lip Sync."""
    graph = Graph()
    silent = video(graph, SILENT_FACE)
    parts = graph.add("GetVideoComponents", video=silent)
    again = graph.add("CreateVideo", images=parts, audio=output(parts, 1), fps=25.0)
    path = made(host, save_video(graph, lip_sync(graph, again, speech(graph, SPEECH))))
    assert open_clip(path).frame_count == 30 and read_audio(path).waveform.abs().max() > 0.05


@pytest.mark.server
def test_also_complained_of_ids_do_not_meet_those_of_others(host):
    """LatentSyncWrapper#15, #25: two packs with nodes of one name. Every id and type of ours begins
    with the pack's name, and all others are still those of the host."""
    nodes = host.object_info()
    ours = {name for name, info in nodes.items() if "lipstyle" in info["python_module"]}
    assert ours == set(NODE_CLASSES) and all(name.startswith("LipStyle") for name in ours)
    shared = {"IMAGE", "MASK", "AUDIO", "VIDEO", "LATENT", "STRING", "FLOAT", "FACE_LANDMARKS"}
    for name in ours:
        made_by_us = {kind for kind in nodes[name]["output"] if not kind.startswith("LIPSTYLE_")}
        assert made_by_us <= shared, name
    assert nodes["LoadAudio"]["python_module"] == "comfy_extras.nodes_audio"
