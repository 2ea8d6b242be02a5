"""Reproduces a table of the paper: trains every arm with several seeds, and compares.

  python -m sen_tf.reproduce --table=cubes-limited --preset=laptop --seeds=3

Writes table.md and table.json into the output directory, beside one run an arm and seed. Finished
runs are kept and an interrupted one resumes when the same command is given again.
"""

import dataclasses
import json
import pathlib
import subprocess
import sys
import time

import numpy as np

from sen_tf import runs, settings

FLAGS = ("table", "preset", "recipe", "seed", "seeds", "output", "data_dir")
TITLES = {
    "hits@1": "Hits@1 %",
    "hits@10": "Hits@10 %",
    "mrr": "MRR %",
    "ee_embedding": "EE(S)",
    "die_model": "DIE(model) x 1e-2",
}
LOWER_IS_BETTER = {"ee_embedding", "die_model"}


@dataclasses.dataclass(frozen=True)
class Table:
    """What a table of the paper compares.

    env: the environment.
    flags: what differs from its flagfile.
    published: for each arm, {metric: (mean, standard deviation)} where it is printed; 0 for a
        deviation that is not.
    """

    env: str
    flags: tuple[str, ...]
    published: dict[str, dict[str, tuple[float, float]]]

    @property
    def metrics(self):
        """The metrics that are printed for some arm, or all where none is printed."""
        printed = {name for row in self.published.values() for name in row}
        return [name for name in TITLES if name in (printed or TITLES)]


# Park et al. (2022): Hits and MRR after 10 steps among 10,000 in percent, EE(S), DIE in hundredths.
TABLES = {
    "shapes-limited": Table(
        "shapes",
        (),
        {
            "nonequivariant": {"hits@10": (2.8, 0.6), "mrr": (5.3, 0.4), "ee_embedding": (0, 0)},
            "sen": {
                "hits@10": (100, 0),
                "mrr": (99.9, 0),
                "ee_embedding": (0, 0),
                "die_model": (0, 0),
            },
        },
    ),
    "cubes-limited": Table(
        "cubes",
        (),
        {
            "nonequivariant": {
                "hits@1": (52.3, 14),
                "mrr": (61.8, 0),
                "ee_embedding": (0.98, 0),
                "die_model": (18.1, 0),
            },
            "fully_equivariant": {
                "hits@1": (83.7, 36),
                "mrr": (86.0, 0),
                "ee_embedding": (0.81, 0),
                "die_model": (1.5, 0),
            },
            "sen": {
                "hits@1": (99.9, 0),
                "mrr": (100, 0),
                "ee_embedding": (0.96, 0),
                "die_model": (0.5, 0),
            },
        },
    ),
    "rush_hour": Table(
        "rush_hour",
        (),
        {
            "nonequivariant": {
                "hits@1": (95.8, 0.7),
                "mrr": (97.9, 0),
                "ee_embedding": (0, 0),
                "die_model": (0, 0),
            },
            "fully_equivariant": {
                "hits@1": (92.3, 2.3),
                "mrr": (96.0, 0),
                "ee_embedding": (0, 0),
                "die_model": (0, 0),
            },
            "sen": {
                "hits@1": (92.4, 5.6),
                "mrr": (96.0, 0),
                "ee_embedding": (0, 0),
                "die_model": (0, 0),
            },
        },
    ),
    # Not published: the row of 3D Blocks with all actions repeats that of another environment.
    "cubes": Table(
        "cubes",
        ("--train_actions=", "--train_episodes=1000", "--train_steps=100"),
        dict.fromkeys(settings.ARMS, {}),
    ),
    # Not published either: limited headings are our reading of the experiment.
    "rush_hour-limited": Table(
        "rush_hour", ("--train_headings=up",), dict.fromkeys(settings.ARMS, {})
    ),
}


def train_all(table, options, directory):
    """Trains every arm with every seed; returns the summaries, a list for each arm."""
    jobs = [
        (arm, seed)
        for seed in range(options.seed, options.seed + options.seeds)
        for arm in table.published
    ]
    summaries = {arm: [] for arm in table.published}
    begun, trained = time.perf_counter(), 0
    for number, (arm, seed) in enumerate(jobs):
        run = directory / f"{arm}-seed{seed}"
        if not (run / runs.METRICS).exists():
            if trained:
                left = (time.perf_counter() - begun) / trained * (len(jobs) - number)
                print(f"about {left / 3600:.1f} h left")
            print(f"run {number + 1} of {len(jobs)}: {arm}, seed {seed}", flush=True)
            _train(table, options, arm, seed, run)
            trained += 1
        summaries[arm].append(json.loads((run / runs.METRICS).read_text(encoding="utf-8")))
    return summaries


def _train(table, options, arm, seed, run):
    """One run in a process of its own, so that none inherits the memory of the one before."""
    flags = {
        **{"env": table.env, "model": arm, "seed": seed, "preset": options.preset},
        **{"recipe": options.recipe, "data_dir": options.data_dir, "output": run},
    }
    command = [sys.executable, "-m", "sen_tf.train", *table.flags]
    result = subprocess.run([*command, *(f"--{name}={value}" for name, value in flags.items())])
    if result.returncode == 130:
        raise KeyboardInterrupt
    if result.returncode:
        raise settings.UsageError(f"training {arm}, seed {seed}, failed; see above")


def measured(summaries, metric):
    """Mean and standard deviation over runs of a metric at the last horizon, in its table's unit.

    Args:
        summaries: What `metrics.json` of each run holds.
        metric: A name of `TITLES`.
    """
    values = []
    for summary in summaries:
        scores = summary["scores"]
        last = scores["steps"][max(scores["steps"], key=int)]
        symmetry = scores["symmetry"]["mean"]
        values.append(
            symmetry[metric] if metric == "ee_embedding" else 100 * {**symmetry, **last}[metric]
        )
    return float(np.mean(values)), float(np.std(values))


def verdict(metric, ours, published):
    """`"better"`, `"reached"` or `"not reached"`, of two (mean, standard deviation).

    Better is by more than both deviations, reached is to within the published one (and rounding).
    """
    if published is None:
        return "no published value"
    sign = -1 if metric in LOWER_IS_BETTER else 1
    ahead = sign * (ours[0] - published[0])
    rounding = 0.05
    if ahead > max(ours[1], published[1], rounding):
        return "better"
    return "reached" if ahead >= -max(published[1], rounding) else "not reached"


def compare(table, summaries):
    """One dict a cell: arm, metric, ours, published (each mean and deviation) and the verdict."""
    cells = []
    for arm, done in summaries.items():
        for metric in table.metrics:
            ours, published = measured(done, metric), table.published[arm].get(metric)
            cells.append(
                {
                    "arm": arm,
                    "metric": metric,
                    "ours": ours,
                    "published": published,
                    "verdict": verdict(metric, ours, published),
                }
            )
    return cells


def markdown(cells, summaries, title):
    """The comparison as Markdown, with seeds, budget and machine."""
    first = next(iter(summaries.values()))[0]
    seeds = ", ".join(str(summary["seed"]) for summary in next(iter(summaries.values())))
    lines = [
        f"# {title}",
        "",
        f"Seeds {seeds}; {first['transitions_seen']:,} transitions seen, preset "
        f"{first['preset']}, {first['scores']['episodes']:,} evaluation episodes, "
        f"{first['precision']}; {first['machine']}. Ties count against the model. Mean ± standard "
        "deviation over seeds; 0 where none is printed.",
        "",
        "| arm | metric | ours | published | |",
        "|---|---|---|---|---|",
    ]
    for cell in cells:
        ours = "{:.3g} ± {:.2g}".format(*cell["ours"])
        published = "{:g} ± {:g}".format(*cell["published"]) if cell["published"] else ""
        name = TITLES[cell["metric"]]
        lines.append(f"| {cell['arm']} | {name} | {ours} | {published} | {cell['verdict']} |")
    return "\n".join(lines) + "\n"


def main(arguments):
    options = settings.parse(arguments, FLAGS, lambda: "laptop")
    table = TABLES[options.table]
    directory = pathlib.Path(options.output or f"runs/{options.table}-{options.preset}")
    directory.mkdir(parents=True, exist_ok=True)
    summaries = train_all(table, options, directory)
    cells = compare(table, summaries)
    text = markdown(cells, summaries, f"{options.table}, {options.preset} preset")
    runs.write_json(directory / "table.json", cells)
    (directory / "table.md").write_text(text, encoding="utf-8")
    print(text)
    print(f"wrote {directory / 'table.md'} and {directory / 'table.json'}")


if __name__ == "__main__":
    settings.run(main, __doc__, FLAGS)
