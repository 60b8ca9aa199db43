"""The plugin's own hints in CWL documents. Other runners ignore them, as CWL says of hints that they do not know."""

from __future__ import annotations

NAMESPACE = "https://w3id.org/cwl-ui-plugin#"
"""What documents declare in ``$namespaces`` under the prefix ``cwl-ui``; the prefix alone is enough, too."""
EXECUTION = "Execution"
"""``{class: cwl-ui:Execution, profile: <name that the site's rules know>}``."""
MAX_PROFILE = 100
APPROVAL = "Approval"
"""``{class: cwl-ui:Approval, message?, assignees?, timeout?, on_timeout?}``, on a step."""
_PREFIX = "cwl-ui:"


def is_hint(hint: object, name: str) -> bool:
    """Whether a hint is one of ours, with this name."""
    return isinstance(hint, dict) and hint.get("class") in (NAMESPACE + name, _PREFIX + name)
