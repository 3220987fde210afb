"""The host: an environment that notices its own faults, a server with the pack, its clients."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tools.hosting import environment as host_environment_module
from tools.hosting import integrity
from tools.hosting.client import ExecutionFailed, GraphRefused
from tools.hosting.display import StageDisplay, StageFailed
from tools.hosting.environment import OUTDATED, PACK, Environment, fingerprint
from tools.hosting.installation import pack_requirements, requirement_lines
from tools.hosting.server import ComfyServer, ServerFailed, running_server

EMPTY_IMAGE = {
    "class_type": "EmptyImage",
    "inputs": {"width": 32, "height": 32, "batch_size": 2, "color": 255},
}


def picture_graph(**image: Any) -> dict[str, Any]:
    inputs = {**EMPTY_IMAGE["inputs"], **image}
    return {
        "1": {"class_type": "EmptyImage", "inputs": inputs},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "p"}},
    }


# The environment


@pytest.fixture
def small_environment(tmp_path: Path) -> Environment:
    """As small as can be: the links of a venv, one package, a ComfyUI of one file."""
    small = Environment(tmp_path / "host")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(small.venv)], check=True)
    site = integrity.site_packages(small.venv)
    assert site is not None
    (site / "package.py").write_text("value = 1\n")
    (site / "package-1.0.dist-info").mkdir()
    (site / "package-1.0.dist-info/RECORD").write_text("package.py,sha256=x,10\n")
    small.comfyui.mkdir()
    (small.comfyui / "main.py").write_text("print()\n")
    small.write_stamp()
    return small


def test_a_whole_environment_is_used_as_it_is(small_environment: Environment):
    assert small_environment.fault() is None


def test_an_environment_without_its_stamp_is_half_made(small_environment: Environment):
    small_environment.stamp.unlink()
    assert small_environment.fault() == "half made"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"fingerprint": "x"}'])
def test_a_stamp_that_cannot_be_read_is_a_fault(small_environment: Environment, content: str):
    small_environment.stamp.write_text(content)
    assert small_environment.fault() == "its stamp cannot be read"


def test_a_deleted_or_shortened_file_is_noticed(small_environment: Environment):
    site = integrity.site_packages(small_environment.venv)
    assert site is not None
    (site / "package.py").write_text("value")
    assert "damaged (package.py)" in (small_environment.fault() or "")
    (site / "package.py").unlink()
    assert "damaged (package.py)" in (small_environment.fault() or "")


def test_a_package_that_went_away_whole_is_noticed(small_environment: Environment):
    site = integrity.site_packages(small_environment.venv)
    assert site is not None
    shutil.rmtree(site / "package-1.0.dist-info")
    assert small_environment.fault() == "packages are missing (package-1.0)"


def test_a_damaged_copy_of_comfyui_is_noticed(small_environment: Environment):
    (small_environment.comfyui / "main.py").write_text("")
    assert small_environment.fault() == "the copy of ComfyUI is damaged"


def test_a_python_that_is_gone_is_noticed(small_environment: Environment):
    small_environment.python.unlink()
    assert small_environment.fault() == "its Python does not run"


def test_requirements_that_changed_are_noticed_in_an_environment_that_is_whole(
    small_environment: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (more := tmp_path / "requirements-more.txt").write_text("numpy\n")
    files = [*small_environment.requirement_files(), more]
    monkeypatch.setattr(Environment, "requirement_files", lambda _: files)
    assert small_environment.fault() == OUTDATED
    small_environment.python.unlink()
    assert small_environment.fault() != OUTDATED


def test_damage_that_was_there_after_the_installation_is_accepted(small_environment: Environment):
    site = integrity.site_packages(small_environment.venv)
    assert site is not None
    (site / "package.py").write_text("another package's file of the same name\n")
    small_environment.write_stamp()
    assert small_environment.fault() is None


def test_other_requirements_make_another_fingerprint(tmp_path: Path):
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("numpy")
    second.write_text("torch")
    original = fingerprint([first, second], (3, 11))
    assert fingerprint([first, second], (3, 11)) == original
    assert fingerprint([first, second], (3, 12)) != original
    assert fingerprint([first], (3, 11)) != original
    first.write_text("numpytorch")
    second.write_text("")
    assert fingerprint([first, second], (3, 11)) != original


def test_another_comfyui_gets_an_environment_of_its_own(tmp_path: Path):
    (tmp_path / "main.py").touch()
    other = Environment.chosen({"COMFYUI_PATH": str(tmp_path)})
    assert other.comfyui == tmp_path
    assert other.folder not in (Environment.chosen({}).folder, tmp_path)


def test_a_comfyui_path_without_comfyui_is_refused(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"no main\.py"):
        Environment.chosen({"COMFYUI_PATH": str(tmp_path)})


def test_a_cpu_build_of_torch_is_not_asked_to_use_a_gpu(
    small_environment: Environment, monkeypatch: pytest.MonkeyPatch
):
    site = integrity.site_packages(small_environment.venv)
    assert site is not None
    (site / "torch").mkdir()
    monkeypatch.setattr(host_environment_module, "nvidia_gpu_present", lambda: True)
    (site / "torch/version.py").write_text("cuda: Optional[str] = None\n")
    assert not host_environment_module.cuda_usable(small_environment.venv)
    (site / "torch/version.py").write_text("cuda: Optional[str] = '12.8'\n")
    assert host_environment_module.cuda_usable(small_environment.venv)
    monkeypatch.setattr(host_environment_module, "nvidia_gpu_present", lambda: False)
    assert not host_environment_module.cuda_usable(small_environment.venv)


def test_opencv_is_installed_without_its_windows():
    packs_own = requirement_lines(PACK / "requirements.txt")
    installed = pack_requirements()
    assert any(line.startswith("opencv-python>") for line in packs_own)
    assert not any(line.startswith("opencv-python>") for line in installed)
    assert any(line.startswith("opencv-python-headless>") for line in installed)
    assert len(installed) == len(packs_own)


def test_a_failing_stage_says_what_its_command_said(tmp_path: Path):
    display = StageDisplay(1, tmp_path / "log")
    command = [sys.executable, "-c", "import sys; print('no such package'); sys.exit(3)"]
    failed = pytest.raises(StageFailed, match=r"(?s)ended with code 3.*no such package")
    with failed, display.stage("packages"):
        display.run(command)


def test_an_old_python_is_told_so():
    """Its first lines must parse on any Python 3, so that the sentence is reached."""
    source = (PACK / "tools/host.py").read_text()
    assert source.index("sys.version_info < (3, 10)") < source.index("from hosting")


# The server, first a stand-in for ComfyUI that only answers

ANSWERING = """
import http.server, sys
port = next(int(a.split("=")[1]) for a in sys.argv if a.startswith("--port="))
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")
http.server.HTTPServer(("127.0.0.1", port), Answer).serve_forever()
"""


def test_the_process_ends_with_the_block_even_when_it_raises(small_environment: Environment):
    (small_environment.comfyui / "main.py").write_text(ANSWERING)
    base = small_environment.base
    with pytest.raises(ZeroDivisionError), running_server(small_environment, base) as server:
        assert server.process.poll() is None
        assert (base / "custom_nodes/lipstyle/pyproject.toml").samefile(PACK / "pyproject.toml")
        raise ZeroDivisionError
    assert server.process.poll() is not None


def test_a_server_that_dies_is_noticed_while_waiting(small_environment: Environment):
    (small_environment.comfyui / "main.py").write_text(ANSWERING)
    with running_server(small_environment, small_environment.base) as server:
        server.process.kill()
        server.process.wait()
        with pytest.raises(ServerFailed, match="ended with code"):
            server.wait("never", timeout=60)


def test_a_server_that_does_not_start_says_why(small_environment: Environment):
    (small_environment.comfyui / "main.py").write_text("raise SystemExit('no room left')")
    with (
        pytest.raises(ServerFailed, match="no room left"),
        running_server(small_environment, small_environment.base),
    ):
        pass


# The real server


@pytest.mark.server
def test_the_pack_is_loaded_without_an_error(comfyui: ComfyServer):
    assert comfyui.loading_error() is None
    starting = comfyui.log.read_text().split("To see the GUI")[0]
    assert "custom_nodes/lipstyle" in starting
    assert "Traceback" not in starting


@pytest.mark.server
def test_a_graph_runs_and_its_files_are_found(comfyui: ComfyServer):
    files = comfyui.output_files(comfyui.run(picture_graph()))
    assert len(files) == 2
    assert all(path.stat().st_size > 0 for path in files)


@pytest.mark.server
def test_a_graph_that_is_not_valid_is_refused_with_the_node_and_the_reason(comfyui: ComfyServer):
    with pytest.raises(GraphRefused, match=r"node 1 \(EmptyImage\): .*width") as refusal:
        comfyui.submit(picture_graph(width="wide"))
    assert set(refusal.value.node_errors) == {"1"}


@pytest.mark.server
def test_a_node_that_raises_is_named(comfyui: ComfyServer):
    graph = picture_graph()
    graph["2"] = {
        "class_type": "LoadImage",
        "inputs": {"image": "broken.png"},
    }
    graph["3"] = {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}}
    (comfyui.input / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(ExecutionFailed, match=r"LoadImage \(node 2\) raised"):
        comfyui.run(graph)


@pytest.mark.server
def test_events_tell_which_node_works_and_when_the_run_ends(comfyui: ComfyServer):
    with comfyui.events("watcher") as events:
        run = comfyui.submit(picture_graph(color=7), "watcher")
        events.set_timeout(30)
        seen = []
        for event in events:
            if isinstance(event, dict) and event["data"].get("prompt_id") == run:
                seen.append((event["type"], event["data"].get("node")))
                if event["type"] == "execution_success":
                    break
    assert ("executing", "1") in seen
    assert ("executing", "2") in seen


@pytest.mark.server
def test_a_queued_run_is_waited_for_by_another_thread(comfyui: ComfyServer):
    records = []
    run = comfyui.submit(picture_graph(color=9))
    thread = threading.Thread(target=lambda: records.append(comfyui.wait(run)))
    thread.start()
    thread.join(60)
    assert records[0]["status"]["status_str"] == "success"
