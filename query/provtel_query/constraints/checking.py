"""The check of a document: each instance in it by all rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provtel_query.constraints.kinds import impossible
from provtel_query.constraints.ordering import Order
from provtel_query.constraints.statements import MANDATORY, Statement, Unknown, asserted_by, inferred_from
from provtel_query.constraints.unification import Unification
from provtel_query.constraints.verdict import ARGUMENT, Verdict, finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prov.model import ProvBundle, ProvDocument

    from provtel_query.constraints.verdict import Finding


def check(document: ProvDocument) -> Verdict:
    """Return what is wrong with a document and its bundles."""
    verdict = Verdict()
    _check_instance(document, "", verdict)
    for bundle in document.bundles:
        _check_instance(bundle, str(bundle.identifier), verdict)
    return verdict


def _check_instance(instance: ProvBundle, bundle: str, verdict: Verdict) -> None:
    records = list(instance.get_records())
    verdict.statements += len(records)
    asserted = list(map(asserted_by, records))
    known = Unification([*asserted, *inferred_from(asserted)], bundle)
    order = Order(known, bundle)
    verdict.violations += [*_incomplete(asserted, known, bundle), *known.findings]
    verdict.violations += [*impossible(known, bundle), *order.violations()]
    verdict.warnings += dict.fromkeys(order.warnings())


def _incomplete(asserted: list[Statement], known: Unification, bundle: str) -> Iterator[Finding]:
    for statement in asserted:
        wanted = statement.arguments[: MANDATORY.get(statement.kind, 0)]
        if any(isinstance(known.terms.find(argument), Unknown) for argument in wanted):
            reason = f"{statement.kind} lacks one of its first {len(wanted)} arguments, which it must have"
            yield finding(ARGUMENT, reason, [statement], bundle)
