"""The nodes of LipStyle, in the order of the menu."""

from comfy_api.latest import ComfyExtension, io


class LipStyleExtension(ComfyExtension):
    """What ComfyUI asks for the nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return []
