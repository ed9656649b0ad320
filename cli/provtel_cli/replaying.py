"""The work of ``provtel collector replay``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provtel_model.errors import UserError

from provtel_cli.output import note, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from provtel_collector.replay import Replay
    from provtel_collector_config.configuration import Configuration
    from provtel_collector_config.ids import ComponentId


def replay_dead_letters(configuration: Configuration, names: Sequence[str], *, as_json: bool) -> None:
    """Send dead letters again and tell what became of them.

    Args:
        configuration: Has the exporters.
        names: Ids of exporters; all that pipelines use where there are none.
        as_json: Print an object for each exporter.

    Raises:
        UserError: An id is none, or something stays.
    """
    replays = list(_replays(configuration, names))
    if as_json:
        print_json(
            {
                "exporter": one.exporter,
                "file": str(one.file),
                "sent": one.sent,
                "refused": one.refused,
                "left": one.left,
            }
            for one in replays
        )
    for one in replays:
        if one.sent:
            note(f"{one.exporter}: {one.sent} items were sent")
        elif not one.refused and not one.left:
            note(f"{one.exporter}: there are no dead letters")
    stays = [f"{one.exporter}: {_stays(one)}, in {one.file}" for one in replays if one.left or one.refused]
    if stays:
        raise UserError("; ".join(stays))


def _replays(configuration: Configuration, names: Sequence[str]) -> Iterator[Replay]:
    from provtel_collector.replay import replay

    for id_ in _ids(configuration, names):
        try:
            yield replay(configuration, id_)
        except OSError as error:
            raise UserError(f"the dead letters of {id_} cannot be read: {error}") from error


def _ids(configuration: Configuration, names: Sequence[str]) -> list[ComponentId]:
    from provtel_collector_config.ids import Kind

    used = dict.fromkeys(id_ for pipeline in configuration.pipelines.values() for id_ in pipeline.exporters)
    known = {str(id_): id_ for id_ in used if id_ in configuration.components[Kind.EXPORTERS]}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(f'no pipeline has an exporter "{unknown[0]}"; there are {", ".join(known)}')
    return [known[name] for name in names or known]


def _stays(one: Replay) -> str:
    parts = [f"{one.refused} items were refused for good again"] if one.refused else []
    if one.left:
        parts.append(f"{one.left} letters stay ({one.reason})")
    return " and ".join(parts)
