"""The auth backend under the name that it had in CWL-Airflow before 1.2."""

from cwl_airflow_parser.utils.jwt_backend import CLIENT_AUTH, client_auth, init_app, requires_authentication

__all__ = ["CLIENT_AUTH", "client_auth", "init_app", "requires_authentication"]
