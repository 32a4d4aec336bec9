"""Raw samples from a pipe."""
import os
import threading
import time

import numpy as np
import pytest

from npgru import pcm
from npgru.audio import AudioError


def piped(content, pieces=1, **how):
    """All blocks of bytes that come through a real pipe, some at a time."""
    reading, writing = os.pipe()

    def write():
        for k in range(pieces):
            os.write(writing, content[len(content) * k // pieces:len(content) * (k + 1) // pieces])
            time.sleep(0.01)
        os.close(writing)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        return np.concatenate(list(pcm.blocks(reading, **{"rate_hz": 16000, "channels": 1, "encoding": "s16le",
                                                          "sample_rate_hz": 16000, **how})))
    finally:
        thread.join()
        os.close(reading)


def test_every_int16_comes_through(rng):
    samples = rng.permutation(np.arange(-32768, 32768)).astype("<i2")
    np.testing.assert_array_equal(piped(samples.tobytes(), pieces=7), samples / np.float32(32768))
    np.testing.assert_array_equal(piped(samples.byteswap().tobytes(), encoding="s16be"), samples / np.float32(32768))


def test_an_odd_byte_at_the_end_is_no_sample():
    assert len(piped(bytes(2001))) == 1000


def test_channels_are_averaged():
    samples = np.array([[0.5, -0.25], [1, 0]], "<f4")
    np.testing.assert_array_equal(piped(samples.tobytes(), channels=2, encoding="f32le"), [0.125, 0.5])


def test_nothing_is_refused():
    with pytest.raises(AudioError, match="^-: holds no samples"):
        piped(b"")


@pytest.mark.parametrize("how", [{"rate_hz": 999}, {"rate_hz": 1_000_001}, {"channels": 0}, {"channels": 1025}, {"encoding": "mp3"}])
def test_numbers_out_of_range_are_refused(how):
    with pytest.raises(ValueError, match="accepted: 1000 to 1000000 Hz, 1 to 1024 channels, u8, s16le"):
        piped(bytes(100), **how)
