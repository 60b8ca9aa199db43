"""What the site's configuration says to the engine, which knows nothing of Airflow."""

from __future__ import annotations

from cwl_ui_plugin import config, container_options
from cwl_ui_plugin.cwl.containers.policy import ContainerPolicy


def site_policy() -> ContainerPolicy:
    """Return what this site asks of tools; raise :class:`config.ConfigError`."""
    return ContainerPolicy(
        required=config.flag("require_container"),
        images=container_options.allowed_images(),
        allow_network=container_options.allow_container_network(),
    )
