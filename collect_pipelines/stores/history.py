"""The versions of a table's manifest, one object each. Putting the next one, if nobody has, is the commit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from collect_pipelines.errors import Fenced, TransientError
from collect_pipelines.stores.manifest import Manifest, file_name, seal, unseal, version_of
from collect_pipelines.stores.objects import Missing, Objects

KEPT_VERSIONS = 50
KEPT_FOR = timedelta(minutes=10)
"""A merge that took longer, while many versions were committed, is given up."""
_LOOKS = 5


class History:
    """Reads and commits the manifests below one folder."""

    def __init__(self, objects: Objects, folder: str, form_id: str) -> None:
        self._objects = objects
        self.folder = folder
        self.form_id = form_id
        self._known: Manifest | None = None

    def newest(self) -> Manifest:
        """Load the newest manifest, or an empty one; costs one listing, and one read if it changed."""
        for _ in range(_LOOKS):
            version = max(self.versions(), default=0)
            if version == 0:
                return Manifest(self.form_id)
            if self._known is None or self._known.version != version:
                try:
                    self._known = self.read(version)
                except Missing:  # many versions were committed and collected since the listing
                    continue
            return self._known
        raise TransientError(f"the manifests in {self.folder} change too fast to be read")

    def versions(self) -> list[int]:
        """List the versions that are kept, in order."""
        found = map(version_of, self._objects.list(self.folder))
        return [version for version in found if version is not None]

    def read(self, version: int) -> Manifest:
        """Load one version, or raise Missing."""
        key = self._key(version)
        return unseal(self._objects.get(key), key)

    def commit(self, manifest: Manifest) -> Manifest:
        """Make a manifest the newest; raises AlreadyThere if its version is taken, Fenced if the table is far ahead."""
        body, digest = seal(manifest)
        self._objects.put_if_absent(self._key(manifest.version), body)
        self._refuse_a_hole(manifest.version, digest)
        self._known = replace(manifest, sha256=digest)
        return self._known

    def settle(self, version: int) -> None:
        """Make a version that was read survive a power loss, before anything is based on it elsewhere."""
        if version:
            self._objects.settle(self._key(version))

    def condemned(self, names: Iterable[str], *, after: int, upto: int) -> bool:
        """Tell whether a version in between gave up one of the files; True too if that can no longer be known."""
        wanted = set(names)
        try:
            between = (self.read(version) for version in range(after + 1, upto + 1))
            return any(retired.name in wanted for manifest in between for retired in manifest.retired)
        except Missing:
            return True

    def forget_old(self, now: datetime) -> int:
        """Delete versions that are neither among the newest nor recent; return how many."""
        recent, old = (now - KEPT_FOR).timestamp(), list[int]()
        for version in self.versions()[:-KEPT_VERSIONS]:
            try:
                old += [version] if self._objects.written_at_seconds(self._key(version)) < recent else []
            except Missing:  # another collector was faster
                continue
        for version in old:
            self._objects.delete(self._key(version))
        return len(old)

    def _refuse_a_hole(self, version: int, digest: str) -> None:
        """Raise Fenced if the version was free only because it had been collected long ago.

        A writer that slept while others committed and collected many versions finds its number free again.
        """
        later = [number for number in self.versions() if number > version]
        try:
            if later and (later[0] != version + 1 or self.read(later[0]).prev_sha256 != digest):
                raise Fenced(f"{self.folder} moved on to version {later[-1]} during the commit of {version}")
        except Missing as error:
            raise Fenced(f"{self.folder} moved on during the commit of {version}") from error

    def _key(self, version: int) -> str:
        return f"{self.folder}/{file_name(version)}"
