"""Detectors: arrays in, arrays out; how unusual is each channel now?"""
