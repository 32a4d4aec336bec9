"""Sound files of every kind are read as what they are, whatever the rate, the channels and the blocks."""
import csv
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import soxr

from npgru import audio, features
from soundcheck import joined, noise, refusal, write
from tolerances import (SOUND_8_BIT, SOUND_CHANNEL_MEAN, SOUND_HALF_RATE, SOUND_MU_LAW, SOUND_RESAMPLED, SOUND_STEP,
                        SOUND_STEP_28_DB, SOUND_VORBIS)

MEMORY_LIMIT = 30 << (20 if sys.platform == "darwin" else 10)  # 30 MB in the unit of ru_maxrss; the samples have 77
REFUSED = {"empty_0_samples.wav": "holds no samples", "not_audio.wav": "not a sound file"}
N_AT_16K = {"stereo_44k1_16bit.wav": 80000, "audiomoth_metadata.wav": 32000, "digital_silence_2s.wav": 32000,
            "esc10_rooster.ogg": 80016, "mono_48k.mp3": 96208, "stereo_44k1.mp3": 96357, "truncated_data.wav": 31998,
            "short_1_sample.wav": 1, "short_10ms.wav": 160, "short_50ms.wav": 800, "short_just_under_1s.wav": 15999,
            "short_2s_minus_1_sample.wav": 31999, "short_2s_plus_1_sample.wav": 32001}    # all others: 64000


def test_every_odd_file_is_read_to_its_length_or_refused(shared_data):
    with open(shared_data / "odd" / "README.csv", newline="") as file:
        names = [row["file"] for row in csv.DictReader(file)]
    assert len(names) == 28
    for name in names:
        path = shared_data / "odd" / name
        if name in REFUSED:
            assert REFUSED[name] in refusal(path)
            continue
        samples = audio.read(path, 16000)
        assert samples.shape == (N_AT_16K.get(name, 64000),) and samples.dtype == np.float32, name
        whole = features.loudest_slice(features.to_int16(samples), 32000)
        assert np.array_equal(audio.loudest_slice(path, 16000, 32000), whole), name
        assert bool(audio.info(path).warnings) == (name == "truncated_data.wav")


def test_one_excerpt_is_the_same_sound_in_every_format(shared_data):
    excerpt = audio.read(shared_data / "odd" / "mono_16k.flac", 16000)
    resampled = ("mono_48k_24bit.wav", "mono_48k_32bit_int.wav", "mono_48k_float32.wav", "mono_22k05_16bit.wav",
                 "stereo_48k_extensible_24bit.wav", "mono_96k_16bit.wav", "truncated_data.wav")
    limits = dict.fromkeys(resampled, SOUND_RESAMPLED)
    limits |= {"mono_16k_u8.wav": SOUND_8_BIT, "mono_16k_ulaw.wav": SOUND_MU_LAW}
    for name, limit in limits.items():
        samples = audio.read(shared_data / "odd" / name, 16000)
        assert np.abs(samples - excerpt[:len(samples)]).max() <= limit, name
    soundscape = audio.read(shared_data / "soundscapes" / "XC694890_great_tit.flac", 16000, 3.5, 7.5)
    assert np.array_equal(soundscape, excerpt)                          # FLAC, a part of it
    eight = audio.read(shared_data / "odd" / "mono_8k_16bit.wav", 16000)
    below = soxr.resample(soxr.resample(excerpt, 16000, 8000), 8000, 16000)
    assert np.abs(eight - below).max() < SOUND_HALF_RATE


def test_levels_are_kept(shared_data):
    excerpt, clipped, quiet, offset, silence = (audio.read(shared_data / "odd" / name, 16000) for name in (
        "mono_16k.flac", "clipped_16k.wav", "quiet_16k.wav", "dc_offset_16k.wav", "digital_silence_2s.wav"))
    assert np.abs(clipped - np.clip(excerpt * 10**(28 / 20), -1, 32767 / 32768)).max() < SOUND_STEP_28_DB
    assert np.abs(quiet - excerpt * 10**(-60 / 20)).max() < SOUND_STEP
    assert np.abs(offset - (0.5 * excerpt + 0.4)).max() < SOUND_STEP
    assert not silence.any()


def test_short_files_are_padded_with_zeros(shared_data):
    longest = audio.loudest_slice(shared_data / "odd" / "short_2s_plus_1_sample.wav", 16000, 32001)
    for name in ("short_1_sample.wav", "short_10ms.wav", "short_50ms.wav", "short_just_under_1s.wav",
                 "short_2s_minus_1_sample.wav"):
        clip = audio.loudest_slice(shared_data / "odd" / name, 16000, 32000)
        n = N_AT_16K[name]
        assert np.array_equal(clip[:n], longest[:n]) and not clip[n:].any() and clip.shape == (32000,)


def test_compressed_files_hold_the_sound_they_were_made_from(shared_data):
    def best_correlation(a, b):                                         # over all delays
        n = 1 << 18
        delay = np.argmax(np.fft.irfft(np.fft.rfft(a, n) * np.conj(np.fft.rfft(b, n)), n))
        n = min(len(a) - delay, len(b))
        return np.corrcoef(a[delay:delay + n], b[:n])[0, 1]
    def odd(name):
        return audio.read(shared_data / "odd" / name, 16000)

    assert best_correlation(odd("mono_48k.mp3"), odd("mono_16k.flac")) > 0.9999
    assert best_correlation(odd("stereo_44k1.mp3"), odd("stereo_44k1_16bit.wav")) > 0.95
    clip = next((shared_data / "great_tit").rglob("Rooster_ESC1-26806-A_000100ms.wav"))
    assert np.abs(odd("esc10_rooster.ogg")[1600:33600] - audio.read(clip, 16000)).max() < SOUND_VORBIS


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("rate_hz, channels", [(16000, 1), (16000, 2), (44100, 1), (48000, 2)])
def test_the_result_does_not_depend_on_the_block_size(tmp_path, rng, suffix, rate_hz, channels):
    path = write(tmp_path / f"a.{suffix}", noise(rng, 30011, channels), rate_hz)
    whole = joined(path, 16000, block_s=100.0)
    for block_s in (0.01, 0.33, 1.0):
        assert np.array_equal(joined(path, 16000, block_s=block_s), whole)
        part = joined(path, 16000, start_s=0.1, end_s=0.4, block_s=block_s)
        assert np.array_equal(part, joined(path, 16000, start_s=0.1, end_s=0.4, block_s=9.0))
        if rate_hz == 16000:
            assert np.array_equal(part, whole[1600:6400])
    if suffix in ("wav", "flac"):       # what soundfile.read gives for MP3 depends on its own blocks
        mono = soundfile.read(path, dtype="float32", always_2d=True)[0].mean(axis=1, dtype=np.float32)
        assert np.array_equal(whole, mono if rate_hz == 16000 else soxr.resample(mono, rate_hz, 16000))


@pytest.mark.parametrize("rate_hz", [4000, 8000, 11025, 22050, 32000, 192000, 250000, 384000, 16001])
def test_any_rate_gives_the_length_of_soxr(tmp_path, rng, rate_hz):
    path = write(tmp_path / "a.wav", noise(rng, 7 * rate_hz // 5 + 1), rate_hz)
    mono = soundfile.read(path, dtype="float32")[0]
    assert np.array_equal(joined(path, 16000), soxr.resample(mono, rate_hz, 16000))
    assert audio.info(path).n_frames == len(mono) and audio.info(path).sample_rate_hz == rate_hz


@pytest.mark.parametrize("channels", [3, 8, 64, 1000])
def test_any_number_of_channels_is_averaged(tmp_path, rng, channels):
    data = noise(rng, 4001, channels)
    path = write(tmp_path / "a.wav", data, subtype="FLOAT")
    assert np.abs(joined(path, 16000) - data.mean(axis=1)).max() < SOUND_CHANNEL_MEAN
    assert np.array_equal(joined(path, 16000, block_s=0.05), joined(path, 16000))
    assert audio.info(path).channels == channels


def test_the_loudest_slice_is_that_of_the_whole_signal(tmp_path):
    n, slice_samples = 5000, 600
    block_s = 1000 / 16000
    for peaks in ([0], [4999], [299], [300], [301], [4700], [4701], [999], [1000], [1001], [1999, 2000], [10, 3000],
                  [2999, 3000, 3001], [999, 4999], []):
        signal = np.random.default_rng(3).integers(-90, 90, n).astype(np.int16)
        signal[peaks] = 20000
        signal[2500] = -30000                                           # the maximum is signed
        path = write(tmp_path / "a.wav", signal, subtype="PCM_16")
        blocks = audio.blocks
        try:
            audio.blocks = lambda *args: blocks(*args, block_s=block_s)
            found = audio.loudest_slice(path, 16000, slice_samples)
            longer = audio.loudest_slice(path, 16000, n + 7)
            odd = audio.loudest_slice(path, 16000, 601, start_s=0.05, end_s=0.2)
        finally:
            audio.blocks = blocks
        converted = features.to_int16(signal.astype(np.float32) / 32768)
        assert np.array_equal(found, features.loudest_slice(converted, slice_samples)), peaks
        assert np.array_equal(longer, features.loudest_slice(converted, n + 7)), peaks
        assert np.array_equal(odd, features.loudest_slice(converted[800:3200], 601)), peaks
    with pytest.raises(ValueError, match="slice_samples=0"):
        audio.loudest_slice(path, 16000, 0)


def test_nan_and_infinity_stay_where_they_are(tmp_path, rng):
    data = noise(rng, 48000)[:, 0]
    clean = data.copy()
    data[1000], data[2000], data[3000], data[4000] = np.nan, np.inf, -np.inf, 3e38
    clean[1000], clean[2000], clean[3000], clean[4000] = 0, 1, -1, audio.ABSURD
    samples = joined(write(tmp_path / "a.wav", data, 48000, subtype="FLOAT"), 16000)
    assert np.array_equal(samples, joined(write(tmp_path / "b.wav", clean, 48000, subtype="FLOAT"), 16000))


def test_a_flac_that_does_not_state_its_length_is_read_to_its_end(tmp_path, rng):
    path = write(tmp_path / "a.flac", noise(rng, 50000))
    whole, content = joined(path, 16000), bytearray(path.read_bytes())
    content[21] &= 0xF0                                                 # 36 bits: total samples
    content[22:26] = bytes(4)
    path.write_bytes(content)
    assert audio.info(path).n_frames == 50000 and np.array_equal(joined(path, 16000), whole)
    assert np.array_equal(joined(path, 16000, start_s=2.0, end_s=2.5), whole[32000:40000])
    assert "after the end" in refusal(path, lambda p: audio.blocks(p, 16000, 4.0))


def test_parts_of_a_recording(tmp_path, rng):
    path = write(tmp_path / "a.wav", noise(rng, 16000))
    whole = joined(path, 16000)
    assert np.array_equal(audio.read(path, 16000, 0.25, 0.5), whole[4000:8000])
    assert np.array_equal(audio.read(path, 16000, 0.75, 99), whole[12000:])
    for start_s, end_s in ((-1, None), (0.5, 0.5), (0.5, 0.2), (float("nan"), None), (1.0, None), (7, 9)):
        assert "start_s" in refusal(path, lambda p: audio.blocks(p, 16000, start_s, end_s))


def test_a_long_file_is_refused_by_read_and_searched_in_bounded_memory(tmp_path):
    path = tmp_path / "hour.wav"
    with soundfile.SoundFile(path, "w", 48000, 1, "PCM_16") as file:    # silence after the first second: a sparse file
        file.write(np.r_[np.zeros(9999), 0.5, np.zeros(38000)])
    n_bytes = 44 + 2 * 48000 * 3601
    with open(path, "r+b") as file:
        file.truncate(n_bytes)
        for at, value in ((4, n_bytes - 8), (40, n_bytes - 44)):
            file.seek(at)
            file.write(value.to_bytes(4, "little"))
    assert "3601 s are too long" in refusal(path, lambda p: audio.read(p, 16000))
    code = ("import resource, sys; from npgru import audio; audio.read(sys.argv[1], 16000, 0, 1);"
            "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; before = peak();"
            "x = audio.loudest_slice(sys.argv[1], 16000, 32000, 0, 1200); print(len(x), x.argmax(), peak() - before)")
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    n, peak_at, extra = map(int, done.stdout.split())
    assert (n, peak_at) == (32000, 3333) and extra < MEMORY_LIMIT
