"""PROV-CONSTRAINTS: what is valid passes, what is not is told with its rule, its records and its reason."""

from __future__ import annotations

import warnings
from importlib.resources import files
from typing import Any, Final

import pytest
from prov.model import ProvDocument
from provtel_query.constraints import Verdict, check

CORPUS: Final = files("prov.tests") / "unification"
DIFFERENT: Final = {
    **dict.fromkeys(
        ("usage-fail1.xml", "usage-fail5.xml", "usage-fail6.xml", "usage-fail7.xml"),
        "an activity may use an entity more than once: the recommendation has no constraint of unique usage",
    ),
    **dict.fromkeys(
        ("delegation-fail4.xml", "delegation-fail5.xml"),
        "the activity of a delegation is expandable in table 3 of the recommendation, so that it unifies",
    ),
}
"""Published cases of an earlier draft, which the recommendation decides otherwise."""
UNREADABLE: Final = frozenset({"bundle-fail1.xml", "bundle-success1.xml", "bundle-success2.xml"})
"""Published cases in another dialect of XML than the schema's, which the package ``prov`` does not read."""


def _published() -> list[str]:
    folders = (CORPUS, CORPUS / "constraints")
    names = [entry.name for folder in folders for entry in folder.iterdir()]
    return sorted(name for name in names if name.endswith((".xml", ".provx", ".json")) and name not in UNREADABLE)


@pytest.mark.parametrize("name", _published())
def test_published_cases(name: str) -> None:
    """Each published case passes or fails as its name says, but for what the recommendation decides otherwise."""
    where = CORPUS / name if name.endswith(".json") else CORPUS / "constraints" / name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # attributes that the package does not know are of no interest here
        form = "json" if name.endswith(".json") else "xml"
        verdict = check(ProvDocument.deserialize(content=where.read_text(), format=form))

    assert verdict.valid == ("fail" not in name.lower() or name in DIFFERENT)
    number = name.rpartition("-c")[2].partition(".")[0]
    if "FAIL-c" in name:
        assert verdict.violations[0].rule == (55 if number == "55" else int(number))


def _check(*statements: str) -> Verdict:
    text = "\n".join(["document", "prefix ex <http://example.org/>", *statements, "endDocument"])
    return check(ProvDocument.deserialize(content=text, format="provn"))


INVALID: Final[dict[str, tuple[Any, ...]]] = {
    "two starts, 31": (
        42,
        "wasStartedBy(ex:s1; ex:a, ex:e2, ex:b, -)",
        "wasStartedBy(ex:s2; ex:a, -, ex:c, -)",
        "wasGeneratedBy(ex:e1, ex:a, -)",
        "wasDerivedFrom(ex:e2, ex:e1)",
    ),
    "usage after start, 33": (
        42,
        "wasStartedBy(ex:a, ex:e2, -, -)",
        "wasDerivedFrom(ex:e1, ex:e0, ex:a, -, -)",
        "wasDerivedFrom(ex:e2, ex:e1)",
    ),
    "generation after start, 34": (
        42,
        "wasStartedBy(ex:a, ex:e2, -, -)",
        "wasGeneratedBy(ex:e1, ex:a, -)",
        "wasDerivedFrom(ex:e2, ex:e1)",
    ),
    "generation before usage, 37": (
        42,
        "entity(ex:e2)",
        "wasDerivedFrom(ex:e1, ex:e2, ex:a, ex:g, ex:u)",
        "wasDerivedFrom(ex:e2, ex:e1)",
    ),
    "one generation by two activities, 39": (
        42,
        "wasGeneratedBy(ex:g1; ex:e, ex:a, -)",
        "wasGeneratedBy(ex:g2; ex:e, ex:b, -)",
        "wasDerivedFrom(ex:e, ex:e)",
    ),
    "derived from each other, 42": (
        42,
        "entity(ex:e1)",
        "entity(ex:e2)",
        "wasDerivedFrom(ex:e1, ex:e2)",
        "wasDerivedFrom(ex:e2, ex:e1)",
    ),
    "what starts it is made of what it makes, 43": (
        42,
        "activity(ex:a)",
        "wasGeneratedBy(ex:e1, ex:a, -)",
        "wasDerivedFrom(ex:e2, ex:e1)",
        "wasStartedBy(ex:a, ex:e2, -, -)",
    ),
    "the general is made of the special, 45": (
        42,
        "entity(ex:special)",
        "entity(ex:general)",
        "specializationOf(ex:special, ex:general)",
        "wasDerivedFrom(ex:general, ex:special)",
    ),
    "an agent is made of what it made, 48": (
        42,
        "entity(ex:e)",
        "entity(ex:ag)",
        "wasAttributedTo(ex:e, ex:ag)",
        "wasDerivedFrom(ex:ag, ex:e)",
    ),
    "an object with two times, 22": (
        22,
        "activity(ex:a, 2020-01-01T00:00:00, -)",
        "activity(ex:a, 2021-01-01T00:00:00, -)",
    ),
    "a derivation with and without activity, 23": (
        23,
        "wasDerivedFrom(ex:d; ex:e2, ex:e1, ex:a, -, -)",
        "wasDerivedFrom(ex:d; ex:e2, ex:e1, -, -, -)",
    ),
    "two generations by one activity, 24": (
        24,
        "wasGeneratedBy(ex:g1; ex:e, ex:a, -)",
        "wasGeneratedBy(ex:g2; ex:e, ex:a, -)",
    ),
    "a generation that a derivation names differently, 24": (
        24,
        "wasGeneratedBy(ex:g1; ex:e2, ex:a, -)",
        "wasDerivedFrom(ex:e2, ex:e1, ex:a, ex:g2, -)",
    ),
    "two invalidations by one activity, 25": (
        25,
        "wasInvalidatedBy(ex:i1; ex:e, ex:a, -)",
        "wasInvalidatedBy(ex:i2; ex:e, ex:a, -)",
    ),
    "two starts by one starter, 26": (
        26,
        "wasStartedBy(ex:s1; ex:a, -, ex:b, -)",
        "wasStartedBy(ex:s2; ex:a, -, ex:b, -)",
    ),
    "two ends by one ender, 27": (27, "wasEndedBy(ex:s1; ex:a, -, ex:b, -)", "wasEndedBy(ex:s2; ex:a, -, ex:b, -)"),
    "a start at another time, 28": (
        28,
        "activity(ex:a, 2020-01-01T00:00:00, -)",
        "wasStartedBy(ex:a, -, -, 2021-01-01T00:00:00)",
    ),
    "an end at another time, 29": (
        29,
        "activity(ex:a, -, 2020-01-01T00:00:00)",
        "wasEndedBy(ex:a, -, -, 2021-01-01T00:00:00)",
    ),
    "a usage of an activity, 50 and 55": (55, "activity(ex:b)", "used(ex:a, ex:b, -)"),
    "a member that is an activity, 50 and 55": (55, "activity(ex:b)", "hadMember(ex:c, ex:b)"),
    "a generation without activity, 51": (51, "wasDerivedFrom(ex:d; ex:e2, ex:e1, -, ex:g, -)"),
    "special of itself, 52": (52, "specializationOf(ex:e, ex:e)"),
    "special of itself in steps, 52": (
        52,
        "specializationOf(ex:a, ex:b)",
        "specializationOf(ex:b, ex:c)",
        "specializationOf(ex:c, ex:a)",
    ),
    "one name for two relations, 53": (53, "used(ex:x; ex:a, ex:e, -)", "wasGeneratedBy(ex:x; ex:e2, ex:a, -)"),
    "one name for an object and a relation, 54": (54, "entity(ex:x)", "used(ex:x; ex:a, ex:e, -)"),
    "a member of an empty collection, 56": (
        56,
        "entity(ex:c, [prov:type='prov:EmptyCollection'])",
        "hadMember(ex:c, ex:e)",
    ),
    "a member of a special empty collection, 56": (
        56,
        "entity(ex:general, [prov:type='prov:EmptyCollection'])",
        "specializationOf(ex:c, ex:general)",
        "hadMember(ex:c, ex:e)",
    ),
}


@pytest.mark.parametrize("case", INVALID)
def test_what_is_invalid(case: str) -> None:
    """What breaks a rule is found by that rule, with the records that break it; less of it is valid."""
    rule, *statements = INVALID[case]
    verdict = _check(*statements)
    found = verdict.violations[0]

    assert found.rule == rule
    assert found.reason
    assert found.records
    if rule == 42:
        assert all(
            _check(*statements[:place], *statements[place + 1 :]).valid
            for place in range(len(statements))
            if "derived" in statements[place].lower()
        )


VALID: Final = {
    "what is made and used": ("wasGeneratedBy(ex:e, ex:a, -)", "used(ex:b, ex:e, -)", "wasInformedBy(ex:b, ex:a)"),
    "two usages of one entity": ("used(ex:u1; ex:a, ex:e, -)", "used(ex:u2; ex:a, ex:e, -)"),
    "a generation named once": (
        "wasGeneratedBy(ex:g1; ex:e, ex:a, -)",
        "wasGeneratedBy(ex:e, ex:a, 2020-01-01T00:00:00)",
    ),
    "activities that start each other": ("wasStartedBy(ex:a, -, ex:b, -)", "wasStartedBy(ex:b, -, ex:a, -)"),
    "derivations in a circle of what nobody declared": ("wasDerivedFrom(ex:e1, ex:e2)", "wasDerivedFrom(ex:e2, ex:e1)"),
    "an agent that is an entity": ("agent(ex:x)", "entity(ex:x)", "wasAttributedTo(ex:e, ex:x)"),
    "an agent that is an activity": ("agent(ex:x)", "activity(ex:x)", "actedOnBehalfOf(ex:x, ex:y, ex:a)"),
    "a plan that one association lacks": (
        "wasAssociatedWith(ex:a, ex:ag, -)",
        "wasAssociatedWith(ex:a, ex:ag, ex:plan)",
    ),
    "an influence that is a usage": ("used(ex:x; ex:a, ex:e, -)", "wasInfluencedBy(ex:x; ex:a, ex:e)"),
}


@pytest.mark.parametrize("case", VALID)
def test_what_is_valid(case: str) -> None:
    """What only looks odd is valid."""
    assert _check(*VALID[case]).violations == []


EARLY, LATE = "2020-01-01T00:00:00", "2021-01-01T00:00:00"
CLOCKS: Final = {
    30: (f"activity(ex:a, {LATE}, {EARLY})",),
    31: (f"wasStartedBy(ex:a, -, ex:b, {EARLY})", f"wasStartedBy(ex:a, -, ex:c, {LATE})"),
    32: (f"wasEndedBy(ex:a, -, ex:b, {EARLY})", f"wasEndedBy(ex:a, -, ex:c, {LATE})"),
    33: (f"activity(ex:a, {LATE}, -)", f"used(ex:a, ex:e, {EARLY})"),
    34: (f"activity(ex:a, -, {EARLY})", f"wasGeneratedBy(ex:e, ex:a, {LATE})"),
    35: (f"activity(ex:a, {LATE}, -)", f"activity(ex:b, -, {EARLY})", "wasInformedBy(ex:b, ex:a)"),
    36: (f"wasGeneratedBy(ex:e, -, {LATE})", f"wasInvalidatedBy(ex:e, -, {EARLY})"),
    37: (f"wasGeneratedBy(ex:e, -, {LATE})", f"used(ex:a, ex:e, {EARLY})"),
    38: (f"used(ex:a, ex:e, {LATE})", f"wasInvalidatedBy(ex:e, -, {EARLY})"),
    39: (f"wasGeneratedBy(ex:e, ex:a, {EARLY})", f"wasGeneratedBy(ex:e, ex:b, {LATE})"),
    40: (f"wasInvalidatedBy(ex:e, ex:a, {EARLY})", f"wasInvalidatedBy(ex:e, ex:b, {LATE})"),
    41: (
        f"used(ex:u; ex:a, ex:e1, {LATE})",
        f"wasGeneratedBy(ex:g; ex:e2, ex:a, {EARLY})",
        "wasDerivedFrom(ex:e2, ex:e1, ex:a, ex:g, ex:u)",
    ),
    42: (
        f"wasGeneratedBy(ex:e1, -, {LATE})",
        f"wasGeneratedBy(ex:e2, -, {EARLY})",
        "wasDerivedFrom(ex:e2, ex:e1)",
    ),
    43: (f"wasGeneratedBy(ex:e, -, {LATE})", f"wasStartedBy(ex:a, ex:e, -, {EARLY})"),
    44: (f"wasInvalidatedBy(ex:e, -, {EARLY})", f"wasEndedBy(ex:a, ex:e, -, {LATE})"),
    45: (
        f"wasGeneratedBy(ex:general, -, {LATE})",
        f"wasGeneratedBy(ex:special, -, {EARLY})",
        "specializationOf(ex:special, ex:general)",
    ),
    46: (
        f"wasInvalidatedBy(ex:general, -, {EARLY})",
        f"wasInvalidatedBy(ex:special, -, {LATE})",
        "specializationOf(ex:special, ex:general)",
    ),
    47: (f"activity(ex:a, {LATE}, -)", f"wasInvalidatedBy(ex:ag, -, {EARLY})", "wasAssociatedWith(ex:a, ex:ag, -)"),
    48: (f"wasGeneratedBy(ex:ag, -, {LATE})", f"wasGeneratedBy(ex:e, -, {EARLY})", "wasAttributedTo(ex:e, ex:ag)"),
    49: (
        f"wasGeneratedBy(ex:boss, -, {LATE})",
        f"wasInvalidatedBy(ex:ag, -, {EARLY})",
        "actedOnBehalfOf(ex:ag, ex:boss, -)",
    ),
}


@pytest.mark.parametrize("rule", CLOCKS)
def test_times_that_contradict_the_order(rule: int) -> None:
    """Recorded times against each rule of order are a warning by that rule, and the document is valid all the same."""
    verdict = _check(*CLOCKS[rule])

    assert verdict.valid
    assert [found.rule for found in verdict.warnings] == [rule]
    assert _check(*(text.replace(EARLY, LATE) for text in CLOCKS[rule])).warnings == []


def test_each_bundle_is_by_itself() -> None:
    """What contradicts itself only across bundles is valid; what does within one is told with its name."""
    apart = ("entity(ex:x)", "bundle ex:b", "activity(ex:x)", "endBundle")
    inside = ("bundle ex:b", "activity(ex:x)", "entity(ex:x)", "endBundle")

    assert _check(*apart).valid
    assert [found.bundle for found in _check(*inside).violations] == ["ex:b"]


def test_long_chains() -> None:
    """A chain of thousands of derivations is checked, and found invalid only when it is closed."""
    chain = ["entity(ex:e0)", *(f"wasDerivedFrom(ex:e{n + 1}, ex:e{n}, ex:a{n}, -, -)" for n in range(3000))]

    assert _check(*chain).valid
    (found, *_) = _check(*chain, "wasDerivedFrom(ex:e0, ex:e3000)").violations
    assert found.rule == 42
