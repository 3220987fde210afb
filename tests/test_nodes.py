"""The nodes as written: ids, search words, imports. (test_nodes_server.py has them running.)"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "nodes").glob("*.py"))


def node_classes() -> dict[str, ast.ClassDef]:
    """The classes of nodes by their ids, found as registries find them: a base called ComfyNode,
    and a call of Schema with the id in letters."""
    found: dict[str, ast.ClassDef] = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and "io.ComfyNode" in map(ast.unparse, node.bases):
                found[schema_text(node, "node_id")] = node
    return found


def schema_text(node: ast.ClassDef, field: str) -> str:
    """A text given to the call of Schema in a class."""
    calls = [c for c in ast.walk(node) if isinstance(c, ast.Call)]
    schema = next(c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "Schema")
    value = next(k.value for k in schema.keywords if k.arg == field)
    return ast.literal_eval(value)


def method(node: ast.ClassDef, name: str) -> ast.FunctionDef | None:
    functions = [f for f in node.body if isinstance(f, ast.FunctionDef)]
    return next((f for f in functions if f.name == name), None)


NODE_CLASSES = node_classes()
each_node = pytest.mark.parametrize("node_id", sorted(NODE_CLASSES))


def test_all_nodes_of_the_method_are_there():
    assert set(NODE_CLASSES) == {
        f"LipStyle{name}"
        for name in (
            "LipSync", "LoadMotionPredictor", "LoadLipRenderer", "LoadReferenceClip",
            "StyleReference", "LoadStyle", "SaveStyle", "EncodeSpeech", "PredictLipMotion",
            "FitClipToSpeech", "TrackFace", "SampleLipRenderer", "DecodeLipLatents",
            "CompositeFace", "ScoreLipSync", "BlendStyles", "PlotLipMotion",
        )
    }  # fmt: skip


@each_node
def test_an_id_is_the_name_of_its_class(node_id):
    assert node_id == f"LipStyle{NODE_CLASSES[node_id].name}"


@each_node
def test_a_node_can_be_found_by_other_words(node_id):
    assert len(schema_text(NODE_CLASSES[node_id], "search_aliases")) >= 3


@each_node
def test_a_node_that_reads_a_file_notices_when_it_changes(node_id):
    node = NODE_CLASSES[node_id]
    execute = method(node, "execute")
    assert execute is not None
    if "file" in [argument.arg for argument in execute.args.args]:
        assert method(node, "fingerprint_inputs"), "a changed file must be read again"
        assert method(node, "validate_inputs"), "a name that leads nowhere must be refused"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_pack_imports_itself_relatively(path):
    """ComfyUI loads it under its folder's path as name: there is no package `lipsync_core`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and not node.level:
            assert (node.module or "").split(".")[0] not in {"lipsync_core", "nodes"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_services_that_need_a_device_are_imported_where_they_are_used(path):
    """`comfy.model_management` looks for a graphics card when it is imported."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [a.name for a in node.names] + [getattr(node, "module", None) or ""]
            assert not any(name.split(".")[0] == "comfy" for name in modules)
