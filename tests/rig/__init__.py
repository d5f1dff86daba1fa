"""Rig: hurts a gateway in every way that power, disks and networks can; an oracle says what is lost."""
