"""Prepared clips, what each model learns from them, and the one loop that teaches it."""
