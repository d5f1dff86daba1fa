"""Tests of the edge: sources, their pure decoding, and the field thread."""
