"""The auth backend of signed triggers under its former name, which airflow.cfg may still have."""

from cwl_ui_plugin.auth.jwt_backend import CLIENT_AUTH, init_app, requires_authentication

__all__ = ["CLIENT_AUTH", "client_auth", "init_app", "requires_authentication"]

client_auth = CLIENT_AUTH
