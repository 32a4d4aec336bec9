"""Sound files made for a test, and the check of a refusal."""
import numpy as np
import pytest
import soundfile

from npgru import audio
from npgru.audio import AudioError


def noise(rng, n, channels=1):
    """(n, channels) float64, about -20 dB of full scale."""
    return (rng.standard_normal((n, channels)) * 0.1).clip(-0.9, 0.9)


def write(path, samples, rate_hz=16000, **how):
    soundfile.write(path, samples, rate_hz, **how)
    return path


def joined(path, rate_hz, **how):
    """All blocks as one array."""
    return np.concatenate(list(audio.blocks(path, rate_hz, **how)))


def refusal(path, call=audio.info):
    """The message with which a file is refused; it is one line and names the file."""
    with pytest.raises(AudioError) as caught:
        result = call(path)
        if not isinstance(result, audio.Info):      # blocks: refused when the first, or the damaged one, is asked for
            list(result)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(audio.printable(path)) and "accepted:" in message
    return message
