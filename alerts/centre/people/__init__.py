"""People: the directory of who there is, what they look after, and who is on duty."""
