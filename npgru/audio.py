"""Sound file -> samples (n,) float32, mono, at a known rate, in blocks; refusals that say what to do.

Anything libsndfile reads, at any rate, with any number of channels. A ten-hour file never sits in
memory: it is read, mixed to mono, resampled and searched for its loudest slice block by block.
What cannot be used is refused with an `AudioError`: one line that names the file.
"""
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import chain

import numpy as np
import soundfile
import soxr

from . import mp3
from .features import loudest_slice_bounds, to_int16

MIN_RATE_HZ, MAX_RATE_HZ = 1_000, 1_000_000     # slower is no sound, faster than any recorder
MAX_BLOCK_VALUES = 1 << 20                      # frames times channels of one block: 4 MB
MAX_READ_S = 3600                               # read() takes it all into memory: 230 MB at 16 kHz
SHORT_S = 0.1                                   # a stream this much shorter than stated is not damaged
ABSURD = np.float32(1e6)                        # full scale is 1; a damaged float may be 1e38 and overflow every sum
UNKNOWN_FRAMES = 1 << 62                        # libsndfile states 2^63 - 1 where the header states nothing
ACCEPTED = "accepted: WAV, FLAC, MP3, Ogg, AIFF and what else libsndfile reads"
NOTHING = np.zeros(0, np.float32)
CONVERT = "convert it, for example with: ffmpeg -i in out.flac"
NOT_READ = {b"ftyp": "MP4/M4A (AAC)", b"\x1aE\xdf\xa3": "WebM/Matroska", b"0&\xb2u": "WMA", b"#!AMR": "AMR"}
# Lines of libsndfile's log "name : stated (should be there)", in bytes: WAV, AU, AIFF, SVX, RF64, W64.
SHORT_CHUNK = re.compile(r"^\s*(?:data|Data Size|SSND|BODY|Riff size|riff)\s*:\s*(\d+) \(should be (\d+)\)", re.M)
STREAMED = (range(0x7FFFF000, 0x80000000), range(0xFFFFF000, 0x100000000))   # sizes that writers to a pipe leave


class AudioError(ValueError):
    """A sound file that cannot be used. str() is one line: file, what was found, what is accepted, what to do."""

    def __init__(self, path, reason: str):
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self):
        return f"{printable(self.path)}: {self.reason}"


@dataclass(frozen=True)
class Info:
    """What the header of a sound file says, checked against the file."""
    sample_rate_hz: int
    channels: int
    n_frames: int               # samples of one channel that can be read
    container: str              # libsndfile's name, such as "WAV PCM_16"
    warnings: tuple[str, ...]   # the file is used, but this should be known (a truncated file)
    comment: str = ""           # what the recorder or a person wrote into the file

    @property
    def duration_s(self) -> float:
        return self.n_frames / self.sample_rate_hz


def printable(path) -> str:
    """A path as one line of valid text, whatever bytes its name holds."""
    text = os.fsencode(path).decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def info(path) -> Info:
    """Rate, channels, length and warnings of a sound file.

    Reads the header only, except where it states no length (some MP3 and FLAC): those are decoded and counted.
    raises  AudioError if the file cannot be opened as sound, or holds no samples.
    """
    with _opened(path) as (sound, stated):
        n_frames = stated if stated is not None else sum(len(b) for b in mono_blocks(path, sound, None, (0, None)))
        if n_frames == 0:
            raise AudioError(path, _no_samples(path))
        warnings = _cut_short(path, sound, n_frames / sound.samplerate)
        return Info(sound.samplerate, sound.channels, n_frames, f"{sound.format} {sound.subtype}", warnings, sound.comment)


def blocks(path, sample_rate_hz: int, start_s: float = 0.0, end_s: float | None = None,
           block_s: float = 1.0) -> Iterator[np.ndarray]:
    """A recording from start_s to end_s (None or later than its end: to its end), block by block.

    Channels are averaged in float32; NaN becomes 0. Resampling is soxr HQ with its state carried over
    the blocks: joined, they equal soxr.resample of the whole, bit for bit, whatever block_s is.

    yields  (n,) float32 at sample_rate_hz, full scale 1.0, n >= 1 about block_s sample_rate_hz, not constant
    raises  AudioError. Where a compressed stream is damaged, after the blocks before the damage.
    """
    with _opened(path) as (sound, stated):
        frames, n = _frame_range(path, sound, stated, start_s, end_s), 0
        for mono in resampled(mono_blocks(path, sound, stated, frames, block_s), sound.samplerate, sample_rate_hz):
            n += len(mono)
            yield mono
        if n == 0:
            raise AudioError(path, f"the part from {start_s} s to {'its end' if end_s is None else f'{end_s} s'} is "
                                   f"less than one sample at {sample_rate_hz} Hz; accepted: at least 1; use a longer one")


def resampled(monos: Iterable[np.ndarray], rate_hz: int, sample_rate_hz: int) -> Iterator[np.ndarray]:
    """Blocks (n,) float32 at rate_hz -> blocks (n,), n >= 1, at sample_rate_hz; the same values whatever the blocks are."""
    resampler = None if rate_hz == sample_rate_hz else soxr.ResampleStream(
        rate_hz, sample_rate_hz, 1, dtype="float32", quality="HQ")
    for mono in chain(monos, [None]):                                                      # None: the end
        if resampler:
            mono = resampler.resample_chunk(NOTHING if mono is None else mono, last=mono is None)
        if mono is not None and len(mono):
            yield mono


def read(path, sample_rate_hz: int, start_s: float = 0.0, end_s: float | None = None) -> np.ndarray:
    """The same as `blocks`, joined: (n,) float32 at sample_rate_hz. For short things.

    raises  AudioError, also for more than MAX_READ_S seconds; the size is checked before memory is taken.
    """
    duration_s = min(info(path).duration_s, np.inf if end_s is None else end_s) - start_s
    if duration_s > MAX_READ_S:
        raise AudioError(path, f"{duration_s:.0f} s are too long to hold in memory; accepted: up to {MAX_READ_S} s; "
                               "give start_s and end_s, or use npgru.audio.blocks")
    return np.concatenate(list(blocks(path, sample_rate_hz, start_s, end_s)))


def loudest_slice(path, sample_rate_hz: int, slice_samples: int, start_s: float = 0.0,
                  end_s: float | None = None) -> np.ndarray:
    """The slice_samples around the loudest moment of a recording: features.loudest_slice, in one pass.

    Keeps two slices and one block, however long the recording is: the slice at the highest peak so far,
    and the last samples read, for a peak in the next block or a slice that the end pushes back.

    returns (slice_samples,) int16, zeros after the end of a shorter recording
    raises  AudioError; ValueError if slice_samples < 1
    Source: the BioDCASE-Tiny 2025 challenge; see features.loudest_slice_bounds.
    """
    if slice_samples < 1:
        raise ValueError(f"slice_samples={slice_samples}; accepted: at least 1")
    best = recent = np.zeros(0, np.int16)       # slice that starts at `start`; the last samples read
    n_samples = peak_at = start = 0
    peak = -32769                               # below any int16
    for block in blocks(path, sample_rate_hz, start_s, end_s):
        samples = to_int16(block)
        recent = np.concatenate([recent, samples])
        first = n_samples + len(samples) - len(recent)              # where `recent` starts in the recording
        at = int(np.argmax(samples))                                # first of equal maxima
        if samples[at] > peak:
            peak, peak_at = int(samples[at]), n_samples + at
            start = max(peak_at - slice_samples // 2, 0)
            best = recent[start - first:start - first + slice_samples]
        elif len(best) < slice_samples:
            best = np.concatenate([best, samples[:slice_samples - len(best)]])
        n_samples += len(samples)
        recent = recent[-slice_samples:]
    true_start, end = loudest_slice_bounds(n_samples, peak_at, slice_samples)
    chosen = best if true_start == start else recent                # the end pushed the slice back
    out = np.zeros(slice_samples, np.int16)
    n_used = min(end, n_samples) - true_start
    out[:n_used] = chosen[:n_used]
    return out


@contextmanager
def _opened(path):
    """-> a SoundFile that reads forward only, and the frames its header states (None: nothing to trust)."""
    head = _first_bytes(path)
    sound = _sound_file(path, os.fsencode(path) if os.name == "posix" else os.fspath(path), head)
    length, first_byte = mp3.length_kind(path) if sound.format == "MP3" else ("exact", 0)
    with sound, ExitStack() as stack:
        if length == "unstated":
            file = stack.enter_context(closing(mp3.Unlimited(path, first_byte)))
            sound = stack.enter_context(_sound_file(path, file, head))
        if not MIN_RATE_HZ <= sound.samplerate <= MAX_RATE_HZ:
            raise AudioError(path, f"its header says {sound.samplerate} Hz; accepted: {MIN_RATE_HZ} to {MAX_RATE_HZ} "
                                   "Hz; the header is damaged or this is no sound, record or convert it again")
        sound.seekable = lambda: False          # else soundfile seeks after every read, which MP3 cannot do exactly
        yield sound, sound.frames if length == "exact" and sound.frames < UNKNOWN_FRAMES else None


def _sound_file(path, source, head):
    """soundfile.SoundFile of `source`, a name (bytes: it need not be UTF-8) or a file object, or AudioError."""
    try:
        return soundfile.SoundFile(source)
    except (RuntimeError, TypeError, ValueError, OSError) as error:
        raise AudioError(path, _why_not_opened(error, head)) from None


def _first_bytes(path) -> bytes:
    """The first 16 bytes; AudioError for what is no readable, non-empty file."""
    try:
        is_file = stat.S_ISREG(os.stat(path).st_mode)
        if is_file:
            with open(path, "rb") as file:
                head = file.read(16)
    except FileNotFoundError:
        raise AudioError(path, "no such file; accepted: a sound file; check the name and the folder") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise AudioError(path, f"cannot be read ({why}); accepted: a readable sound file; "
                               "check its permissions and the disk") from None
    if not is_file:
        raise AudioError(path, "is a folder or a device; accepted: a sound file; give the file itself")
    if not head:
        raise AudioError(path, f"is empty (0 bytes); {ACCEPTED}; copy or record it again")
    return head


def _why_not_opened(error, head) -> str:
    """libsndfile's refusal in the words of AudioError. head: the file's first bytes."""
    known = [name for magic, name in NOT_READ.items() if magic in head[:8]]
    if known:
        return f"is {known[0]}, which libsndfile does not read; {ACCEPTED}; {CONVERT}"
    if getattr(error, "code", None) == 1:       # SF_ERR_UNRECOGNISED_FORMAT
        return f"is not a sound file (it starts with {head!r}); {ACCEPTED}; {CONVERT}, or remove it"
    why = str(error).rpartition("': ")[2].strip().rstrip(".") or "malformed file"
    return f"cannot be opened as sound ({' '.join(why.split())}); {ACCEPTED}; {CONVERT}, or copy it again"


def _frame_range(path, sound, stated, start_s, end_s):
    """Seconds -> (first frame, end frame or None) at the rate of the file, checked."""
    if not start_s >= 0 or not (end_s is None or end_s > start_s):
        raise AudioError(path, f"start_s={start_s}, end_s={end_s}; accepted: 0 <= start_s < end_s, in seconds")
    if stated == 0:
        raise AudioError(path, _no_samples(path))
    start = round(start_s * sound.samplerate)
    if stated is not None and start >= stated:
        raise AudioError(path, _after_end(start_s, stated / sound.samplerate))
    end = None if end_s is None or end_s == np.inf else round(end_s * sound.samplerate)
    return start, stated if end is None else end if stated is None else min(end, stated)


def mono_blocks(path, sound, stated, frames, block_s=1.0):
    """Frames start to end (None: all there are) of an open file -> (n,) float32, mean of the channels."""
    start, end = frames
    n_block = int(max(1, min(block_s * sound.samplerate, MAX_BLOCK_VALUES // sound.channels)))
    at = 0
    try:
        if start and stated is not None and sound.format != "MP3":      # after a seek, MP3 differs in the last bits
            at = sound.seek(start)
        while end is None or at < end:
            n_wanted = n_block if end is None else min(n_block, end - at)
            data = sound.read(n_wanted, dtype="float32", always_2d=True)        # (n, channels)
            skip, at = max(start - at, 0), at + len(data)
            if len(data) > skip:
                yield _mono(data[skip:])
            if len(data) < n_wanted:
                break
    except RuntimeError as error:
        why = " ".join(str(error).removeprefix("Error : ").split()).rstrip(".")
        raise AudioError(path, _damaged(at, sound.samplerate, why)) from None
    if stated is None and at <= start:
        raise AudioError(path, _after_end(start / sound.samplerate, at / sound.samplerate) if at else _no_samples(path))
    if stated is not None and end - at > SHORT_S * sound.samplerate:
        raise AudioError(path, f"only {at / sound.samplerate:.2f} s of the {stated / sound.samplerate:.2f} s that its "
                               "header states can be decoded, it is damaged; accepted: an undamaged file; copy it again")


def _mono(data):
    """(n, channels) float32 -> (n,): the mean. One NaN or infinity would spread over a resampled block."""
    if not -ABSURD < data.min(initial=0.0) <= data.max(initial=0.0) < ABSURD:       # false for NaN
        data = np.nan_to_num(data, nan=0.0, posinf=1.0, neginf=-1.0).clip(-ABSURD, ABSURD)
    if data.shape[1] == 1:
        return data[:, 0]
    mono = data[:, 0].copy()
    for channel in data.T[1:]:                  # mean(axis=1) is 4 times slower
        mono += channel
    return mono / np.float32(data.shape[1])


def _cut_short(path, sound, there_s):
    """A tuple of at most one warning: the header states more than is there, or cannot state what is there."""
    if sound.format in ("WAV", "WAVEX") and os.path.getsize(path) > 2**32:
        return (f"has {os.path.getsize(path)} bytes, but a WAV header counts to 4 GB: only {there_s:.2f} s of it are read; "
                "rewrite it, for example with: sox --ignore-length in.wav out.w64",)
    stated_s = 0.0
    for stated, there in SHORT_CHUNK.findall(sound.extra_info):
        if int(there) > 0 and not any(int(stated) in sizes for sizes in STREAMED):
            stated_s = there_s * int(stated) / int(there)
    if sound.format == "MP3" and mp3.length_kind(path)[0] == "cut":
        stated_s = sound.frames / sound.samplerate
    if stated_s <= there_s:
        return ()
    return (f"cut short: its header states {stated_s:.2f} s, {there_s:.2f} s are there; what is there is used",)


def _no_samples(path):
    n_bytes = os.path.getsize(path) if os.path.isfile(path) else 0                        # "-": standard input
    hint = ("record it again, or remove it" if n_bytes < 4096 else f"it has {n_bytes} bytes, so the recorder may have "
            "stopped before it wrote the length; repair the header, for example with: sox --ignore-length in.wav out.wav")
    return f"holds no samples (0 s); accepted: at least 1 sample; {hint}"


def _after_end(start_s, duration_s):
    return f"start_s={start_s:g} is after the end of the recording; accepted: below {duration_s:.3f} s; correct start_s"


def _damaged(at, rate_hz, why):
    use = f", or use it up to there (end_s={at / rate_hz:.2f})" if at else ", or remove it"
    return f"decoding broke after {at / rate_hz:.2f} s ({why}); accepted: an undamaged file; copy it again{use}"
