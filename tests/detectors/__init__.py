"""Tests of `detectors/`."""
