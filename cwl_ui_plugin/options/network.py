"""What is fetched from the network, and what is told to it."""

from __future__ import annotations

from cwl_ui_plugin.options.option import Option

NETWORK = (
    Option(
        "fetch_hosts",
        "",
        "string",
        "Hosts that this site fetches from: workflows from registries and addresses, files that jobs name by http, "
        "https or drs. Names separated by commas; * stands for anything, name:8080 or name:* for other ports than 80 "
        "and 443. "
        "Patterns open public addresses only; hosts in the own network are named as they are, this machine and "
        "link-local addresses by their address. Empty: nothing is fetched.",
        "dockstore.org, *.ebi.ac.uk, data.internal.example:8080",
    ),
    Option(
        "fetch_timeout",
        "60",
        "float",
        "Seconds that fetching a workflow, or an answer of a registry, may take in all.",
    ),
    Option(
        "fetch_input_timeout",
        "14400",
        "float",
        "Seconds that fetching one input (a file, or a folder of an object store) may take in all.",
    ),
    Option(
        "allow_network",
        "False",
        "boolean",
        "The former switch: True, where fetch_hosts is empty, is fetch_hosts = *, every public host.",
    ),
    Option(
        "trs_published",
        "",
        "string",
        "Workflows that anybody may read without a login, with all their files, at the registry below /ga4gh/trs/v2: "
        "names of Dags separated by commas, with * for anything. Clients of registries usually send no login. Empty: "
        "none, the registry shows users of Airflow the workflows that they may see.",
        "count-lines, public-*",
    ),
    Option(
        "organization_name",
        "",
        "string",
        "Who runs this server, as GA4GH services tell it. Empty: the name of the server.",
        "Core Facility Genomics",
    ),
    Option(
        "organization_url",
        "",
        "string",
        "The page of that organization. Empty: the address of the server.",
        "https://genomics.example.org",
    ),
    Option(
        "contact_url",
        "",
        "string",
        "Where users of GA4GH services turn to: a page, or mailto: with an address.",
        "mailto:help@genomics.example.org",
    ),
)
