"""Cards of trained models: Markdown with the front matter that the Hugging Face Hub reads."""

import shlex
from collections.abc import Sequence
from typing import Any


def card_of(
    summary: dict[str, Any],
    flags: dict[str, str],
    licence: str,
    shape: Sequence[int],
    place: str,
    flagfile: str,
) -> str:
    """The card of a model.

    Args:
        summary: What the run's `metrics.json` holds.
        flags: The run's flags by name, as text.
        licence: Identifier of the licence.
        shape: Shape of an image.
        place: What `from_pretrained` finds the model by.
        flagfile: Name of the file beside the card that holds the run's flags.
    """
    scores = summary["scores"]
    title = f"{summary['env']}-{summary['model']}"
    lines = [
        "---",
        f"license: {licence}",
        "library_name: keras",
        "tags: [sen_tf, world-model, equivariance]",
        "---",
        "",
        f"# {title}",
        "",
        f"A contrastive world model of `{summary['env']}`: images to latent states, and what "
        "actions do to these.",
        "",
        "```python",
        "import sen_tf",
        "",
        f'model = sen_tf.from_pretrained("{place}")  # or the folder of this card',
        f"state = model.encode(images)  # (n, {', '.join(map(str, shape))}), uint8 or in [0, 1]",
        "states = model.rollout(state, actions)",
        "```",
        "",
        "## Data",
        "",
        _data(summary, flags),
        "",
        "## Scores",
        "",
        f"Seed {summary['seed']}, {scores['episodes']:,} evaluation episodes; ties count against "
        "the model.",
        "",
        *_table(scores),
        "",
        *_further(scores),
        f"{scores['parameters']:,} parameters; {summary['transitions_seen']:,} transitions seen in "
        f"{summary['training_seconds']:.0f} s ({summary['precision']}; {summary['machine']}).",
        "",
        "## Command",
        "",
        "```bash",
        f"python -m sen_tf.train {_command(flags, flagfile)}",
        "```",
        "",
        f"`{flagfile}` holds all flags of the run: {_main_flags(flags)}.",
        "",
        f"Licence: {licence}.",
    ]
    return "\n".join(lines) + "\n"


def _data(summary, flags):
    if summary["trained_on"]:
        return f"Episodes of `{summary['trained_on']}`."
    actions = flags.get("train_actions") or "all"
    starts = f", first states {flags['train_starts']}" if flags.get("train_starts") else ""
    episodes, steps = (int(flags[name]) for name in ("train_episodes", "train_steps"))
    return (
        f"{episodes:,} episodes of {steps} step{'s' * (steps > 1)} that `sen_tf.envs` simulates "
        f"and draws, under random actions (in training: {actions}{starts}; in evaluation: all)."
    )


def _command(flags, flagfile):
    # An environment of the user's own is known by its place alone.
    place = [f"--env={flags['env_class']}"] if flags.get("env_class") else []
    return shlex.join([*place, f"--flagfile={flagfile}"])


def _main_flags(flags):
    names = ("env", "preset", "recipe", "model", "seed", "epochs", "dataset")
    return ", ".join(f"`--{name}={flags[name]}`" for name in names if flags.get(name))


def _table(scores):
    names = ["hits@1", "hits@5", "hits@10", "mrr"]
    yield "| steps predicted | Hits@1 % | Hits@5 % | Hits@10 % | MRR % |"
    yield "|---|---|---|---|---|"
    for steps, row in scores["steps"].items():
        yield f"| {steps} | " + " | ".join(f"{100 * row[name]:.1f}" for name in names) + " |"


def _further(scores):
    words = []
    if scores["symmetry"]:
        words.append(f"EE(S) {scores['symmetry']['mean']['ee_embedding']:.3f}")
    for title, name in (("HH@1 among", "hard_hits"), ("TH@1", "traversal_hits")):
        words += [f"{title} {k} {100 * value:.1f} %" for k, value in scores.get(name, {}).items()]
    return [f"{'; '.join(words)}.", ""] if words else []
