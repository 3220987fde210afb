"""The pictures of the help pages: every node as the browser shows it, after it has run.

    python3 tools/host.py python tools/node_pictures.py

Runs tools/node_pictures.json, where every node of the pack is wired once with the demo's files, in
Chromium against the real server, and writes web/docs/pictures/<node id>.webp. Needs what the
browser tests need.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2

sys.path.insert(0, str(Path(__file__).parent))

from hosting.demo import demo_files
from hosting.environment import PACK, TOOLS, Environment
from hosting.server import running_server

GRAPH = TOOLS / "node_pictures.json"
PICTURES = PACK / "web" / "docs" / "pictures"
QUALITY = 85
"""Of WebP, 0 to 100: letters stay sharp, and a picture takes 10 to 20 kB."""


def main() -> int:
    environment = Environment.chosen()
    ours = {
        node["class_type"]
        for node in json.loads(GRAPH.read_text()).values()
        if node["class_type"].startswith("LipStyle")
    }
    with tempfile.TemporaryDirectory() as folder:
        shots = Path(folder) / "shots"
        with running_server(environment, Path(folder) / "comfyui") as server:
            for path in demo_files(environment.base / "input"):
                shutil.copy(path, server.input)
            script = ["node", TOOLS / "author_workflow.mjs", server.url, GRAPH]
            subprocess.run([*script, "--run", "--node-pngs", shots], check=True)
        PICTURES.mkdir(exist_ok=True)
        for name in sorted(ours):
            picture = cv2.imread(str(shots / f"{name}.png"))
            if picture is None:
                raise FileNotFoundError(f"there is no picture of {name}: is it in {GRAPH}?")
            target = PICTURES / f"{name}.webp"
            cv2.imwrite(str(target), picture, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
            print(f"{target.relative_to(PACK)}: {target.stat().st_size // 1024} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
