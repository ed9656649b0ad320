"""Which small neural network reads handwritten digits best?

The data are scikit-learn's own: 1,797 images of 8 x 8 pixels, split in three parts. Twenty-five networks learn from the
first, in parallel processes; the second says which of them is best; the third, which none has seen, says how good that
one is. One of the twenty-five asks, by a slip of the finger, for an activation that does not exist: scikit-learn
refuses it, and the others go on.

Every step is a task. All that is said to provtel is ``@task`` at each step and ``@workflow`` around them, `file` where
a step writes a file, and `carry` where a step runs in another process.

    python examples/digits_sweep.py [--output FOLDER]
"""

from __future__ import annotations

import argparse
import itertools
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeAlias

import joblib
import numpy as np
from provtel import carry, file, task, workflow
from sklearn.datasets import load_digits
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

SEED = 42
WORKERS = 2
SHARE = 0.2

Array: TypeAlias = np.ndarray[Any, Any]
Trial: TypeAlias = dict[str, Any]
Score: TypeAlias = dict[str, Any]

GRID: list[Trial] = [
    {"width": width, "penalty": penalty, "learning_rate": learning_rate, "activation": "relu"}
    for width, penalty, learning_rate in itertools.product((32, 64, 128, 256), (0.0001, 0.1, 1.0), (0.001, 0.01))
]
SLIP: Trial = {"width": 64, "penalty": 0.1, "learning_rate": 0.001, "activation": "rellu"}


@dataclass(frozen=True)
class Digits:
    """Images, one a row, and the digit that each shows."""

    images: Array
    labels: Array


@task(outputs="digits")
def load() -> Digits:
    """Return the data set."""
    return Digits(*load_digits(return_X_y=True))


@task(outputs=("training", "validation", "test"))
def split(digits: Digits, share: float, seed: int) -> tuple[Digits, Digits, Digits]:
    """Return three parts that show each digit equally often; the last two have this share of the images each."""
    rest, test = cut(digits, share, seed)
    training, validation = cut(rest, share / (1 - share), seed)
    return training, validation, test


def cut(digits: Digits, share: float, seed: int) -> tuple[Digits, Digits]:
    """Return two parts, of which the second has this share of the images."""
    images, other_images, labels, other_labels = train_test_split(
        digits.images, digits.labels, test_size=share, stratify=digits.labels, random_state=seed
    )
    return Digits(images, labels), Digits(other_images, other_labels)


@task(outputs="model")
def train(
    trial: int, width: int, penalty: float, learning_rate: float, activation: str, training: Digits, folder: Path
) -> PathLike[str]:
    """Train a network with one hidden layer, and return the file that it is saved in."""
    network = MLPClassifier(
        hidden_layer_sizes=(width,),
        activation=activation,
        alpha=penalty,
        learning_rate_init=learning_rate,
        early_stopping=True,
        random_state=SEED,
    )
    model = make_pipeline(StandardScaler(), network)
    with threadpool_limits(1):  # the processes share the cores already
        model.fit(training.images, training.labels)
    path = folder / f"model-{trial:02}.joblib"
    joblib.dump(model, path)
    return file(path)


@task(outputs="score")
def evaluate(trial: int, model: PathLike[str], validation: Digits) -> Score:
    """Return which share of the validation images a model reads right."""
    return {"accuracy": joblib.load(model).score(validation.images, validation.labels), "trial": trial}


@task(outputs="best")
def choose(scores: list[Score]) -> int:
    """Return the trial with the best score; of equals the first."""
    best = max(scores, key=lambda score: score["accuracy"])
    return int(best["trial"])


@task(outputs=("accuracy", "confusion"))
def examine(model: PathLike[str], test: Digits) -> tuple[float, list[list[int]]]:
    """Return which share of unseen images a model reads right, and which digits it takes for which."""
    read = joblib.load(model).predict(test.images)
    return float(np.mean(read == test.labels)), confusion_matrix(test.labels, read).tolist()


@task(outputs="report")
def write_report(
    trials: list[Trial], scores: list[Score], best: int, accuracy: float, confusion: list[list[int]], folder: Path
) -> PathLike[str]:
    """Write down what came out, and return the file."""
    scored = {score["trial"]: f"{score['accuracy']:.1%}" for score in scores}
    lines = [
        "# Reading handwritten digits",
        "",
        f"The model of trial {best} reads {accuracy:.1%} of the images right that no model has seen before.",
        "",
        "| trial | width | penalty | learning rate | activation | validation images read right |",
        "|---|---|---|---|---|---|",
        *(
            f"| {number} | {' | '.join(map(str, trial.values()))} | {scored.get(number, 'failed')} |"
            for number, trial in enumerate(trials)
        ),
        "",
        f"What the model of trial {best} takes for what:",
        "",
        "| shown | " + " | ".join(f"read as {digit}" for digit in range(10)) + " |",
        "|---" * 11 + "|",
        *(f"| {digit} | {' | '.join(map(str, row))} |" for digit, row in enumerate(confusion)),
    ]
    path = folder / "report.md"
    path.write_text("\n".join(lines) + "\n")
    return file(path)


@workflow("digits sweep")
def sweep(trials: list[Trial], folder: Path) -> PathLike[str]:
    """Train a model for each trial, examine the best, and return the report."""
    training, validation, test = split(load(), SHARE, SEED)
    with ProcessPoolExecutor(WORKERS) as pool:
        models = train_all(pool, trials, training, folder)
        evaluations = [pool.submit(carry(evaluate), trial, model, validation) for trial, model in models.items()]
        scores = [evaluation.result() for evaluation in evaluations]
    best = choose(scores)
    accuracy, confusion = examine(models[best], test)
    print(f"the model of trial {best} is the best; it reads {accuracy:.1%} of unseen images right")
    return write_report(trials, scores, best, accuracy, confusion, folder)


def train_all(
    pool: ProcessPoolExecutor, trials: list[Trial], training: Digits, folder: Path
) -> dict[int, PathLike[str]]:
    """Return the models of the trials that could be trained."""
    trainings: dict[int, Future[PathLike[str]]] = {
        number: pool.submit(carry(train), number, **trial, training=training, folder=folder)
        for number, trial in enumerate(trials)
    }
    models = {}
    for number, training_of_trial in trainings.items():
        try:
            models[number] = training_of_trial.result()
        except ValueError as error:
            print(f"trial {number} failed: {error}")
    print(f"{len(models)} of {len(trials)} trials gave a model")
    return models


def main() -> None:
    """Read the command line, and run the sweep."""
    parser = argparse.ArgumentParser(description="Find the network that reads handwritten digits best.")
    parser.add_argument("--output", type=Path, default=Path("digits_output"), help="folder for models and report")
    parser.add_argument("--trials", type=int, default=len(GRID) + 1, help="how many trials, the slip included")
    arguments = parser.parse_args()
    folder = arguments.output.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    report = sweep([*GRID[: arguments.trials - 1], SLIP], folder)
    print(f"the report is {fspath(report)}")


if __name__ == "__main__":
    main()
