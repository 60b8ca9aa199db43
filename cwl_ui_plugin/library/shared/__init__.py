"""The store of workflows in a bucket (``[cwl] workflows_storage``), of which each machine has copies.

::

    <prefix>/index.json                          all workflows: what is current of each, and its versions (``index``)
    <prefix>/versions/<dag_id>/<sha256>.tar.gz   a version with its compilations (``library.carrying``)
    <prefix>/schedules/<dag_id>/<digest>.json    each schedule that a workflow has or had
    <prefix>/approvals/<dag_id>/<digest>.json    each choice of steps that somebody is asked before
    <prefix>/manifests/<bundle version>.json     what all workflows were when a run was pinned to it
    <prefix>/uploads/<id>.json                   how an upload is, for a day: the machine that has it says so
    <prefix>/grants/<key>.pem                    public keys of grants

What is named by its content is written once, and before the index names it. The index is replaced as a whole, by who
has read the one that is there: it is the only object that ever changes. Each machine keeps the index as it was at its
last look, by which its folder is read, and fetches what it does not have.
"""
