"""Faces in pictures: finding them, following one through a clip, cutting out its crop."""
