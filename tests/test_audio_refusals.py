"""What cannot be used is refused in one line that names the file; what is damaged is never used in silence."""
import os

import numpy as np
import pytest

from npgru import audio
from npgru.audio import AudioError
from soundcheck import joined, noise, refusal, write


def test_what_is_no_sound_is_refused(tmp_path, rng):
    (tmp_path / "folder.wav").mkdir()
    contents = {"empty.wav": b"", "text.wav": b"this is not sound\n" * 9, "zeros.flac": bytes(4000), "riff.wav": b"RIFF",
                "header.wav": b"RIFF\0\0\0\0WAVE", "a.m4a": b"\0\0\0 ftypM4A \0\0\0\0" + bytes(99), "raw.raw": bytes(9),
                "random.mp3": rng.bytes(3000), "a.ogg": b"OggS" + bytes(99), "a.flac": b"fLaC" + bytes(99)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        refusal(tmp_path / name)
        refusal(tmp_path / name, lambda path: audio.blocks(path, 16000))
    assert "AAC" in refusal(tmp_path / "a.m4a") and "0 bytes" in refusal(tmp_path / "empty.wav")
    assert "no such file" in refusal(tmp_path / "missing.wav") and "folder" in refusal(tmp_path / "folder.wav")
    refusal(tmp_path / "nul\0.wav")
    if os.name == "posix":
        os.mkfifo(tmp_path / "pipe.wav")
        assert "device" in refusal(tmp_path / "pipe.wav")               # and does not wait for a writer
    if os.name == "posix" and os.geteuid() != 0:
        (tmp_path / "text.wav").chmod(0)
        assert "Permission" in refusal(tmp_path / "text.wav")


def test_absurd_headers_are_refused(tmp_path, rng):
    wav = bytearray(write(tmp_path / "a.wav", noise(rng, 9000)).read_bytes())
    def patched(at, value, n_bytes):
        path = tmp_path / "patched.wav"
        path.write_bytes(wav[:at] + value.to_bytes(n_bytes, "little") + wav[at + n_bytes:])
        return path
    for rate_hz in (0, 1, 999, 1_000_001, 2**31 - 1):
        assert "Hz" in refusal(patched(24, rate_hz, 4)) or rate_hz == 0
    for channels in (0, 2000):
        assert "hannel" in refusal(patched(22, channels, 2))
    refusal(patched(20, 0x1234, 2))                                     # a codec that does not exist
    assert "sox --ignore-length" in refusal(patched(40, 0, 4))          # the recorder lost power
    assert audio.info(patched(40, 2**32 - 1, 4)) == audio.Info(16000, 1, 9000, "WAV PCM_16", ())     # written to a pipe
    assert "one sample" in refusal(write(tmp_path / "b.wav", noise(rng, 1), 96000), lambda p: audio.blocks(p, 16000))


@pytest.mark.parametrize("name", ["a.wav", "a.aiff", "a.w64", "a.au", "a.rf64"])
def test_uncompressed_files_that_were_cut_short_are_used_with_a_warning(tmp_path, rng, name):
    path = write(tmp_path / name, noise(rng, 32000), format="RF64" if name == "a.rf64" else None)
    whole = joined(path, 16000)
    path.write_bytes(path.read_bytes()[:32001])
    info = audio.info(path)
    assert len(info.warnings) == 1 and "2.00 s" in info.warnings[0] or name == "a.w64" and "cut short" in info.warnings[0]
    assert 15000 < info.n_frames < 16000 and np.array_equal(joined(path, 16000), whole[:info.n_frames])


def damaged(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2:len(content) // 2 + 3000] = bytes(3000)
    path.write_bytes(content)
    return path


def test_a_damaged_flac_is_refused_where_it_breaks(tmp_path, rng):
    path = write(tmp_path / "a.flac", noise(rng, 16000 * 12))
    whole, before = joined(path, 16000), []
    damaged(path)
    with pytest.raises(AudioError) as caught:
        for block in audio.blocks(path, 16000):
            before.append(block)
    good_s = float(str(caught.value).split("after ")[1].split(" s")[0])
    assert 4 <= good_s <= 6 and "decoding broke" in refusal(path, lambda p: audio.blocks(p, 16000))
    assert np.array_equal(np.concatenate(before), whole[:round(good_s * 16000)])
    assert np.array_equal(audio.read(path, 16000, end_s=good_s), whole[:round(good_s * 16000)])      # its own advice
    path.write_bytes(path.read_bytes()[:60000])
    refusal(path, lambda p: audio.blocks(p, 16000))


def test_other_damaged_compressed_files_are_refused(tmp_path, rng):
    for suffix in ("ogg", "mp3"):
        path = damaged(write(tmp_path / f"a.{suffix}", noise(rng, 16000 * 12)))
        refusal(path, lambda p: audio.blocks(p, 16000))


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such names")
@pytest.mark.parametrize("name", ["a b.wav", "tÿ ü日本.wav", b"caf\xe9.wav", "a\nb.wav", "-x.wav", "%s{0}.wav"])
def test_any_file_name_works_and_is_printable(tmp_path, rng, name):
    path = os.path.join(tmp_path, os.fsdecode(name))
    write(tmp_path / "a.wav", noise(rng, 100)).rename(path)
    assert len(audio.read(path, 16000)) == 100
    with open(path, "wb") as file:
        file.write(b"text")
    refusal(path).encode()


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "aiff", "w64", "caf"])
def test_random_damage_gives_samples_or_a_refusal(tmp_path, rng, suffix):
    content = write(tmp_path / f"a.{suffix}", noise(rng, 9000, 2), 44100).read_bytes()
    for _ in range(40):
        changed = bytearray(content[:rng.integers(len(content))] if rng.random() < 0.3 else content)
        for at in rng.integers(0, rng.choice([60, 300, len(content)]), rng.integers(0, 9)):
            changed[at:at + 1] = rng.bytes(1)
        (tmp_path / f"b.{suffix}").write_bytes(changed)
        try:
            audio.info(tmp_path / f"b.{suffix}")
            assert audio.loudest_slice(tmp_path / f"b.{suffix}", 16000, 4000).shape == (4000,)
        except AudioError as error:
            assert "accepted:" in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("stated", [2**28, 2**32 - 1])
def test_a_wav_beyond_4_gb_warns_that_only_a_part_is_read(stated, tmp_path):
    """Such a header's size has wrapped around, or stopped at its largest; the file is a hole that takes no room."""
    path = write(tmp_path / "x.wav", np.zeros(1))
    with open(path, "r+b") as file:
        file.truncate(44 + 2**32 + 2**28)
        file.seek(40)
        file.write(stated.to_bytes(4, "little"))
    found = audio.info(path)
    assert found.n_frames == stated // 2 and "a WAV header counts to 4 GB: only" in found.warnings[0]
