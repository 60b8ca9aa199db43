"""The metadata of a crate as it grows: entities with ids, each described once, written by the library rocrate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rocrate.rocrate import ROCrate

Reference = dict[str, str]
"""``{"@id": ...}``."""
CRATE_VERSION = "1.1"
"""Of RO-Crate; the profiles of Workflow Run Crate 0.5 are made on it."""
PROFILE_VERSION = "0.5"
PROFILES = "https://w3id.org/ro/wfrun"
WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
TERMS = "https://w3id.org/ro/terms/workflow-run/context"


class CrateGraph:
    """The entities of a crate; an entity that is there already is not described anew."""

    def __init__(self) -> None:
        from rocrate.rocrate import ROCrate

        self._crate: ROCrate = ROCrate(version=CRATE_VERSION)
        self._crate.metadata.extra_contexts.append(TERMS)
        self._crate.metadata["conformsTo"] = [{"@id": self._crate.metadata.profile}, {"@id": WORKFLOW_CRATE}]

    def describe(self, properties: dict[str, object]) -> None:
        """Say something about the crate as a whole."""
        for name, value in properties.items():
            self._crate.root_dataset[name] = value

    def add(self, identifier: str, kind: str | list[str], /, **properties: object) -> Reference:
        """Describe a thing that is no part of the crate: what has no value is left out."""
        return self._add(identifier, kind, properties, is_part=False)

    def add_part(self, identifier: str, kind: str | list[str], /, **properties: object) -> Reference:
        """Describe a file or folder of the crate, or one elsewhere that it names."""
        return self._add(identifier, kind, properties, is_part=True)

    def append(self, reference: Reference, name: str, value: Reference) -> None:
        """Add a value to a property that may have several."""
        entity = self._crate.dereference(reference["@id"])
        entity.append_to(name, self._crate.dereference(value["@id"]))

    def as_json(self) -> dict[str, object]:
        """Return the content of ``ro-crate-metadata.json``."""
        made: dict[str, Any] = self._crate.metadata.generate()
        return {**made, "@graph": [{name: _single(value) for name, value in one.items()} for one in made["@graph"]]}

    def _add(
        self, identifier: str, kind: str | list[str], properties: dict[str, object], *, is_part: bool
    ) -> Reference:
        from rocrate.model.contextentity import ContextEntity
        from rocrate.model.data_entity import DataEntity

        if identifier not in self._crate:
            known = {name: value for name, value in properties.items() if value not in (None, "", [], {})}
            make = DataEntity if is_part else ContextEntity
            self._crate.add(make(self._crate, identifier, properties={"@type": kind, **known}))
        return {"@id": identifier}


def _single(value: object) -> object:
    """Return the only value of a list: RO-Crate 1.1 wants JSON-LD compacted, https://w3id.org/ro/crate/1.1."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value
