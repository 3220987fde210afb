"""Lip motion: measured from a tracked face, or predicted from speech and a style reference."""
