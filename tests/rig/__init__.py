"""Rig: a gateway is hurt in every way that power, disks and networks can, and an oracle is asked what is lost."""
