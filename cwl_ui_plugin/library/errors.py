"""What can go wrong in the store.

LibraryError
├── UnknownWorkflow    no such workflow, or no such version
├── UnknownSchedule    no such schedule, or one that can't be read
├── DamagedManifest    what the workflows were at some time can't be read any more
├── NotCompiled        a version has to be compiled again before it can be used
├── BadDagId           a name that can't be a dag_id
├── BadUpload          the upload can't be unpacked or has no main file
├── UploadTooLarge     more bytes or files than allowed
├── DamagedArchive     what was fetched as a version is none
└── StoreAway          the bucket that machines share workflows by can't be asked, or written to
"""

from __future__ import annotations


class LibraryError(Exception):
    """Base of this layer's errors; ``str()`` is a message for users."""


class UnknownWorkflow(LibraryError):
    """No such workflow, or no such version of it."""


class UnknownSchedule(LibraryError):
    """No such schedule, or one that this version of the plugin can't read."""


class DamagedManifest(LibraryError):
    """What the current versions of all workflows were at some time can't be read any more."""


class NotCompiled(LibraryError):
    """What a version was compiled to can't be read by this version of the plugin; it has to be compiled again."""


class BadDagId(LibraryError):
    """A name that can't be a dag_id."""


class BadUpload(LibraryError):
    """The upload can't be used as it is."""


class UploadTooLarge(BadUpload):
    """More bytes or files than allowed."""


class DamagedArchive(LibraryError):
    """What was fetched as a revision of a workflow is none."""


class StoreAway(LibraryError):
    """The bucket by which machines share workflows can't be asked now, or not be written to."""
