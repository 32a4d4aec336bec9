"""Raw samples without a header, such as a recorder pipes them, -> samples at a known rate, in blocks."""
from collections.abc import Iterator

import numpy as np
import soundfile

from .audio import MAX_RATE_HZ, MIN_RATE_HZ, AudioError, mono_blocks, resampled

# ffmpeg's and arecord's names in small letters -> libsndfile's encoding and byte order.
ENCODINGS = {"u8": ("PCM_U8", "FILE"), "s16le": ("PCM_16", "LITTLE"), "s16be": ("PCM_16", "BIG"),
             "s24le": ("PCM_24", "LITTLE"), "s32le": ("PCM_32", "LITTLE"), "f32le": ("FLOAT", "LITTLE")}
MAX_CHANNELS = 1024         # libsndfile's


def blocks(descriptor: int, rate_hz: int, channels: int, encoding: str, sample_rate_hz: int,
           block_s: float = 1.0) -> Iterator[np.ndarray]:
    """Raw samples from an open file descriptor, to its end: the blocks that a WAV file of the same samples gives.

    descriptor  a pipe, a file; it stays open
    encoding    a key of ENCODINGS, channels interleaved
    yields      (n,) float32 at sample_rate_hz, full scale 1.0, as npgru.audio.blocks
    raises      ValueError for numbers out of range; AudioError if not one sample comes
    """
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ or not 1 <= channels <= MAX_CHANNELS or encoding not in ENCODINGS:
        raise ValueError(f"raw samples with rate {rate_hz} Hz, {channels} channel(s), encoding {encoding!r}; accepted: "
                         f"{MIN_RATE_HZ} to {MAX_RATE_HZ} Hz, 1 to {MAX_CHANNELS} channels, {', '.join(ENCODINGS)}")
    subtype, endian = ENCODINGS[encoding]
    with soundfile.SoundFile(descriptor, format="RAW", subtype=subtype, endian=endian, samplerate=rate_hz,
                             channels=channels, closefd=False) as sound:
        sound.seekable = lambda: False          # a pipe is not
        n = 0
        for mono in resampled(mono_blocks("-", sound, None, (0, None), block_s), rate_hz, sample_rate_hz):
            n += len(mono)
            yield mono
        if n == 0:
            raise AudioError("-", "standard input holds less than one sample; accepted: raw samples without a header; check "
                                  "what is piped in")
