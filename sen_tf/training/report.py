"""The report of a run: one HTML page with its scores, images, curves and flags.

The page needs no other file: images are in it.
"""

import base64
import html
import json
import pathlib

from sen_tf.training import runs, scoring

CAPTIONS = {
    "rollouts": "What happened, and the images whose latent states are nearest to the predictions "
    "made from the first image and the actions alone.",
    "decoded": "What happened, and what the model imagines: images decoded from states predicted "
    "from the first image and the actions.",
    "plan": "Goals that the model was to reach: starts, images on the way, the last one, green "
    "where it is the goal, and the goal.",
    "latents": "Latent states of evaluation episodes.",
    "traversals": "Latent states along traversals, as encoded and as predicted.",
    "training": "Loss and skill in the course of training. Skill is 0 where the model predicts "
    "that nothing moves, and 1 where it is perfect.",
}
"""Captions of the figures of a run, by the names of their files, in the order of the page."""
KINDS = {".png": "image/png", ".gif": "image/gif"}

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; }
p.about { margin-top: 0; opacity: .7; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #8884; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
figure { margin: 1.5rem 0; } figcaption { opacity: .8; }
img { max-width: 100%; background: white; }
pre { overflow-x: auto; padding: .8rem; background: #8882; }
.wide { overflow-x: auto; } .warning { color: #c0392b; font-weight: bold; }
"""


def write_report(directory: str | pathlib.Path) -> pathlib.Path:
    """Writes the page of a finished run into its directory; returns its path.

    Args:
        directory: The run's directory, with `metrics.json`, `flags.cfg` and `figures`.
    """
    directory = pathlib.Path(directory)
    summary = json.loads((directory / runs.METRICS).read_text(encoding="utf-8"))
    title = f"{summary['env']}, {summary['model']}, seed {summary['seed']}"
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        _about(summary),
        "<h2>Scores</h2>",
        *_scores(summary["scores"]),
        *_figures(directory / "figures"),
        "<h2>Training</h2>",
        *_training(summary),
        "<h2>Use it</h2>",
        f"<pre>{html.escape(USE.format(model=directory / runs.MODEL))}</pre>",
        "<h2>Flags</h2>",
        f"<pre>{html.escape((directory / runs.FLAGS).read_text(encoding='utf-8'))}</pre>",
    ]
    page = (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{html.escape(title)}</title>'
        f"\n<style>{STYLE}</style>\n</head>\n<body>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )
    path = directory / runs.REPORT
    with runs.aside(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


USE = """import keras
import sen_tf

model = keras.models.load_model("{model}")
state = model.encode(images)            # integers in 0..255, or floats in [0, 1]
states = model.rollout(state, actions)  # what the actions lead to"""


def _about(summary):
    source = summary["trained_on"] or "episodes made for it"
    words = (
        f"trained on {source} ({summary['transitions_seen']:,} transitions seen), preset "
        f"{summary['preset']}, {summary['precision']}, {summary['machine']}"
    )
    return f'<p class="about">{html.escape(words)}</p>'


def _table(header, rows):
    """An HTML table of rows of numbers and words."""
    lines = ["<tr>" + "".join(f"<th>{html.escape(str(cell))}</th>" for cell in header) + "</tr>"]
    for row in rows:
        lines.append(
            "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
        )
    return '<div class="wide"><table>\n' + "\n".join(lines) + "\n</table></div>"


def _scores(scores):
    names = ["hits@1", "hits@5", "hits@10", "mrr"]
    header = ["steps predicted", "Hits@1", "Hits@5", "Hits@10", "MRR"]
    rows = [
        [steps, *(f"{100 * row[name]:.1f} %" for name in names)]
        for steps, row in scores["steps"].items()
    ]
    if all("die_model" in row for row in scores["steps"].values()):
        header.append("DIE(model)")
        for row, found in zip(rows, scores["steps"].values(), strict=True):
            row.append(f"{found['die_model']:.4f}")
    yield _table(header, rows)
    for line in scoring.table(scores).split("\n")[len(rows) + 1 :]:
        if "WARNING" not in line:
            yield f"<p>{html.escape(line.strip())}</p>"
    if scores["collapsed"]:
        yield '<p class="warning">The latent states have collapsed to a point.</p>'


def _figures(folder):
    for name, caption in CAPTIONS.items():
        for path in sorted(folder.glob(f"{name}.*")):
            data = base64.b64encode(path.read_bytes()).decode("ascii")
            yield (
                f'<figure><img alt="{name}" src="data:{KINDS[path.suffix]};base64,{data}">'
                f"<figcaption>{html.escape(caption)}</figcaption></figure>"
            )


def _training(summary):
    seconds = summary["seconds_by_stage"]
    yield _table(
        [*seconds, "in all"],
        [[*(f"{s:.0f} s" for s in seconds.values()), f"{sum(seconds.values()):.0f} s"]],
    )
    names = [name for name in ("loss", "val_loss", "skill", "val_skill", "z_norm", "z_spread")]
    names = [name for name in (*names, "transitions", "seconds") if name in summary["history"][0]]
    best = summary["best_epoch"]
    yield _table(
        ["epoch", *names],
        [
            [f"{epoch} (best)" if epoch == best else epoch, *(f"{row[name]:.5g}" for name in names)]
            for epoch, row in enumerate(summary["history"], start=1)
        ],
    )
