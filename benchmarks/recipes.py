"""The paper's recipe and the fast one on the same data: validation skill against samples seen.

Run with: python -m benchmarks.recipes --env=shapes --fast_epochs=8 --paper_epochs=30

Trains `sen` twice at the quick preset through sen_tf.train, once with each --recipe, and draws both
curves. An interrupted run resumes. Skill 0 predicts that nothing moves, 1 is perfect.
"""

import argparse
import json
import pathlib
import subprocess
import sys

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from sen_tf.training import runs


def train(env, recipe, epochs, seed, directory, data_dir):
    """Trains one run, or takes up where it stopped; returns its history and its scores."""
    flags = {"env": env, "preset": "quick", "recipe": recipe, "epochs": epochs, "seed": seed}
    flags |= {"output": directory, "data_dir": data_dir}
    command = [sys.executable, "-m", "sen_tf.train"]
    subprocess.run([*command, *(f"--{name}={value}" for name, value in flags.items())], check=True)
    metrics = json.loads((directory / runs.METRICS).read_text(encoding="utf-8"))
    return metrics["history"], metrics["scores"]


def draw(histories, title, path):
    """Draws the validation skill of each history, {recipe: rows}, against transitions seen."""
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    for recipe, history in histories.items():
        seen = [row["transitions"] for row in history]
        axes.plot(seen, [row["val_skill"] for row in history], ".-", label=f"--recipe={recipe}")
    axes.set(xlabel="transitions seen", ylabel="validation skill", title=title, ylim=(-0.2, 1.02))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    FigureCanvasAgg(figure).print_png(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env", default="shapes")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--fast_epochs", type=int, default=8)
    parser.add_argument("--paper_epochs", type=int, default=30)
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("runs/recipes"))
    arguments = parser.parse_args()
    histories = {}
    for recipe, epochs in (("fast", arguments.fast_epochs), ("paper", arguments.paper_epochs)):
        directory = arguments.output / f"{arguments.env}-{recipe}"
        histories[recipe], scores = train(
            arguments.env, recipe, epochs, arguments.seed, directory, arguments.data_dir
        )
        seen, last = histories[recipe][-1]["transitions"], scores["steps"]["10"]
        print(f"{recipe:>6}: {seen:10,.0f} seen, Hits@1 (10 steps) {100 * last['hits@1']:.1f} %")
    path = arguments.output / f"{arguments.env}.png"
    draw(histories, f"{arguments.env}, sen, seed {arguments.seed}", path)
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
