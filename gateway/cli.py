"""Cli: the command `watchline`; each subcommand is a file in `gateway/commands/`, found by its name."""

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from types import ModuleType

import gateway.commands
from config.errors import SettingsError

SUCCESS, FAILURE, USAGE = 0, 1, 2
OUR_PACKAGES = ("gateway", "ingest", "detectors", "alerts", "config", "simulators")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand. Exit codes: 0 done, 2 a mistake in usage, settings or input, 1 anything else."""
    words = list(sys.argv[1:] if argv is None else argv)
    files = {
        module.name.rstrip("_"): module.name for module in pkgutil.iter_modules(gateway.commands.__path__)
    }
    names = sorted(files)  # import_.py is the command import, whose name Python keeps for itself
    wanted = (
        [words[0]] if words and words[0] in names else names
    )  # only the wanted one is imported: a fast start
    parser = argparse.ArgumentParser(
        prog="watchline",
        description="Watches a city district's lifelines and calls people when something is wrong.",
    )
    parser.add_argument(
        "--version", action="version", version=f"watchline {_version()}" if "--version" in words else ""
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    modules: dict[str, ModuleType] = {}
    for name in wanted:
        module = modules[name] = importlib.import_module(f"gateway.commands.{files[name]}")
        subparser = commands.add_parser(
            name,
            help=module.HELP,
            description=module.HELP,
            epilog=f"example:\n  {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.arguments(subparser)
    args = parser.parse_args(words)
    return _run(args.command, modules[args.command], args)


def _run(name: str, module: ModuleType, args: argparse.Namespace) -> int:
    try:
        return int(module.run(args))
    except SettingsError as error:
        for mistake in error.mistakes:
            print(mistake, file=sys.stderr)
        return USAGE
    except ModuleNotFoundError as error:
        extra = getattr(module, "EXTRA", None)
        if extra is None or (error.name or "").partition(".")[0] in OUR_PACKAGES:
            raise
        print(f"watchline {name} needs {error.name}: run  pip install 'watchline[{extra}]'", file=sys.stderr)
        return USAGE
    except BrokenPipeError:  # the reader of our output went away, such as `head`
        sys.stderr.close()
        return FAILURE
    except KeyboardInterrupt:
        return 130


def _version() -> str:
    from importlib.metadata import version

    return version("watchline")


if __name__ == "__main__":
    sys.exit(main())
