"""Judges: what tells whether lips say the speech, in the right manner, on the right face."""
