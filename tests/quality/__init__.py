"""Quality: what the detectors reach on labelled recordings; run by hand, never by the test command."""
