"""Writes locales/en/nodeDefs.json: the texts of all nodes, as the nodes themselves declare them.

    python3 tools/host.py python tools/node_texts.py

Run it after a text in nodes/ has changed. The other languages are written by hand; a test says
what they lack.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.hosting.environment import PACK, Environment
from tools.hosting.server import running_server

ENGLISH = PACK / "locales" / "en" / "nodeDefs.json"


def main() -> int:
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Environment.chosen(), Path(folder)) as server,
    ):
        declared = server.object_info()
    ours = {name: info for name, info in sorted(declared.items()) if name.startswith("LipStyle")}
    ENGLISH.parent.mkdir(parents=True, exist_ok=True)
    ENGLISH.write_text(json.dumps(texts(ours), ensure_ascii=False, indent=2) + "\n", "utf-8")
    return 0


def texts(declared: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What ComfyUI's nodeDefs.json holds for nodes, from the server's /object_info of them."""
    return {name: node_texts(info) for name, info in declared.items()}


def node_texts(info: dict[str, Any]) -> dict[str, Any]:
    """The texts of one node; inputs by their ids, outputs by their numbers."""
    specs = {**info["input"].get("required", {}), **info["input"].get("optional", {})}
    outputs = zip(info["output_name"], info.get("output_tooltips") or [], strict=True)
    return {
        "display_name": info["display_name"],
        "description": info["description"],
        "inputs": {
            field: {"name": field, "tooltip": spec[1]["tooltip"]} for field, spec in specs.items()
        },
        "outputs": {
            str(number): {"name": name, "tooltip": tooltip}
            for number, (name, tooltip) in enumerate(outputs)
        },
    }


if __name__ == "__main__":
    sys.exit(main())
