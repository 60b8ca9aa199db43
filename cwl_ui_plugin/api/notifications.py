"""What the caller wants to be told of runs: show, choose, remove. Nobody sees those of others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from fastapi import APIRouter
from pydantic import BaseModel, Field

from cwl_ui_plugin.api.schemas import answers
from cwl_ui_plugin.api.security import GetUserDep
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.services.notifying import channels, choices, outbox

router = APIRouter(tags=["notifications"])


class Wanted(BaseModel):
    """What to be told. An empty ``dag_id`` is for all runs that the caller starts."""

    dag_id: str = Field("", max_length=250)
    channel: str = Field(max_length=40)
    address: str = Field("", max_length=channels.MAX_ADDRESS)
    events: list[str] = Field(max_length=len(choices.EVENTS), description="failed, ended, waits")
    only_mine: bool = False


@dataclass(frozen=True)
class ChannelName:
    """A way to be told; ``address`` is the kind that it takes: none, email or name."""

    name: str
    title: str
    address: str


@dataclass(frozen=True)
class Notifications:
    """What the caller is told, the ways there are, and the last messages."""

    choices: list[choices.Choice]
    channels: list[ChannelName]
    messages: list[outbox.Sent]


@router.get("/notifications", responses=answers(Notifications))
def get_notifications(user: GetUserDep) -> object:
    """Show what the caller wants to be told, by which ways that is possible, and what was sent lately."""
    name = str(user.get_name())
    ways = [ChannelName(one.name, one.title, one.address) for one in channels.usable_channels().values()]
    return Notifications(choices.choices_of(name), ways, outbox.messages_of(name))


@router.post("/notifications", status_code=201, responses=answers(choices.Choice, 400, 404, 409, status=201))
def choose_notification(wanted: Wanted, user: GetUserDep) -> object:
    """Tell the caller what happens to runs from now on; the same channel and address for a workflow is replaced."""
    return choices.choose(
        str(user.get_name()),
        wanted.dag_id,
        wanted.channel,
        wanted.events,
        address=wanted.address,
        only_mine=wanted.only_mine,
        may_read=partial(permissions.may_read, user),
    )


@router.delete("/notifications/{choice_id}", status_code=204, responses=answers(None, 404, status=204))
def remove_notification(choice_id: str, user: GetUserDep) -> None:
    """Tell the caller no more of it."""
    choices.remove(str(user.get_name()), choice_id)
