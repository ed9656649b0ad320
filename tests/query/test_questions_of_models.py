"""Questions about days, epochs, prompts, prices, packages: each over a small history whose answer is written out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from provtel_model.attributes import (
    EVENT_PYTHON_ENVIRONMENT,
    GEN_AI_REQUEST_MODEL,
    GEN_AI_USAGE_INPUT_TOKENS,
    GEN_AI_USAGE_OUTPUT_TOKENS,
    PROVTEL_PYTHON_DISTRIBUTIONS,
    PROVTEL_PYTHON_ENVIRONMENT_HASH,
)
from provtel_model.components import DrainReport
from provtel_model.errors import UserError
from provtel_query import Store
from provtel_query.questions import epoch_table, model_usage, on_weekday, prompt_versions

from tests.query.activities import EPOCH, LARGE, activity, id_of

if TYPE_CHECKING:
    from provtel_model.telemetry import PlainLog

    from tests.exporters.backends import Backend
    from tests.query.conftest import StoreOf

TO_MIDNIGHT = 6400  # EPOCH is 22:13:20 of Tuesday, the 14th of November 2023, in UTC


def asked(model: str, prompt: int, response: int) -> dict[str, Any]:
    """Return the attributes of a call of a model with so many tokens."""
    return {
        GEN_AI_REQUEST_MODEL: model,
        GEN_AI_USAGE_INPUT_TOKENS: prompt,
        GEN_AI_USAGE_OUTPUT_TOKENS: response,
    }


def test_what_ran_on_a_day_of_the_week(store_of: StoreOf) -> None:
    """A day goes from midnight to midnight of the zone; name and parameter count too, in every week."""
    week = 7 * 24 * 3600
    twelve = {"model": 12}
    store = store_of(
        [
            activity(1, "align", at=(TO_MIDNIGHT - 1, TO_MIDNIGHT + 9), used=twelve),
            activity(2, "align", at=(TO_MIDNIGHT, TO_MIDNIGHT + 1), used=twelve),
            activity(3, "align", at=(TO_MIDNIGHT + 1, TO_MIDNIGHT + 2), used={"model": 6}),
            activity(4, "slice", at=(TO_MIDNIGHT + 1, TO_MIDNIGHT + 2), used=twelve),
            activity(5, "align", at=(week, week + 1), used=twelve),
        ]
    )
    where = {"name": "align", "used.model": 12}

    assert [record.id for record in on_weekday(store, "tuesday", where)] == [id_of(1), id_of(5)]
    assert [record.id for record in on_weekday(store, "Wednesday", where)] == [id_of(2)]
    assert [record.id for record in on_weekday(store, "wednesday", where, zone="Asia/Tokyo")] == [
        id_of(1),
        id_of(2),
        id_of(5),
    ]
    with pytest.raises(UserError, match="no day of the week"):
        on_weekday(store, "someday")
    with pytest.raises(UserError, match="time zone"):
        on_weekday(store, "monday", zone="Nowhere/Town")


def test_epochs_of_a_training(store_of: StoreOf) -> None:
    """Epochs are in the order of their numbers, also inside a loop; those of another training are not among them."""
    store = store_of(
        [
            activity(1, "train", at=(0, 9), used={"rate": 0.1}),
            activity(2, "epoch", at=(1, 9), kind="loop", parent=1),
            *(
                activity(
                    3 + number,
                    "epoch",
                    at=(1 + number, 2 + number + number / 2),
                    kind="iteration",
                    parent=2,
                    used={"epoch": number},
                    generated={"loss": 1 / (1 + number)},
                )
                for number in (1, 0)
            ),
            activity(6, "train", at=(0, 9)),
            activity(7, "epoch", used={"epoch": 0}, generated={"loss": 9.0}, parent=6),
            activity(8, "epoch", at=(8, None), status="running", used={"epoch": 2}, parent=2),
        ]
    )

    assert epoch_table(store, id_of(1)) == [
        {"epoch": 0, "loss": 1.0, "seconds": 1.0},
        {"epoch": 1, "loss": 0.5, "seconds": 1.5},
        {"epoch": 2, "seconds": None},
    ]
    with pytest.raises(UserError, match="no record"):
        epoch_table(store, id_of(99))


def test_what_models_cost(store_of: StoreOf) -> None:
    """A group costs what its tokens cost at the price of each model that it called; a model without a price is told."""
    ada: dict[str, Any] = {"name": "ada"}
    store = store_of(
        [
            activity(1, "chat", attributes=asked("large", 1000, 500), agent=ada),
            activity(2, "chat", attributes=asked("small", 2000, 100), agent=ada),
            activity(3, "chat", attributes=asked("small", 4000, 0), agent={"name": "bob"}),
        ]
    )
    prices = {"large": (10.0, 30.0), "small": (1.0, 2.0)}

    assert {row["agent.name"]: row["cost"] for row in model_usage(store, "agent.name", prices=prices)} == {
        "ada": pytest.approx(0.0272),
        "bob": pytest.approx(0.004),
    }
    assert "cost" not in model_usage(store)[0]
    with pytest.raises(UserError, match="'small' has no price"):
        model_usage(store, prices={"large": (10.0, 30.0)})


def test_which_prompt_led_to_accepted_results(store_of: StoreOf) -> None:
    """A prompt is as good as the part of its calls of which something accepted came, through whatever was between."""
    prompts = ["Answer.", "Answer.", "Think, then answer."]
    responses = [f"{LARGE}, response {number}" for number in range(3)]
    reviews = ["rejected", "accepted", "accepted"]
    calls = [
        activity(
            1 + number,
            "chat",
            used={"prompt": prompt},
            generated={"response": response},
            attributes=asked("m", 1, 1),
        )
        for number, (prompt, response) in enumerate(zip(prompts, responses, strict=True))
    ]
    drafts = [
        activity(11 + number, "write", used={"response": response}, generated={"draft": response + " as a draft"})
        for number, response in enumerate(responses)
    ]
    verdicts = [
        activity(21 + number, "review", used={"draft": response + " as a draft"}, generated={"verdict": review})
        for number, (response, review) in enumerate(zip(responses, reviews, strict=True))
    ]
    store = store_of([*calls, *drafts, *verdicts])

    assert prompt_versions(store, {"name": "review", "generated.verdict": "accepted"}) == [
        {"used.prompt": "Think, then answer.", "calls": 1, "accepted": 1},
        {"used.prompt": "Answer.", "calls": 2, "accepted": 1},
    ]


def test_packages_that_differ_between_runs(backend: Backend) -> None:
    """Of two runs whose environments are listed, versions that differ are told; of one that is not listed, nothing."""
    lists = {"old": ["numpy==1.9.0", "pandas==2.0", "Six==1.0"], "new": ["numpy==1.26.4", "six==1.0", "arrow==1.3"]}
    with backend.new() as place:
        writer = place.writer()
        writer.write(
            [
                activity(number, workflow_id=digest, resource={PROVTEL_PYTHON_ENVIRONMENT_HASH: digest})
                for number, digest in enumerate([*lists, "unlisted"], 1)
            ]
        )
        says: list[PlainLog] = [
            {
                "time": EPOCH,
                "name": EVENT_PYTHON_ENVIRONMENT,
                "attributes": {PROVTEL_PYTHON_ENVIRONMENT_HASH: digest, PROVTEL_PYTHON_DISTRIBUTIONS: [*distributions]},
            }
            for digest, distributions in lists.items()
        ]
        writer.write_logs(says)
        writer.close()
        with Store(place.location, place.reader(), DrainReport(0, 0, {})) as store:
            assert store.diff("old", "new").packages == {
                "arrow": ([], ["1.3"]),
                "numpy": (["1.9.0"], ["1.26.4"]),
                "pandas": (["2.0"], []),
            }
            assert store.diff("old", "unlisted").packages == {}
