"""Tests: they mirror the code and read like its specification."""
