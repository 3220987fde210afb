"""Talking 3-D heads whose motion and style are known: phones in, landmarks and pictures out."""
