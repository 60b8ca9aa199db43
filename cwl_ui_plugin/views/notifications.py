"""What a user wants to be told: chosen, tried and removed."""

from __future__ import annotations

from functools import partial

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_appbuilder import expose
from wtforms import BooleanField, SelectField, SelectMultipleField, StringField
from wtforms.validators import Length, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.auth.bridge import current_user
from cwl_ui_plugin.services.errors import BadRequest, ServiceError
from cwl_ui_plugin.services.notifying import channels, choices, outbox
from cwl_ui_plugin.services.notifying.channels import Channel
from cwl_ui_plugin.services.workflows.listing import list_workflows
from cwl_ui_plugin.views.base import CwlView, user_name
from cwl_ui_plugin.views.forms import ActionForm, PartForm

ALL = "All workflows: runs that I start"


class NotificationForm(PartForm):
    """What somebody wants to be told."""

    part = "notification"

    dag_id = SelectField("Workflow", validate_choice=False)
    channel = SelectField("By", validate_choice=False)
    address = StringField("Address", validators=[Optional(), Length(max=channels.MAX_ADDRESS)])
    events = SelectMultipleField(
        "When",
        choices=[(event, choices.EVENT_TEXTS[event]) for event in choices.EVENTS],
        option_widget=CheckboxInput(),
        widget=ListWidget(prefix_label=False),
    )
    only_mine = BooleanField("Only of runs that I start")


class NotificationsView(CwlView):
    """The page of a user's own notifications; nobody sees those of others."""

    default_view = "index"

    @expose("/notifications", methods=["GET", "POST"])
    def index(self) -> ResponseReturnValue:
        """Show what the user is told; take one thing more."""
        form = NotificationForm(dag_id=request.args.get("dag_id", ""), events=[choices.ENDED, choices.WAITS])
        _offer(form)
        if request.method == "GET" or not form.validate_on_submit():
            return self._show(form, 200 if request.method == "GET" else 400)
        try:
            _choose(form)
        except ServiceError as error:
            name = error.field if isinstance(error, BadRequest) and error.field in form else "dag_id"
            form[str(name)].errors = [error.message]
            return self._show(form, error.status)
        return redirect(url_for("NotificationsView.index", saved=1))

    @expose("/notifications/<choice_id>/remove", methods=["POST"])
    def remove(self, choice_id: str) -> ResponseReturnValue:
        """Tell it no more."""
        choices.remove(user_name(), choice_id)
        return redirect(url_for("NotificationsView.index", removed=1))

    @expose("/notifications/<choice_id>/test", methods=["POST"])
    def test(self, choice_id: str) -> ResponseReturnValue:
        """Send a message to try the way."""
        choice = choices.choice_of(user_name(), choice_id)
        outbox.request_test(choice.user, choice.channel, choice.address)
        return redirect(url_for("NotificationsView.index", tested=1))

    def _show(self, form: NotificationForm, status: int = 200) -> ResponseReturnValue:
        return self.page(
            "notifications.html",
            status,
            form=form,
            action=ActionForm(),
            channels=channels.usable_channels(),
            chosen=choices.choices_of(user_name()),
            messages=outbox.messages_of(user_name()),
            event_texts=choices.EVENT_TEXTS,
            all_workflows=ALL,
            problems=channels.problems() if permissions.may_edit_connection(current_user()) else [],
            done=next((name for name in ("saved", "removed", "tested") if name in request.args), None),
        )


def _offer(form: NotificationForm) -> None:
    """Fill in what there is to choose from."""
    found = channels.usable_channels()
    readable = list_workflows(permissions.readable_dag_ids(current_user())).items
    form.dag_id.choices = [("", ALL), *((item.dag_id, item.label or item.dag_id) for item in readable)]
    form.channel.choices = [(name, channel.title) for name, channel in found.items()]
    form.address.description = _address_help(found)


def _choose(form: NotificationForm) -> None:
    choices.choose(
        user_name(),
        form.dag_id.data or "",
        form.channel.data or "",
        form.events.data or (),
        address=form.address.data or "",
        only_mine=form.only_mine.data,
        may_read=partial(permissions.may_read, current_user()),
    )


def _address_help(found: dict[str, Channel]) -> str:
    kinds = {channels.EMAIL: "an e-mail address", channels.NAME: "a name of a user or channel", channels.NO_ADDRESS: ""}
    wanted = [f"{channel.title}: {kinds[channel.address]}" for channel in found.values() if kinds[channel.address]]
    return "; ".join(wanted) or "None is needed."
