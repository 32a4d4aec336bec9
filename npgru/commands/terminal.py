"""What people see beside the result, on standard error."""
import os
import sys
import time
from contextlib import contextmanager


def progress_bar(iterable, **about):
    """tqdm on standard error: from half a second on, and seldom where nobody watches (a log file)."""
    from tqdm import tqdm
    return tqdm(iterable, leave=False, delay=0.5, mininterval=0.1 if sys.stderr.isatty() else 10, **about)


def note(text: str) -> None:
    """One line for people, beside the result."""
    print(f"npgru: {text}", file=sys.stderr)


def tell_problems(notices, problems) -> None:
    """What is worth knowing of the data; the clips that were left out, each with its reason, and their count."""
    for text in [*notices, *(f"skipped {problem}" for problem in problems)]:
        note(text)
    if problems:
        note(f"{len(problems)} skipped, see above")


MOST_TOLD = 20          # bad files told one by one; all are in a table


class ArchiveBar:
    """Progress over recordings: files, hours of sound, times real time, time left (by bytes: no file need be opened)."""

    def __init__(self, bar, n_files):
        self._bar, self._n_files, self._n, self._n_bad = bar, n_files, 0, 0
        self._begun, self._new_s, self._part_s, self._old_s = time.monotonic(), 0.0, 0.0, 0.0

    def heard(self, seconds: float) -> None:
        """Of a recording that is not finished yet."""
        self._part_s += seconds
        self._show()

    def add(self, path, heard, reason: str, new: bool) -> None:
        """A recording is finished (new: just now, not in a run before), or skipped for a reason."""
        self._n, self._part_s = self._n + 1, 0.0
        if reason:
            self._n_bad += 1
            if self._n_bad <= MOST_TOLD:
                self._bar.write(f"npgru: skipped {path}: {reason}", file=sys.stderr)
        for text in heard.warnings if heard and new else ():
            self._bar.write(f"npgru: {path}: {text}", file=sys.stderr)
        seconds = heard.recording.duration_s if heard else 0.0
        self._new_s, self._old_s = self._new_s + new * seconds, self._old_s + (not new) * seconds
        self._show()
        self._bar.update(_n_bytes(path))

    def _show(self):
        new_s = self._new_s + self._part_s
        speed = new_s / max(1e-3, time.monotonic() - self._begun)
        self._bar.set_postfix_str(f"{self._n}/{self._n_files} files, {(new_s + self._old_s) / 3600:.2f} h, {speed:.0f} x real time",
                                  refresh=False)


@contextmanager
def archive_bar(paths):
    """An ArchiveBar of these files."""
    with progress_bar(None, total=sum(map(_n_bytes, paths)) or None, unit="B", unit_scale=True, desc="detect") as bar:
        yield ArchiveBar(bar, len(paths))


def _n_bytes(path):
    try:
        return os.path.getsize(path)
    except OSError:
        return 0
