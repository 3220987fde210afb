"""Who may import whom, what the core may not touch, and how long a file may be."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE, NODES = ROOT / "lipsync_core", ROOT / "nodes"

BASE = {
    "types", "errors", "landmarks", "crop_geometry", "canonical_pose", "operations", "checkpoint",
    "frame_memory", "media",
}  # fmt: skip
STAGES = {"face", "audio", "motion", "render", "compositing"}
JUDGES = {"sync"}
MAY_IMPORT = {
    "types": set(),
    "errors": set(),
    "landmarks": set(),
    "crop_geometry": {"landmarks"},
    "canonical_pose": {"landmarks", "types", "errors"},
    "operations": set(),
    "checkpoint": {"errors", "operations"},
    "frame_memory": set(),
    "media": {"types", "errors", "frame_memory"},
    "weights": {"types", "errors"},
    **{stage: BASE for stage in STAGES},
    "steps": BASE | STAGES | {"pipeline"},
    "pipeline": BASE | STAGES | {"weights"},
    "resuming": BASE | {"pipeline"},
    "sync": BASE,
    "synthesis": BASE | STAGES,
    "training": BASE | STAGES | JUDGES,
    "evaluation": BASE | STAGES | JUDGES | {"pipeline", "training", "weights"},
    "commands": BASE
    | STAGES
    | JUDGES
    | {"pipeline", "training", "evaluation", "synthesis", "weights"},
    "__main__": {"commands", "errors"},
}
HEAVY = {
    "cv2", "kornia", "librosa", "transformers", "diffusers", "ai_edge_litert", "av", "matplotlib",
    "accelerate",
}  # fmt: skip
HOST_PACKAGES = {"comfy", "comfy_api", "comfy_execution", "folder_paths", "nodes", "server"}
SOURCES = sorted(
    path
    for folder in (CORE, NODES, ROOT / "tools", ROOT / "benchmarks", ROOT / "tests")
    for path in folder.rglob("*.py")
)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def absolute_imports(nodes) -> set[str]:
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module.split(".")[0])
    return names


def imported_units(path: Path) -> set[str]:
    """The parts of lipsync_core that a file of it imports, by their first name."""
    package = path.relative_to(CORE).parent.parts
    units: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            units |= {(*base, *name.split("."))[0] for name in names}
    return units


def identify(path: Path) -> str:
    return str(path.relative_to(ROOT))


core_files = pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=identify)


@core_files
def test_imports_follow_the_layers(path):
    unit = path.relative_to(CORE).parts[0].removesuffix(".py")
    if unit != "__init__":
        assert imported_units(path) <= MAY_IMPORT[unit] | {unit}


@core_files
def test_the_core_imports_itself_relatively_and_the_host_never(path):
    assert not absolute_imports(ast.walk(tree(path))) & (HOST_PACKAGES | {"lipsync_core"})


@core_files
def test_heavy_libraries_are_imported_where_they_are_used(path):
    assert not absolute_imports(tree(path).body) & HEAVY


@core_files
def test_the_core_names_no_device(path):
    """A device is where the model is: no "cuda" in letters, as a method or as part of torch."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute):
            assert node.attr not in {"cuda", "mps"}, f"line {node.lineno}"
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not node.value.startswith(("cuda", "mps")), f"line {node.lineno}"


@core_files
def test_nothing_is_pickled_evaluated_or_run_in_a_shell(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Name):
            assert node.id not in {"eval", "exec"}, f"line {node.lineno}"
    assert not absolute_imports(ast.walk(tree(path))) & {"pickle", "subprocess", "dill", "joblib"}


@core_files
def test_the_network_is_touched_only_by_weights(path):
    if path != CORE / "weights.py":
        assert not absolute_imports(ast.walk(tree(path))) & {
            "urllib", "requests", "http", "socket", "huggingface_hub", "httpx",
        }  # fmt: skip


@pytest.mark.parametrize("path", sorted(NODES.glob("*.py")), ids=identify)
def test_only_the_host_adapter_touches_tensors_and_comfy_services(path):
    if path.name not in {"host.py", "folders.py"}:
        touched = absolute_imports(ast.walk(tree(path)))
        assert not touched & {"torch", "numpy", "cv2", "comfy", "folder_paths", "server", "PIL"}


@pytest.mark.parametrize("path", sorted(NODES.glob("*.py")), ids=identify)
def test_execute_only_translates(path):
    """An execute has at most a dozen statements."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef) and node.name == "execute":
            statements = sum(isinstance(inner, ast.stmt) for inner in ast.walk(node)) - 1
            assert statements <= 12, f"{path.name} line {node.lineno}: {statements} statements"


@pytest.mark.parametrize("path", SOURCES, ids=identify)
def test_a_file_says_what_it_is_for_and_stays_short(path):
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), "the first docstring says why the file exists"
    assert text.count("\n") <= 400
