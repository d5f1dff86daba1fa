"""Centre: the linkage centre, where gateways report, people take incidents, and cases are closed."""

import argparse
import getpass
import logging
import sys
from pathlib import Path

from config.errors import SettingsError

HELP = "the linkage centre: signed reports from gateways in, a page for the people on duty out"
EXAMPLE = (
    "watchline centre centre.toml\n  watchline centre centre.toml --add-user li.wei --role administrator"
)
EXTRA = "centre"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("settings", type=Path, help="centre.toml")
    parser.add_argument("--add-user", metavar="NAME", help="add somebody who may log in, and end")
    parser.add_argument("--add-token", metavar="NAME", help="print a new API token of an account, and end")
    parser.add_argument(
        "--area",
        metavar="CODE",
        help="keep the account to an organisation: it sees the incidents and people of no other",
    )
    parser.add_argument("--role", help="staff or administrator, with --add-user (default: staff)")


def run(args: argparse.Namespace) -> int:
    from config.load import read_centre

    if args.role and not args.add_user:
        raise SettingsError("--role goes with --add-user NAME")
    if args.area and not args.add_user:
        raise SettingsError("--area goes with --add-user NAME")
    if args.area and args.role == "administrator":
        raise SettingsError("--area goes with staff alone: an administrator's log shows the whole district")
    settings = read_centre(args.settings)
    if args.add_user:
        _add_user(settings.store.path, args.add_user, args.role or "staff")
        if args.area:
            from alerts.centre.people.areas import set_area

            set_area(settings.store.path, args.add_user, args.area)
        return 0

    if args.add_token:
        from alerts.centre.accounts import add_token

        print(add_token(settings.store.path, args.add_token))
        return 0

    from alerts.centre.daemon import serve

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    return serve(settings, ready=lambda url: print(f"linkage centre at {url}", flush=True))


def _add_user(path: Path, name: str, role: str) -> None:
    """The password comes from a prompt, asked twice, or from one line of standard input."""
    from alerts.centre.accounts import add_account, check_name

    check_name(name, role)
    if sys.stdin.isatty():
        password = getpass.getpass(f"password of {name}: ")
        if getpass.getpass("once more: ") != password:
            raise SettingsError("the two passwords differ; nothing was added")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    add_account(path, name, role, password)
    print(f"added {name} as {role}")
