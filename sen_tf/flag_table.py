"""Every command line flag, defined once: its kind, default, help and bounds."""

from absl import flags

from sen_tf.envs import ENVS

PRESETS = ("quick", "laptop", "paper")
RECIPES = ("fast", "paper")
FORMATS = ("saved_model", "onnx", "litert", "keras")
ARMS = ("sen", "nonequivariant", "fully_equivariant", "tfn")
TEAPOT_ARMS = ("sen", "nonequivariant", "tfn")
PRECISIONS = ("auto", "float32", "mixed_float16", "mixed_bfloat16")
STRATEGIES = ("auto", "default", "mirrored", "multi_worker")
SPLITS = ("train", "evaluation")
TABLES = (
    *("shapes-limited", "cubes", "cubes-limited", "rush_hour", "rush_hour-limited"),
    *("reacher", "reacher-limited", "teapot-large", "teapot-small", "sequence"),
)

_BOOL, _INT, _FLOAT, _STRING, _LIST, _ENUM = (
    flags.DEFINE_boolean,
    flags.DEFINE_integer,
    flags.DEFINE_float,
    flags.DEFINE_string,
    flags.DEFINE_list,
    flags.DEFINE_enum,
)

# name: (kind, default, help, further arguments of the kind: bounds, or the values of an enum)
FLAGS = {
    "env": (_ENUM, "cubes", "Environment.", {"enum_values": list(ENVS)}),
    "preset": (
        _ENUM,
        "auto",
        "Size of the experiment: quick (minutes on a CPU), laptop (an hour at most; reacher's "
        "fully_equivariant one and a half), paper; auto takes paper on a GPU and quick on a CPU.",
        {"enum_values": ["auto", *PRESETS]},
    ),
    "recipe": (
        _ENUM,
        "auto",
        "How to train: paper, or fast (small batches, a step size that falls, at first the "
        "contrast of actions, reversed negatives in reacher and those of the same episode in "
        "rush_hour); auto takes paper under the paper preset, else fast.",
        {"enum_values": ["auto", *RECIPES]},
    ),
    "model": (
        _ENUM,
        "sen",
        "Which of the paper's models to train; tfn, a tensor-field transition, is the Teapot's.",
        {"enum_values": ARMS},
    ),
    "seed": (_INT, 1, "Seed of data, weights, order and negatives.", {"lower_bound": 0}),
    "output": (
        _STRING,
        None,
        "Where to write: the run's directory (train), the dataset's file (generate), the directory "
        "of the exported model (export). Default: a name made of the settings.",
        {},
    ),
    "table": (_ENUM, "cubes-limited", "Table of the paper.", {"enum_values": TABLES}),
    "seeds": (_INT, 3, "How many seeds, counted from --seed on.", {"lower_bound": 1}),
    "run": (_STRING, None, "Directory of a run that sen_tf.train wrote.", {}),
    "model_file": (_STRING, None, "A saved model, .keras, instead of a run.", {}),
    "format": (
        _ENUM,
        "saved_model",
        "What to export: saved_model, for TensorFlow Serving and OpenVINO; onnx, a file an "
        "endpoint; litert, one file; keras, a file an endpoint but for rollout.",
        {"enum_values": FORMATS},
    ),
    "plain": (
        _BOOL,
        False,
        "Export ordinary layers with the expanded kernels in place of the group's, so that a "
        ".keras file loads with Keras alone.",
        {},
    ),
    "dataset": (
        _STRING,
        None,
        "Episodes to train on (train), to score on (evaluate) or to convert (generate), checked "
        "as they are read: an HDF5 file, a pattern of shards such as 'data/cubes-*.h5', or "
        "minari:NAME; made where none is given. Files of the published code and of C-SWM are read "
        "too.",
        {},
    ),
    "trust_dataset": (
        _BOOL,
        False,
        "Take a --dataset that does not say its environment, such as a file of C-SWM, for one of "
        "--env, on whose episodes the model is scored.",
        {},
    ),
    "verify": (
        _LIST,
        [],
        "Check these files of episodes, or patterns of them, and make none: exit code 1 if "
        "something is wrong.",
        {},
    ),
    "to_minari": (
        _STRING,
        None,
        "Write the episodes of --dataset as the Minari dataset of this name, such as "
        "cubes/random-v0.",
        {},
    ),
    "overwrite": (
        _BOOL,
        False,
        "Replace a file that is there and was not made with the same settings.",
        {},
    ),
    "shards": (
        _INT,
        None,
        "Write so many files name-00000-of-0000N.h5 in place of one; those that are there already "
        "and whole are kept.",
        {"lower_bound": 1, "upper_bound": 99999},
    ),
    "runner": (
        _ENUM,
        "local",
        "What makes shards: processes of this machine, or Ray (those of RAY_ADDRESS, if set).",
        {"enum_values": ["local", "ray"]},
    ),
    "workers": (_INT, 1, "Shards that are made at a time.", {"lower_bound": 1}),
    "data_dir": (_STRING, "data", "Directory of the datasets that programs make.", {}),
    "split": (_ENUM, "train", "What the episodes are for.", {"enum_values": SPLITS}),
    "episodes": (_INT, None, "Episodes; default: the environment's.", {"lower_bound": 1}),
    "steps": (_INT, None, "Steps an episode; default: the environment's.", {"lower_bound": 1}),
    "actions": (
        _LIST,
        None,
        "Names of the actions that the policy takes, such as up,right,down; all if empty.",
        {},
    ),
    "headings": (
        _LIST,
        None,
        "Rush Hour only: names of the headings that objects have, such as up; all if empty.",
        {},
    ),
    "sprites": (
        _ENUM,
        "paper",
        "Shapes only: paper draws triangles, symmetric draws diamonds in their place, so that a "
        "turned board looks turned.",
        {"enum_values": ["paper", "symmetric"]},
    ),
    "rotations": (
        _ENUM,
        "large",
        "Teapot only: which rotations are actions, small turns about an axis (2 pi / 30) or large, "
        "uniform over all.",
        {"enum_values": ["large", "small"]},
    ),
    "train_episodes": (_INT, 1000, "Training episodes.", {"lower_bound": 2}),
    "train_steps": (_INT, 100, "Steps of a training episode.", {"lower_bound": 1}),
    "train_actions": (_LIST, [], "Actions in the training episodes; all if empty.", {}),
    "train_headings": (
        _LIST,
        [],
        "Rush Hour only: headings in the training episodes, such as up; all if empty. Evaluation "
        "has all of them.",
        {},
    ),
    "eval_episodes": (_INT, 10000, "Evaluation episodes.", {"lower_bound": 2}),
    "eval_steps": (_INT, 10, "Steps of an evaluation episode.", {"lower_bound": 1}),
    "filters": (
        _INT,
        32,
        "Channels of the embedding's hidden convolutions; where they are group convolutions, half "
        "as many fields.",
        {"lower_bound": 2},
    ),
    "hidden": (
        _INT,
        256,
        "Width of encoder and transition in fields; plain networks are twice as wide.",
        {"lower_bound": 1},
    ),
    "epochs": (_INT, 100, "Passes over the training data.", {"lower_bound": 1}),
    "batch_size": (_INT, 1024, "Transitions in a step.", {"lower_bound": 2}),
    "learning_rate": (_FLOAT, 5e-4, "Step size of Adam.", {"lower_bound": 0.0}),
    "schedule": (
        _ENUM,
        "constant",
        "How the step size goes on: constant, or cosine (falls to a fiftieth).",
        {"enum_values": ["constant", "cosine"]},
    ),
    "action_contrast": (
        _FLOAT,
        0.0,
        "Share of the training, from its start, in which the loss also contrasts the action taken "
        "with others.",
        {"lower_bound": 0.0, "upper_bound": 1.0},
    ),
    "hinge": (_FLOAT, 1.0, "Energy beyond which negatives do not count.", {"lower_bound": 0.0}),
    "sigma": (_FLOAT, 0.5, "Length scale of the energy.", {"lower_bound": 0.0}),
    "variant": (
        _ENUM,
        "current",
        "What negatives are compared with: current (state, as in C-SWM and the paper's code) or "
        "predicted (as in the paper's equation).",
        {"enum_values": ["current", "predicted"]},
    ),
    "negatives": (_INT, 1, "Other samples that each sample is compared with.", {"lower_bound": 1}),
    "reversed_negatives": (
        _BOOL,
        False,
        "Whether half of the negatives are the sample's own two frames in reverse order, so that "
        "states tell velocities; environments of single frames (all but reacher) have none.",
        {},
    ),
    "episode_negatives": (
        _BOOL,
        False,
        "Whether half of the negatives are states of the sample's own episode, so that states tell "
        "more than what never changes in an episode: Rush Hour's headings.",
        {},
    ),
    "validation": (
        _FLOAT,
        0.05,
        "Share of the training episodes held out to choose the best weights by.",
        {"lower_bound": 0.0, "upper_bound": 0.9},
    ),
    "precision": (
        _ENUM,
        "auto",
        "Dtype policy: auto takes mixed_float16 on a GPU, mixed_bfloat16 on a CPU with bfloat16 "
        "instructions, else float32.",
        {"enum_values": PRECISIONS},
    ),
    "strategy": (
        _ENUM,
        "auto",
        "Distribution: auto mirrors over the GPUs where there are several.",
        {"enum_values": STRATEGIES},
    ),
}


# Flags that one environment has.
OWNERS = {
    "sprites": "shapes",
    "rotations": "teapot",
    "headings": "rush_hour",
    "reversed_negatives": "reacher",
    "episode_negatives": "rush_hour",
    "train_headings": "rush_hour",
}
