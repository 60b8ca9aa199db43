"""Key pairs for signing."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from cwl_ui_plugin.api.schemas import KeyPair, answers
from cwl_ui_plugin.api.security import GetUserDep, require
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.services.answers import as_json
from cwl_ui_plugin.services.settings import connection_and_keys
from cwl_ui_plugin.signing.keys import fingerprint
from cwl_ui_plugin.variables import REPORT_KEY

router = APIRouter(tags=["keys"])


class KeyRequest(BaseModel):
    """What the keys are for."""

    algorithm: str = Field(default="RS256", min_length=1)


@router.post("/keys", responses=answers(KeyPair))
def generate_keys(user: GetUserDep, wanted: KeyRequest | None = None) -> object:
    """Make a key pair. Nothing of it is kept: whoever asked has the only copy."""
    require(permissions.may_edit_variable(user, REPORT_KEY))
    algorithm = (wanted or KeyRequest()).algorithm
    pair = connection_and_keys.generate_keys(algorithm)
    return as_json(KeyPair(algorithm, pair.private, pair.public, fingerprint(pair.public)))
