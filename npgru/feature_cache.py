"""Features on disk, one small file per clip: keyed by the sound and the configuration, never by a name or a date.

Safe when several processes write, when one is killed and when a disk is full: a file appears whole, by a rename,
and carries a checksum; what does not match is computed again. The folder may be deleted at any time.
"""
import hashlib
import io
import json
import os
import secrets
from dataclasses import asdict
from pathlib import Path

import numpy as np
import platformdirs
import soundfile
import soxr

from .front_end import FrontEnd

FORMAT_VERSION = 1      # raise it when features of the same sound and configuration change
DIGEST_BYTES = 32


def default_folder() -> Path:
    """$NPGRU_CACHE, or the user's cache folder."""
    return Path(os.environ.get("NPGRU_CACHE") or platformdirs.user_cache_dir("npgru", appauthor=False))


class FeatureCache:
    """Features (T, M) uint16 of one configuration. `failure` says why nothing is written any more, or is None."""

    def __init__(self, folder: Path, front_end: FrontEnd, slice_samples: int):
        self.folder, self.failure = Path(folder) / "features", None
        self.shape = front_end.n_frames(slice_samples), front_end.mel_n_channels
        configuration = {"front_end": asdict(front_end), "slice_samples": slice_samples, "format": FORMAT_VERSION,
                         "soxr": soxr.__version__, "libsndfile": soundfile.__libsndfile_version__}
        self._configuration = json.dumps(configuration, sort_keys=True).encode()
        self._digests = {}                                  # path -> sha256 of its bytes; for many parts of one file
        npy = io.BytesIO()
        np.lib.format.write_array_header_1_0(npy, {"descr": "<u2", "fortran_order": False, "shape": self.shape})
        self._header = npy.getvalue()

    def key(self, path: Path, start_s: float, end_s: float | None) -> str:
        """64 hex digits of the bytes of the file, the part of it, and the configuration. raises OSError."""
        digest = self._digests.get(path)
        if digest is None:
            content = hashlib.sha256()
            with open(path, "rb", buffering=0) as file:
                while chunk := file.read(1 << 20):
                    content.update(chunk)
            digest = self._digests[path] = content.digest()
        part = f"{float(start_s)} {end_s and float(end_s)}".encode()
        return hashlib.sha256(self._configuration + digest + part).hexdigest()

    def path(self, key: str) -> Path:
        """Where the features of a key are, or would be."""
        return self.folder / key[:2] / f"{key}.npy"

    def get(self, key: str) -> tuple[np.ndarray, str] | None:
        """Features (T, M) uint16 and a notice about the sound (or ""); None where there are none, or damaged ones."""
        try:
            content = self.path(key).read_bytes()
        except OSError:
            return None
        start, end = len(self._header), len(self._header) + 2 * self.shape[0] * self.shape[1]
        payload, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
        if len(payload) < end or payload[:start] != self._header or hashlib.sha256(payload).digest() != digest:
            return None
        features = np.frombuffer(payload[start:end], "<u2").astype(np.uint16).reshape(self.shape)
        return features, payload[end:].decode(errors="replace")

    def put(self, key: str, features: np.ndarray, notice: str) -> None:
        """Write features (T, M) uint16 and a notice: a .npy file with the notice and a sha256 after the array.

        Never raises for a full or read-only disk: `failure` is set, and nothing is written from then on.
        """
        if self.failure:
            return
        path = self.path(key)
        unfinished = path.with_name(f"{key}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
        payload = self._header + features.astype("<u2").tobytes() + notice.encode(errors="replace")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                unfinished.write_bytes(payload + hashlib.sha256(payload).digest())
                os.replace(unfinished, path)
            finally:
                unfinished.unlink(missing_ok=True)          # after a failure or an interruption
        except OSError as error:
            self.failure = (f"{self.folder}: features cannot be kept there ({error.strerror}), they are computed each "
                            "time; set NPGRU_CACHE to a folder that can be written")
