"""Results of an experiment beside what is published: means, verdicts and the table."""

import numpy as np

from sen_tf.experiments.experiment import published

ROUNDING = 0.05
"""By how much printed numbers are rounded."""


def measured(results, metric):
    """Mean and standard deviation over runs of a metric.

    Args:
        results: What the `result.json` of each run holds.
        metric: A name of what was found.
    """
    values = [result["found"][metric] for result in results]
    return float(np.mean(values)), float(np.std(values))


def verdict(metric, ours, theirs):
    """`"better"`, `"reached"` or `"not reached"`, of two (mean, standard deviation).

    Better is by more than both deviations, reached is to within the published one (and rounding).

    Args:
        metric: The `Metric`.
        ours, theirs: What was measured and what is published, or None.
    """
    if theirs is None:
        return "no published value"
    ahead = (ours[0] - theirs[0]) * (-1 if metric.lower_is_better else 1)
    if ahead > max(ours[1], theirs[1], ROUNDING):
        return "better"
    return "reached" if ahead >= -max(theirs[1], ROUNDING) else "not reached"


def compare(table, experiment, results):
    """One dict per cell: arm, metric, ours, published (each mean and deviation) and the verdict.

    Args:
        table: Name of the table.
        experiment: The `Experiment`.
        results: Its results, a list per arm.
    """
    printed, cells = published(table), []
    for arm, done in results.items():
        for name, metric in experiment.metrics.items():
            ours, theirs = measured(done, name), printed.get((arm, name))
            cells.append(
                {
                    "arm": arm,
                    "metric": name,
                    "ours": ours,
                    "published": theirs,
                    "verdict": verdict(metric, ours, theirs),
                }
            )
    return cells


def markdown(cells, results, experiment, title):
    """The comparison as Markdown, with seeds, budget and machine."""
    first = next(iter(results.values()))[0]
    seeds = ", ".join(str(result["seed"]) for result in next(iter(results.values())))
    lines = [
        f"# {title}: {experiment.title}",
        "",
        f"arXiv {experiment.paper}. Seeds {seeds}; {_budget(first, experiment)}; "
        f"{first['machine']}. Mean ± standard deviation over seeds; 0 where none is printed.",
        "",
        "| arm | metric | ours | published | |",
        "|---|---|---|---|---|",
    ]
    for cell in cells:
        ours = "{:.3g} ± {:.2g}".format(*cell["ours"])
        theirs = "{:.3g} ± {:g}".format(*cell["published"]) if cell["published"] else ""
        name = experiment.metrics[cell["metric"]].title
        lines.append(f"| {cell['arm']} | {name} | {ours} | {theirs} | {cell['verdict']} |")
    return "\n".join(lines) + "\n"


def _budget(result, experiment):
    """The numbers of a run beside the metrics: `1,000 transitions seen, preset laptop`."""
    words = []
    for name, value in result["found"].items():
        if name not in experiment.metrics:
            text = name.replace("_", " ")
            words.append(f"{text} {value}" if isinstance(value, str) else f"{value:,.6g} {text}")
    return ", ".join(words)
