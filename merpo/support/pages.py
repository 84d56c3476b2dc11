"""HTML pages from the Jinja2 templates in `merpo/templates`."""

from __future__ import annotations

import base64
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["render"]


def render(name: str, **values: object) -> str:
    """The template `name`, such as `report/page.html.j2`, filled with `values`; all text in them is escaped.

    Raises `jinja2.UndefinedError` where the template uses a value that is missing. Bytes become text by `|base64`.
    """
    return _environment().get_template(name).render(values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("merpo", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode()
    return environment
