"""A graph as the browser saves it becomes what the server runs, with the user's files in it."""

from pathlib import Path
from typing import Any

import pytest

from tools.hosting.own_files import OwnFiles, UnusableFile, put_in
from tools.hosting.ui_workflow import BYPASSED, MUTED, UnreadableWorkflow, api_graph

STYLE = "LIPSTYLE_LIP_STYLE"
PREDICTOR = "LIPSTYLE_MOTION_PREDICTOR"


def described(output: list[str], required: dict, optional: dict | None = None) -> dict[str, Any]:
    return {
        "name": "Name",
        "display_name": "Title",
        "input": {"required": required, "optional": optional or {}},
        "output": output,
    }


OBJECT_INFO = {
    "LoadVideo": described(["VIDEO"], {"file": [["demo.mp4"], {"video_upload": True}]}),
    "LoadAudio": described(["AUDIO"], {"audio": [["demo.wav"], {"audio_upload": True}]}),
    "Sampler": described(
        ["LATENT"],
        {
            "video": ["VIDEO", {}],
            "seed": ["INT", {"control_after_generate": True}],
            "steps": ["INT", {"default": 4}],
            "policy": ["COMBO", {"options": ["cut", "freeze"]}],
        },
        {"style": [STYLE, {}], "strength": ["FLOAT", {"default": 1.0}]},
    ),
    "Save": described([], {"latent": ["LATENT"]}),
    "Upscale": described(["VIDEO"], {"amount": ["FLOAT"], "video": ["VIDEO"]}),
    "LipSync": described(
        ["VIDEO"],
        {"predictor": [PREDICTOR], "video": ["VIDEO"], "audio": ["AUDIO"], "seed": ["INT", {}]},
        {"style": [STYLE]},
    ),
    "LoadPredictor": described([PREDICTOR], {"file": [["p.safetensors"], {}]}),
    "LipStyleLoadStyle": described([STYLE], {"file": ["COMBO", {"options": ["d.safetensors"]}]}),
    "LipStyleLoadReferenceClip": described(
        ["VIDEO", "AUDIO"],
        {"file": ["COMBO", {"options": ["demo.mp4"]}], "start": ["FLOAT", {"default": 0.0}]},
    ),
    "LipStyleStyleReference": described(
        [STYLE],
        {"predictor": [PREDICTOR], "video": ["VIDEO"]},
        {"extend": [STYLE]},
    ),
}


def widget(name: str, link: int | None = None) -> dict[str, Any]:
    return {"name": name, "type": "*", "widget": {"name": name}, "link": link}


def socket(name: str, wire_type: str, link: int | None = None) -> dict[str, Any]:
    return {"name": name, "type": wire_type, "link": link}


def saved(number: int, node_type: str, inputs: list, values: Any = None, **more: Any) -> dict:
    return {"id": number, "type": node_type, "inputs": inputs, "widgets_values": values, **more}


def sampler(link: int | None, **more: Any) -> dict[str, Any]:
    names = [widget(name) for name in ("seed", "steps", "policy", "strength")]
    inputs = [socket("video", "VIDEO", link), socket("style", STYLE), *names]
    return saved(9, "Sampler", inputs, [42, "randomize", 4, "freeze", 0.5], **more)


def load_video(number: int = 1) -> dict[str, Any]:
    return saved(number, "LoadVideo", [widget("file"), widget("upload")], ["demo.mp4", "image"])


def workflow(nodes: list, links: list) -> dict[str, Any]:
    return {"nodes": nodes, "links": links, "version": 0.4}


def inputs_of(converted: dict[str, Any], number: str) -> dict[str, Any]:
    return converted[number]["inputs"]


def test_values_meet_their_inputs_past_the_browsers_own_widgets():
    graph = api_graph(workflow([load_video(), sampler(5)], [[5, 1, 0, 9, 0, "VIDEO"]]), OBJECT_INFO)
    assert inputs_of(graph, "1") == {"file": "demo.mp4"}
    assert inputs_of(graph, "9") == {
        "video": ["1", 0],
        "seed": 42,
        "steps": 4,
        "policy": "freeze",
        "strength": 0.5,
    }


def test_a_seed_without_its_after_run_widget_takes_one_value():
    node = sampler(None)
    node["widgets_values"].remove("randomize")
    assert inputs_of(api_graph(workflow([node], []), OBJECT_INFO), "9")["steps"] == 4


def test_graphs_of_older_browsers_name_no_widgets_on_sockets():
    node = sampler(None)
    node["inputs"] = [socket("video", "VIDEO"), socket("style", STYLE)]
    converted = inputs_of(api_graph(workflow([node], []), OBJECT_INFO), "9")
    assert converted == {"seed": 42, "steps": 4, "policy": "freeze", "strength": 0.5}


def test_values_may_be_saved_by_name():
    node = sampler(None)
    node["widgets_values"] = {"steps": 7, "preview": {"hidden": True}}
    assert inputs_of(api_graph(workflow([node], []), OBJECT_INFO), "9") == {"steps": 7}


def test_a_link_on_a_widget_replaces_its_value():
    node = sampler(5)
    node["inputs"][3]["link"] = 6
    graph = workflow([load_video(), node], [[5, 1, 0, 9, 0, "VIDEO"], [6, 1, 0, 9, 3, "INT"]])
    assert inputs_of(api_graph(graph, OBJECT_INFO), "9")["steps"] == ["1", 0]


def test_notes_and_muted_nodes_are_left_out_and_so_are_links_to_them():
    muted = {**load_video(), "mode": MUTED}
    nodes = [muted, sampler(5), saved(3, "Note", [], ["a note"]), saved(4, "MarkdownNote", [])]
    graph = api_graph(workflow(nodes, [[5, 1, 0, 9, 0, "VIDEO"]]), OBJECT_INFO)
    assert list(graph) == ["9"]
    assert "video" not in inputs_of(graph, "9")


def test_a_bypassed_node_hands_on_its_input_of_the_same_type():
    upscale = saved(2, "Upscale", [socket("amount", "FLOAT"), socket("video", "VIDEO", 4)], [2.0])
    nodes = [load_video(), {**upscale, "mode": BYPASSED}, sampler(5)]
    links = [[4, 1, 0, 2, 1, "VIDEO"], [5, 2, 0, 9, 0, "VIDEO"]]
    graph = api_graph(workflow(nodes, links), OBJECT_INFO)
    assert inputs_of(graph, "9")["video"] == ["1", 0]
    assert "2" not in graph


def test_reroutes_and_primitives_are_followed():
    reroute = saved(2, "Reroute", [socket("", "*", 4)])
    primitive = saved(3, "PrimitiveNode", [], [11, "fixed"])
    node = sampler(5)
    node["inputs"][3]["link"] = 6
    links = [[4, 1, 0, 2, 0, "VIDEO"], [5, 2, 0, 9, 0, "VIDEO"], [6, 3, 0, 9, 3, "INT"]]
    graph = api_graph(workflow([load_video(), reroute, primitive, node], links), OBJECT_INFO)
    assert set(graph) == {"1", "9"}
    assert inputs_of(graph, "9")["video"] == ["1", 0]
    assert inputs_of(graph, "9")["steps"] == 11


def test_a_saved_files_name_may_hold_another_nodes_input():
    save = saved(3, "SaveVideo", [widget("filename_prefix")], ["video/%1 Line.file%-%Other.x%"])
    info = {**OBJECT_INFO, "SaveVideo": described([], {"filename_prefix": ["STRING", {}]})}
    line = {**load_video(), "title": "1 Line", "widgets_values": ["lines/a:1.wav"]}
    graph = api_graph(workflow([line, save], []), info)
    assert inputs_of(graph, "3") == {"filename_prefix": "video/lines_a_1.wav-%Other.x%"}


def test_a_graph_in_the_servers_form_stays_as_it_is():
    graph = {"1": {"class_type": "Anything", "inputs": {}}}
    assert api_graph(graph, {}) is graph


@pytest.mark.parametrize("content", [{}, {"title": "x"}, {"1": {"inputs": {}}}])
def test_what_is_no_workflow_is_refused(content: dict):
    with pytest.raises(UnreadableWorkflow, match="no ComfyUI workflow"):
        api_graph(content, OBJECT_INFO)


def test_an_unknown_node_type_is_named():
    with pytest.raises(UnreadableWorkflow, match="no node type TheirNode"):
        api_graph(workflow([saved(1, "TheirNode", [])], []), OBJECT_INFO)


def test_subgraphs_are_refused_with_a_way_out():
    graph = workflow([saved(1, "some-uuid", [])], [])
    graph["definitions"] = {"subgraphs": [{"id": "some-uuid"}]}
    with pytest.raises(UnreadableWorkflow, match=r"Export \(API\)"):
        api_graph(graph, OBJECT_INFO)


# The user's own files


def demo_graph() -> dict[str, Any]:
    links = {"predictor": ["3", 0], "video": ["1", 0], "audio": ["2", 0], "style": ["4", 0]}
    return {
        "1": {"class_type": "LoadVideo", "inputs": {"file": "demo.mp4"}},
        "2": {"class_type": "LoadAudio", "inputs": {"audio": "demo.wav"}},
        "3": {"class_type": "LoadPredictor", "inputs": {"file": "p.safetensors"}},
        "4": {"class_type": "LipStyleLoadStyle", "inputs": {"file": "d.safetensors"}},
        "5": {"class_type": "LipSync", "inputs": {**links, "seed": 1}},
    }


@pytest.fixture
def user_file(tmp_path: Path):
    def write(name: str, content: bytes = b"content") -> Path:
        path = tmp_path / "user" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return write


def test_video_and_audio_are_copied_and_named_in_the_graph(tmp_path: Path, user_file):
    own = OwnFiles(video=user_file("me.mp4", b"pictures"), audio=user_file("me.flac", b"sound"))
    graph = put_in(demo_graph(), own, tmp_path, OBJECT_INFO)
    video, audio = graph["1"]["inputs"]["file"], graph["2"]["inputs"]["audio"]
    assert (tmp_path / "input" / video).read_bytes() == b"pictures"
    assert (tmp_path / "input" / audio).read_bytes() == b"sound"
    assert graph["5"] == demo_graph()["5"]


def test_the_seed_goes_to_every_node_that_has_one(tmp_path: Path):
    original = demo_graph()
    graph = put_in(original, OwnFiles(seed=99), tmp_path, OBJECT_INFO)
    assert graph["5"]["inputs"]["seed"] == 99
    assert "seed" not in graph["1"]["inputs"]
    assert original == demo_graph()


def test_a_style_file_takes_the_place_of_the_workflows(tmp_path: Path, user_file):
    own = OwnFiles(style=user_file("mine.safetensors", b"style"))
    graph = put_in(demo_graph(), own, tmp_path, OBJECT_INFO)
    number, slot = graph["5"]["inputs"]["style"]
    assert graph[number]["class_type"] == "LipStyleLoadStyle" and slot == 0
    name = graph[number]["inputs"]["file"]
    assert (tmp_path / "models/lipstyle" / name).read_bytes() == b"style"
    assert "4" not in graph


def test_a_style_clip_is_measured_with_the_workflows_predictor(tmp_path: Path, user_file):
    own = OwnFiles(video=user_file("clip.mp4", b"target"))
    (other := tmp_path / "elsewhere").mkdir()
    (other / "clip.mp4").write_bytes(b"style")
    own = OwnFiles(video=own.video, style=other / "clip.mp4")
    graph = put_in(demo_graph(), own, tmp_path, OBJECT_INFO)
    style = graph[graph["5"]["inputs"]["style"][0]]
    assert style["class_type"] == "LipStyleStyleReference"
    assert style["inputs"]["predictor"] == ["3", 0]
    assert "extend" not in style["inputs"]
    clip = graph[style["inputs"]["video"][0]]
    assert clip["class_type"] == "LipStyleLoadReferenceClip"
    assert clip["inputs"]["start"] == 0.0
    assert (tmp_path / "input" / clip["inputs"]["file"]).read_bytes() == b"style"
    assert (tmp_path / "input" / graph["1"]["inputs"]["file"]).read_bytes() == b"target"


def test_a_style_goes_into_a_workflow_that_had_none(tmp_path: Path, user_file):
    graph = demo_graph()
    del graph["4"], graph["5"]["inputs"]["style"]
    own = OwnFiles(style=user_file("mine.safetensors"))
    assert "style" in put_in(graph, own, tmp_path, OBJECT_INFO)["5"]["inputs"]


@pytest.mark.parametrize("nodes", [0, 2])
def test_a_workflow_without_one_clear_place_for_a_video_says_so(
    tmp_path: Path, user_file, nodes: int
):
    graph = {str(i): {"class_type": "LoadVideo", "inputs": {"file": "x"}} for i in range(nodes)}
    with pytest.raises(UnusableFile, match=f"has {nodes} LoadVideo nodes"):
        put_in(graph, OwnFiles(video=user_file("me.mp4")), tmp_path, OBJECT_INFO)


def test_of_several_sounds_the_one_titled_new_speech_is_replaced(tmp_path: Path, user_file):
    titles = {"1": "4 Background", "2": "2 New speech"}
    graph: dict[str, Any] = {
        number: {"class_type": "LoadAudio", "inputs": {"audio": "x"}, "_meta": {"title": title}}
        for number, title in titles.items()
    }
    graph = put_in(graph, OwnFiles(audio=user_file("me.wav")), tmp_path, OBJECT_INFO)
    assert graph["1"]["inputs"]["audio"] == "x"
    assert graph["2"]["inputs"]["audio"] == "audio-me.wav"


def test_a_workflow_that_takes_no_style_says_so(tmp_path: Path, user_file):
    graph = {"1": {"class_type": "LoadVideo", "inputs": {"file": "x"}}}
    with pytest.raises(UnusableFile, match="takes a style"):
        put_in(graph, OwnFiles(style=user_file("mine.safetensors")), tmp_path, OBJECT_INFO)


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(UnusableFile, match=r"There is no file .*gone\.mp4"):
        OwnFiles(video=tmp_path / "gone.mp4").check()
