"""Pages of results in Markdown, made of reports alone; see `comparison.report`."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

INDEX = "index.md"


def page(report: dict[str, Any]) -> str:
    """The page of a table."""
    lines = [
        f"# {report['table']}: {report['title']}",
        "",
        _compared(report),
        "",
        *(_beside_printed(report) if _is_printed(report) else _arms(report)),
        "",
        f"- Seeds: {', '.join(map(str, report['seeds']))}{_deviations(report)}",
        *([f"- Budget: {budget}"] if (budget := _budget(report["budget"])) else []),
        f"- Machine: {report['machine']}",
        f"- Versions: {', '.join(f'{name} {text}' for name, text in report['versions'].items())}",
        f"- Commit: {report['commit'] or 'not in a git checkout'}",
        f"- Date: {report['date']}",
        "",
        "```bash",
        report["command"],
        "```",
    ]
    if report["remark"]:
        lines += ["", report["remark"]]
    return "\n".join(lines) + "\n"


def index(reports: Sequence[dict[str, Any]]) -> str:
    """The page that lists tables, a line with the main metric of each arm per table."""
    rows = []
    for report in reports:
        name, main = report["table"], report["cells"][0]
        found = [
            f"{cell['arm']} {_ours(cell)}{_in_parentheses(cell['published'])}"
            for cell in report["cells"]
            if cell["metric"] == main["metric"]
        ]
        rows.append(
            f"| [{name}]({name}.md) | {report['title']} | {len(report['seeds'])} | "
            f"{main['title']} | {'; '.join(found)} |"
        )
    return "\n".join([INTRODUCTION, *rows]) + "\n"


INTRODUCTION = """# Results

Every page is made, by `python -m docs.results_pages`, of the JSON beside it, which is of the form
that `python -m sen_tf.reproduce` writes as `table.json`. Printed numbers stand in parentheses.
What was found on the way: [notes](../notes/index.md).

- Hits@k is the share of evaluation episodes whose own prediction is among the k, of the predictions
  of all episodes, that are nearest to the true state; MRR is the mean of one over its rank. Ties
  count against the model.
- HH@1 is the share of predictions nearer to the true state than to states that differ little from
  it, TH@1 the share of steps of a turn about an axis that are nearest to the right one of 30 views.
- EE(S) is mean |g S(o) - S(g o)| / mean |S(o)|: 0 where the embedding commutes with the group.
  DIE(model) says how much the group changes distances of predicted states: 0 if it keeps them.

| table | trained and compared | runs per arm, at most | metric | result |
|---|---|---|---|---|"""


def render(folder: pathlib.Path) -> dict[pathlib.Path, str]:
    """The pages of a folder (a `Path`) of reports: a dict from path to text."""
    reports = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.json"), key=lambda path: path.stem)
    ]
    pages = {folder / f"{report['table']}.md": page(report) for report in reports}
    return pages | {folder / INDEX: index(reports)}


def _compared(report):
    """A sentence that says what is compared."""
    arms = [f"`{arm}`" for arm in dict.fromkeys(cell["arm"] for cell in report["cells"])]
    paper = f"[arXiv {report['paper']}](https://arxiv.org/abs/{report['paper']})"
    printed = _is_printed(report)
    ending = f"with what {paper} prints" if printed else f"{paper} prints no numbers for it"
    return f"{', '.join(arms[:-1])} and {arms[-1]} are compared{' ' if printed else '; '}{ending}."


def _is_printed(report):
    return any(cell["published"] for cell in report["cells"])


def _beside_printed(report):
    """A line per arm and metric, with what is printed."""
    return [
        "| arm | metric | ours | printed | |",
        "|---|---|---|---|---|",
        *(_row(cell, report) for cell in report["cells"]),
        "",
        "Better is by more than both deviations, reached is to within the printed one, or 0.05 of "
        "rounding.",
    ]


def _arms(report):
    """A line per arm with all metrics, where nothing is printed; blank if not measured."""
    titles = {cell["metric"]: cell["title"] for cell in report["cells"]}
    found: dict[str, dict[str, str]] = {}
    for cell in report["cells"]:
        ours = _ours(cell) if cell["ours"] else ""
        found.setdefault(cell["arm"], {})[cell["metric"]] = ours
    rows = [[arm, *(each.get(name, "") for name in titles)] for arm, each in found.items()]
    lines = [["arm", *titles.values()], ["---"] * (1 + len(titles)), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _row(cell, report):
    theirs = cell["published"]
    printed = _number(theirs["mean"], theirs["deviation"] or None) if theirs else ""
    if theirs and theirs["source"] != f"arXiv {report['paper']}":
        printed += f" ({theirs['source']})"
    ours = _ours(cell) if cell["ours"] else ""
    return f"| {cell['arm']} | {cell['title']} | {ours} | {printed} | {cell['verdict']} |"


def _ours(cell):
    if not cell["ours"]:
        return "not measured"
    several = len(cell["ours"]["values"]) > 1
    return _number(cell["ours"]["mean"], cell["ours"]["deviation"] if several else None)


def _in_parentheses(theirs):
    return f" ({_number(theirs['mean'], theirs['deviation'] or None)})" if theirs else ""


def _number(mean, deviation):
    """`99.89`, or `98.12 ± 0.04` where there is a deviation; what rounding makes is 0."""
    if deviation is None:
        return _digits(mean, 4)
    return f"{_digits(mean, 4)} ± {_digits(deviation if deviation > 1e-12 * abs(mean) else 0, 2)}"


def _digits(number, count):
    """A number with so many digits; one that has more before the point, in full."""
    return f"{number:.{count}g}" if abs(number) < 10**count - 0.5 else f"{number:.0f}"


def _deviations(report):
    several = len(report["seeds"]) > 1
    return "; mean ± standard deviation over them" if several else ""


def _budget(budget):
    """`1,000 transitions seen, preset laptop`; where arms differ, with their names."""
    words: list[str] = []
    for name in dict.fromkeys(name for found in budget.values() for name in found):
        arms: dict[str, list[str]] = {}
        for arm, found in budget.items():
            if name in found:
                arms.setdefault(_quantity(name, found[name]), []).append(arm)
        if len(arms) == 1:
            words += arms
        else:
            words += [f"{text} ({', '.join(those)})" for text, those in arms.items()]
    return ", ".join(words)


def _quantity(name, value):
    text = name.replace("_", " ")
    if isinstance(value, str):
        return f"{text} {value}"
    return f"{value:,} {text}"
