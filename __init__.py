"""LipStyle for ComfyUI: the entry point, which imports nothing until ComfyUI asks for the nodes."""

WEB_DIRECTORY = "./web"


async def comfy_entrypoint():
    """Called by ComfyUI while it loads custom nodes."""
    from .nodes import LipStyleExtension

    return LipStyleExtension()
