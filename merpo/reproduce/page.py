"""Verdicts as Markdown: one figure, or the page of all figures and tables."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from merpo.reproduce.figure import Figure
from merpo.reproduce.files import Source, recipes_of
from merpo.reproduce.table import Table, TableCell, compared
from merpo.reproduce.verdicts import Checked, Compared, Found, Reproduced, quoted
from merpo.support.format import duration, interval_text, number
from merpo.support.tables import markdown_table, plain

__all__ = ["figure_section", "page", "table_section"]

HEAD = """# Reproduction

Made by `merpo reproduce` from the verdicts on stored runs; nothing on this page is typed by hand. For every figure of
the paper there are the sentences about it, each with what was compared.

- **Runs.** A run is a training seed. What is compared is one number for each run, a mean over its unseen tasks.
  Brackets are 95 % intervals: Welch's t between arms, Student's t where the runs of two arms are pairs, because they
  begin with the same meta-artifact or have the same data.
- **Verdicts.** A sentence *holds* where the whole interval of each difference is on its side, it *does not hold* where
  one is on the other side, and otherwise it *cannot be told*. All tests of a figure on one family are corrected
  together by Holm's rule; p is the corrected one, and a verdict needs one below 0.05. "Comparable" (≈) and "at least"
  (≥) have a margin: within it, a difference does not count.
- **Data sets.** Unless a line says more, all runs of an arm have the same data set: intervals are not for new data.
- **Sizes.** `small` is what two cores bear; `paper` has the paper's sizes.
"""
COMPARISONS = {"greater": ">", "less": "<", "at least": "≥", "comparable": "≈", "stable": "≈"}
DASH = "–"


def page(every: Sequence[Source], reproduced: Reproduced) -> str:
    """The page of all figures and tables, in the order of the files, then figures of others."""
    parts = [HEAD, _overview(every, reproduced)]
    for source in every:
        if isinstance(source.content, Table):
            parts.append(table_section(source, source.content))
        elif source.content.not_yet:
            parts.append(f"## {plain(source.content.title)}\n\nNot yet: {plain(source.content.not_yet)}.\n")
        else:
            own = [one for one in reproduced.found if one.figure == source.content.id]
            parts += [figure_section(one) for one in own] or [_not_run(source.content)]
    known = {source.content.id for source in every}
    parts += [figure_section(one) for one in reproduced.found if one.figure not in known]
    return "\n".join(parts)


def figure_section(found: Found) -> str:
    """The verdicts on one figure on one family."""
    size = f"{found.family_title}, size {found.size}"
    lines = [f"## {plain(found.title)}: {plain(size)}\n", _intro(found.caption, found.source, found.note)]
    lines.append(_wrapped(_circumstances(found)))
    rows = [row for claim in found.claims for row in _rows(claim)]
    head = ("the paper says", "compared", "of", "difference", "margin", "p", "runs", "data sets", "verdict")
    lines.append(markdown_table(head, rows, left=3) if rows else "Nothing is claimed of it here.\n")
    notes = [f"- {plain(claim.id)}: {plain(claim.note)}\n" for claim in found.claims if claim.note]
    lines += ["".join(notes)] if notes else []
    arms = [
        (arm.label, str(arm.runs), DASH if arm.adapted is None else interval_text(arm.adapted)) for arm in found.arms
    ]
    lines.append(markdown_table(("arm", "runs", "return"), arms, left=1))
    return "\n".join(line for line in lines if line)


def table_section(source: Source, table: Table) -> str:
    """The departures of our recipes from a table."""
    cells = compared(table, recipes_of(source, table))
    differing = [cell for cell in cells if cell.row.key and not cell.equal]
    equal = sum(cell.equal for cell in cells)
    without = list({cell.row.name: cell.row for cell in cells if not cell.row.key}.values())
    recipes = ", ".join(f"`recipes/{one.recipe}.toml`" for one in table.recipes)
    text = (
        f"{recipes}: {equal} of {len(cells) - len(without) * len(table.recipes)} values are those of the table. The "
        f"others are:"
    )
    parts = [f"## {plain(table.title)}\n", _wrapped(text), _departures(differing)]
    if without:
        items = "".join(f"- {plain(row.name)}: {plain(row.note)}\n" for row in without)
        parts += ["Hyper-parameters that no key of a recipe has:\n", items]
    return "\n".join(parts)


def _departures(cells: Sequence[TableCell]) -> str:
    rows = [(c.row.name, c.recipe, c.stated, c.here or "no such key", c.row.note or DASH) for c in cells]
    return markdown_table(("hyper-parameter", "recipe", "paper", "here", "why"), rows, left=5)


def _overview(every: Sequence[Source], reproduced: Reproduced) -> str:
    """A line for each figure: how many of its sentences hold."""
    rows = []
    for source in every:
        figure = source.content
        if isinstance(figure, Table) or figure.not_yet:
            continue
        own = [one for one in reproduced.found if one.figure == figure.id]
        rows += [(figure.title, f"{one.family_title}, {one.size}", *_counts(one)) for one in own]
        rows += [(figure.title, "not run yet", *[DASH] * 4)] if not own else []
    head = ("figure", "on", "holds", "cannot be told", "does not hold", "not checked")
    return markdown_table(head, rows, left=2)


def _counts(found: Found) -> list[str]:
    verdicts = [claim.verdict for claim in found.claims]
    told = [verdicts.count(one) for one in ("holds", "cannot be told", "does not hold")]
    return [str(count) for count in (*told, len(verdicts) - sum(told))]


def _not_run(figure: Figure) -> str:
    """A figure without stored runs: its sentences, unchecked."""
    command = f"Not run yet: `merpo reproduce {figure.id}`.\n"
    rows = [
        (
            quoted(claim.quote),
            claim.source,
            claim.not_yet or claim.note or DASH,
            "not yet" if claim.not_yet else "not run",
        )
        for claim in figure.claims
    ]
    table = markdown_table(("the paper says", "where", "note", "verdict"), rows, left=4)
    intro = _intro(figure.caption, figure.source, figure.note)
    return "\n".join(part for part in (f"## {plain(figure.title)}\n", intro, command, table) if part)


def _intro(caption: str, source: str, note: str) -> str:
    cited = f"> {plain(caption)} ({plain(source)})" if caption and source else f"> {plain(caption or source)}"
    quoted = (
        textwrap.fill(cited, 118, subsequent_indent="> ", break_long_words=False) + "\n" if caption or source else ""
    )
    return "\n".join(part for part in (quoted, _wrapped(plain(note)) if note else "") if part)


def _circumstances(found: Found) -> str:
    seeds = f"Seeds {found.seeds[0]} to {found.seeds[-1]}" if len(found.seeds) > 1 else f"Seed {found.seeds[0]}"
    own = ", each with data of its own" if found.own_data else ""
    covers = f"; intervals are for {found.covers}" if found.covers else ""
    time = f"; {duration(60 * found.minutes)} a run" if found.minutes is not None else ""
    made = " on ".join(part for part in (f"merpo {found.merpo}" if found.merpo else "", found.processor) if part)
    return f"{seeds}{own}{covers}{time}{f' ({plain(made)})' if made else ''}."


def _rows(claim: Checked) -> list[list[str]]:
    """A line for each difference, the sentence and its verdict in the first."""
    quote, verdict = f"{quoted(claim.quote)} ({claim.source})", f"**{claim.verdict}**"
    if not claim.compared:
        return [[quote, DASH, claim.measure, *[DASH] * 5, verdict]]
    rows = []
    for i, one in enumerate(claim.compared):
        said = verdict if i == 0 else ""
        single = "" if len(claim.compared) == 1 else f" {one.verdict}" if i else f" (this one: {one.verdict})"
        rows.append(
            [quote if i == 0 else "", _pair(claim, one), claim.measure, *_numbers(one), f"{said}{single}".strip()]
        )
    return rows


def _pair(claim: Checked, one: Compared) -> str:
    return f"{one.first} {COMPARISONS.get(claim.comparison, claim.comparison)} {one.second}"


def _numbers(one: Compared) -> list[str]:
    runs = str(one.runs[0]) if one.runs[0] == one.runs[1] else f"{one.runs[0]}, {one.runs[1]}"
    return [
        interval_text(one.difference),
        number(one.margin) if one.margin else DASH,
        DASH if one.p is None else f"{one.p:.2g}",
        f"{runs} pairs" if one.paired else runs,
        str(one.data_sets) if one.data_sets else DASH,
    ]


def _wrapped(text: str) -> str:
    """A paragraph in lines of at most 118 characters."""
    return textwrap.fill(text, 118, break_long_words=False, break_on_hyphens=False) + "\n"
