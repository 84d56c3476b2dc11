"""MkDocs calls this: pages are made from the code when the site is built, so that they cannot be out of date."""

from __future__ import annotations

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pages import PAGES

__all__ = ["on_files"]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the made pages to those that were found."""
    for path, page in PAGES.items():
        files.append(File.generated(config, path, content=page()))
    return files
