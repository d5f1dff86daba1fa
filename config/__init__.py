"""Config: what a site is; settings, channels, units, profiles, grades."""
