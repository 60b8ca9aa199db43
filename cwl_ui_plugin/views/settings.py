"""Settings: where reports go to, the keys, and how delivery is doing."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_appbuilder import expose
from werkzeug.exceptions import Forbidden, NotFound

from cwl_ui_plugin import variables
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.auth.bridge import DENIED, current_user
from cwl_ui_plugin.services import retention
from cwl_ui_plugin.services.errors import BadRequest, ServiceError
from cwl_ui_plugin.services.settings import connection_and_keys, key_checks, report_delivery, site_options
from cwl_ui_plugin.views.base import CwlView, answer_json, wants_json
from cwl_ui_plugin.views.forms import (
    ActionForm,
    ConnectionForm,
    KeyCheckForm,
    KeyPairForm,
    ReportKeyForm,
    SigningKeyForm,
    TriggerKeyForm,
)

if TYPE_CHECKING:
    from flask_wtf import FlaskForm


SHOWN_RUNS = 20
KEY_FIELDS = ("private_key", "public_keys")
"""What is typed into these may be secret: it never comes back."""


class SettingsView(CwlView):
    """Settings of the plugin that are kept in Airflow's Connection and Variables."""

    default_view = "index"

    @expose("/settings")
    def index(self) -> ResponseReturnValue:
        """Show what is set; keys and passwords never are shown."""
        return self._show()

    @expose("/settings/connection", methods=["POST"])
    def connection(self) -> ResponseReturnValue:
        """Save where reports go to."""
        _require(permissions.may_edit_connection(current_user()))
        form = ConnectionForm()
        return self._save(form, lambda: _save_connection(form), connection_form=form)

    @expose("/settings/report-key", methods=["POST"])
    def report_key(self) -> ResponseReturnValue:
        """Save the key that signs reports."""
        _require_variable(variables.REPORT_KEY, variables.REPORT_ALGORITHM)
        form = ReportKeyForm()
        return self._save(
            form,
            lambda: connection_and_keys.save_report_key(form.private_key.data or None, form.algorithm.data),
            report_form=form,
        )

    @expose("/settings/trigger-key", methods=["POST"])
    def trigger_key(self) -> ResponseReturnValue:
        """Save the keys that verify triggers."""
        _require_variable(variables.TRIGGER_KEY, variables.TRIGGER_ALGORITHM)
        form = TriggerKeyForm()
        return self._save(
            form,
            lambda: connection_and_keys.save_trigger_key(form.public_keys.data or None, form.algorithms.data),
            trigger_form=form,
        )

    @expose("/settings/signing-key", methods=["POST"])
    def signing_key(self) -> ResponseReturnValue:
        """Save the key that signs what is started on the page of a workflow."""
        _require_variable(variables.SIGNING_KEY)
        form = SigningKeyForm()
        return self._save(
            form, lambda: connection_and_keys.save_signing_key((form.private_key.data or "").strip()), signing_form=form
        )

    @expose("/settings/remove/<name>", methods=["POST"])
    def remove(self, name: str) -> ResponseReturnValue:
        """Remove the connection or a Variable."""
        if name == "connection":
            _require(permissions.may_edit_connection(current_user()))
            connection_and_keys.remove_report_connection()
        elif name in variables.ALL:
            _require_variable(name)
            connection_and_keys.remove_variable(name)
        else:
            raise NotFound(f"There is no setting {name!r}.")
        return redirect(url_for("SettingsView.index"))

    @expose("/settings/keys", methods=["POST"])
    def keys(self) -> ResponseReturnValue:
        """Make a key pair and show it once; it is kept only if the user wants it to sign reports."""
        _require_variable(variables.REPORT_KEY, variables.REPORT_ALGORITHM)
        form = KeyPairForm()
        if not form.validate_on_submit():
            return self._show(pair_form=form, status=400)
        pair = connection_and_keys.generate_keys(form.algorithm.data, keep=form.keep.data)
        return self._show(pair=pair, pair_form=form, pair_kept=form.keep.data)

    @expose("/settings/check", methods=["POST"])
    def check(self) -> ResponseReturnValue:
        """Tell whether keys are of one pair, and where a key is used."""
        user = current_user()
        visible = tuple(name for name in key_checks.USES if permissions.may_read_variable(user, name))
        _require(bool(visible))
        form = KeyCheckForm()
        if not form.validate_on_submit():
            return self._show(check_form=form, status=400)
        try:
            found = key_checks.check_key(form.key.data, form.other.data or "", visible=visible)
        except ServiceError as error:
            return self._show(check_form=KeyCheckForm(formdata=None), check_problem=error.message, status=error.status)
        return self._show(check=found)

    @expose("/settings/test", methods=["POST"])
    def test(self) -> ResponseReturnValue:
        """Send a test report."""
        _require(permissions.may_test_connection(current_user()))
        result = report_delivery.send_test_report(sees_answer=permissions.is_admin(current_user()))
        if wants_json():
            return answer_json(
                {"ok": result.ok, "message": result.message, "seconds": result.seconds, "answer": result.answer}
            )
        return self._show(test=result)

    @expose("/settings/retry", methods=["POST"])
    def retry(self) -> ResponseReturnValue:
        """Try again to deliver what waits: all, or of one run."""
        _require(permissions.may_edit_connection(current_user()))
        dag_id, run_id = request.form.get("dag_id"), request.form.get("run_id")
        report_delivery.retry_now(dag_id, run_id)
        if "of_run" in request.form:
            return redirect(url_for("ReportsView.of_run", dag_id=dag_id, run_id=run_id, retried=1))
        return redirect(url_for("SettingsView.index", retried=1) + "#delivery-title")

    @expose("/settings/retention/<what>", methods=["POST"])
    def retention(self, what: str) -> ResponseReturnValue:
        """Tell what would be removed now, remove it, or measure anew."""
        _require(permissions.may_edit_connection(current_user()))
        may_see = partial(permissions.may_read, current_user())
        if what == "look":
            return self._show(removable=retention.removable(may_see))
        if what == "clean":
            return self._show(cleaned=retention.clean(may_see))
        if what == "measure":
            retention.measure_in_background()
            return redirect(url_for("SettingsView.index", measuring=1))
        raise NotFound(f"There is nothing to do called {what!r}.")

    def _save(self, form: FlaskForm, save: Callable[[], None], **shown: object) -> ResponseReturnValue:
        """Save a form, or show it again with what is wrong with it."""
        if form.validate_on_submit() and _is_saved(form, save):
            # The address that was posted to has the part of the page as its fragment, which the browser keeps.
            return redirect(url_for("SettingsView.index", saved=request.path.rsplit("/", 1)[-1]))
        for name in KEY_FIELDS:
            if name in form:
                form[name].data = ""
        return self._show(status=400, **shown)

    def _show(self, status: int = 200, **shown: object) -> ResponseReturnValue:
        user = current_user()
        context = {
            **_connection_context(user),
            **_keys_context(user),
            "action": ActionForm(),
            "saved": request.args.get("saved"),
            "retried": "retried" in request.args,
            "measuring": "measuring" in request.args,
            "removable": None,
            "cleaned": None,
        }
        _require(bool(context["connection"] or context["sees_keys"]))
        return self.page("settings.html", status, **{**context, **shown})


def _connection_context(user: BaseUser) -> dict[str, object]:
    """Return what the page shows of the Connection and the delivery, for whoever may read the Connection."""
    if not permissions.may_read_connection(user):
        return {"connection": None, "delivery": None, "may_edit_connection": False, "retention": None}
    connection = connection_and_keys.report_connection()
    form = ConnectionForm(formdata=None, obj=connection)
    form.extra.data = json.dumps(connection.extra, indent=1) if connection.extra else ""
    return {
        "connection": connection,
        "delivery": report_delivery.delivery_state(),
        "waiting": report_delivery.waiting_runs(SHOWN_RUNS),
        "may_edit_connection": permissions.may_edit_connection(user),
        "testing": report_delivery.testing() if permissions.may_test_connection(user) else report_delivery.HIDDEN,
        "connection_form": form,
        "policy": site_options.switches(),
        "retention": retention.retention(),
    }


def _keys_context(user: BaseUser) -> dict[str, object]:
    """Return what the page shows of each key, for whoever may read its Variable."""
    sees = {name: permissions.may_read_variable(user, name) for name in key_checks.USES}
    report_key = connection_and_keys.report_key() if sees[variables.REPORT_KEY] else None
    trigger_key = connection_and_keys.trigger_key() if sees[variables.TRIGGER_KEY] else None
    return {
        "sees_keys": any(sees.values()),
        "report_key": report_key,
        "trigger_key": trigger_key,
        "signing_key": connection_and_keys.signing_key() if sees[variables.SIGNING_KEY] else None,
        "may_edit": {name: permissions.may_edit_variable(user, name) for name in key_checks.USES},
        "report_form": ReportKeyForm(formdata=None, algorithm=report_key.algorithm if report_key else None),
        "trigger_form": TriggerKeyForm(formdata=None, algorithms=trigger_key.algorithm if trigger_key else None),
        "signing_form": SigningKeyForm(formdata=None),
        "pair_form": KeyPairForm(formdata=None),
        "check_form": KeyCheckForm(formdata=None),
    }


def _is_saved(form: FlaskForm, save: Callable[[], None]) -> bool:
    """Save; what is refused is said at the field that is meant."""
    try:
        save()
    except BadRequest as error:
        if error.field not in form:
            raise
        form[error.field].errors = [error.message]
        return False
    return True


def _save_connection(form: ConnectionForm) -> None:
    connection_and_keys.save_report_connection(
        schema=form.schema.data,
        host=form.host.data.strip(),
        port=form.port.data,
        endpoint=(form.endpoint.data or "").strip(),
        form=form.form.data,
        login=form.login.data or "",
        password=form.password.data or None,
        extra=json.loads(form.extra.data or "{}"),
    )


def _require(allowed: bool) -> None:
    if not allowed:
        raise Forbidden(DENIED)


def _require_variable(*names: str) -> None:
    _require(all(permissions.may_edit_variable(current_user(), name) for name in names))
