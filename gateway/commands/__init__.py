"""Commands: one file a subcommand of `watchline`; `gateway/cli.py` finds them."""
