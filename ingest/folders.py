"""Folders: made so that they are still there after a power cut, with all that is in them."""

from pathlib import Path

from ingest.parquet import sync


def make_folder(folder: Path) -> None:
    """Create it, and those above it; a new name is only safe once the folder that holds it was synced."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync(folder.parent)
