"""Putting re-made crops back into their frames, so that nothing else of the picture changes."""
