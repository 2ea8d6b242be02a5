# %% [markdown]
# # Sweeps
#
# A run is a function of its flags, so that any library that calls functions can search them. This
# tutorial lets Optuna look for a width and a learning rate in fifteen lines.
#
# Run it with `python docs/tutorials/sweeps.py`, after `pip install optuna`. It takes some two
# minutes of one CPU core.

# %%
import pathlib
import tempfile

import optuna
from matplotlib.figure import Figure

import sen_tf

TRIALS = 6
EPISODES = 5_000
EPOCHS = 2

# %% [markdown]
# ## The sweep
#
# The objective trains one model and returns what is to be made large. Choose by the held-out share
# of the *training* episodes, which is what `val_skill` is of, and look at the scores at the end.
# Every trial is a run of its own, with its report, and all of them are compared under HPARAMS by
# `tensorboard --logdir=FOLDER`. In a folder that stays, a sweep that is killed and started again
# goes on: finished runs are not made again.

# %%
folder = pathlib.Path(tempfile.mkdtemp())


def objective(trial):
    flags = {
        "hidden": trial.suggest_int("hidden", 8, 64, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 3e-4, 1e-2, log=True),
    }
    run = sen_tf.train(
        "shapes", preset="quick", train_episodes=EPISODES, epochs=EPOCHS, eval_episodes=100,
        data_dir=folder / "data", output=folder / f"trial-{trial.number}", **flags,
    )  # fmt: skip
    trial.set_user_attr("hits@10", run.scores["steps"]["1"]["hits@10"])
    return run.summary["history"][-1]["val_skill"]


optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
study.optimize(objective, n_trials=TRIALS)

# %%
best = study.best_trial
print("best:", best.params, f"skill {best.value:.3f}, Hits@10 {best.user_attrs['hits@10']:.1%}")

# %%
figure = Figure(figsize=(5, 3.6), layout="constrained")
axes = figure.subplots()
found = axes.scatter(
    [trial.params["learning_rate"] for trial in study.trials],
    [trial.params["hidden"] for trial in study.trials],
    c=[trial.value for trial in study.trials],
    s=80,
)
axes.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="hidden")
axes.set_xticks([3e-4, 1e-3, 3e-3, 1e-2], ["0.0003", "0.001", "0.003", "0.01"])
axes.set_yticks([8, 16, 32, 64], ["8", "16", "32", "64"])
axes.minorticks_off()
figure.colorbar(found, label="validation skill")
path = pathlib.Path("docs/images/tutorials/sweeps.png")
path.parent.mkdir(parents=True, exist_ok=True)
figure.savefig(path)

# %% [markdown]
# ![Validation skill of the trials](../images/tutorials/sweeps.png)
