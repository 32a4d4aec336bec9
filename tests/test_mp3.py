"""MP3 files whose headers do not tell their length are read whole."""
import numpy as np
import pytest
import soundfile

from npgru import audio, mp3

RATE_HZ = 16000


@pytest.fixture
def vbr(tmp_path, rng):
    """40 s at varying bit rate: the middle is silent, so an estimate from the first frames is far too short."""
    loud = rng.standard_normal(RATE_HZ * 10) * 0.2
    path = tmp_path / "vbr.mp3"
    soundfile.write(path, np.r_[loud, np.zeros(RATE_HZ * 20), loud], RATE_HZ, bitrate_mode="VARIABLE",
                    compression_level=0.2)
    return path


def without_header(content):
    """The file without its first frame, which holds the Xing header."""
    return content[content.index(content[:2], 4):]


def tag(n_bytes):
    """An ID3v2 tag with one picture, n_bytes long."""
    def size(n):
        return bytes(n >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\4\0\0" + size(n_bytes - 10) + b"APIC" + size(n_bytes - 20) + b"\0\0" + bytes(n_bytes - 20)


def test_a_true_header_is_believed(vbr):
    assert mp3.length_kind(vbr) == ("exact", 0)
    assert audio.info(vbr).n_frames == len(audio.read(vbr, RATE_HZ)) == 40 * RATE_HZ
    vbr.write_bytes(vbr.read_bytes() + b"TAG" + bytes(125))                     # ID3v1
    assert mp3.length_kind(vbr) == ("exact", 0) and audio.info(vbr).n_frames == 40 * RATE_HZ


@pytest.mark.parametrize("tag_bytes", [0, 1000, 300_000])
def test_without_a_header_the_estimate_of_libsndfile_does_not_cut_it(vbr, tag_bytes):
    whole = audio.read(vbr, RATE_HZ)
    vbr.write_bytes((tag(tag_bytes) if tag_bytes else b"") + without_header(vbr.read_bytes()))
    assert mp3.length_kind(vbr) == ("unstated", tag_bytes)
    samples = audio.read(vbr, RATE_HZ)
    assert audio.info(vbr).n_frames == len(samples) >= 40 * RATE_HZ and not audio.info(vbr).warnings
    delay = len(samples) - len(whole)                                           # the codec's, no longer cut off
    assert max(np.corrcoef(samples[d:d + 9999], whole[:9999])[0, 1] for d in range(delay)) > 0.999


def test_a_cut_file_is_used_with_a_warning(vbr):
    whole, content = audio.read(vbr, RATE_HZ), vbr.read_bytes()
    for n_bytes in (len(content) // 2, len(content) // 3 + 77):
        vbr.write_bytes(content[:n_bytes])
        info = audio.info(vbr)
        assert mp3.length_kind(vbr)[0] == "cut" and "40.00 s" in info.warnings[0]
        samples = audio.read(vbr, RATE_HZ)
        assert len(samples) == info.n_frames < 40 * RATE_HZ
        assert np.array_equal(samples[:-2000], whole[:len(samples) - 2000])
    vbr.write_bytes(without_header(content)[:-100])                             # in the middle of a frame
    assert audio.info(vbr).n_frames > 39 * RATE_HZ


def test_joined_files_are_read_to_the_last(vbr):
    content = vbr.read_bytes()
    vbr.write_bytes(content + content)
    kind, first_byte = mp3.length_kind(vbr)
    assert kind == "unstated" and content[first_byte:first_byte + 2] == content[:2]
    samples = audio.read(vbr, RATE_HZ)
    assert 80 * RATE_HZ <= len(samples) < 80.5 * RATE_HZ and np.abs(samples[-9 * RATE_HZ:]).max() > 0.1
    assert np.array_equal(audio.read(vbr, RATE_HZ, 50.0, 70.5), samples[50 * RATE_HZ:int(70.5 * RATE_HZ)])


def test_the_file_object_ends_where_the_file_does(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(bytes(range(100)))
    file, buffer = mp3.Unlimited(path, 10), bytearray(64)
    assert file.readinto(buffer) == 64 and buffer == bytes(range(10, 74))
    assert file.readinto(buffer) == 64 and buffer == bytes(range(74, 100)) + bytes(38)
    assert file.readinto(buffer) == 0 and file.tell() == 128
    assert file.seek(-128, 2) == mp3.CLAIM * 100 and file.readinto(buffer) == 64 and not any(buffer)
    assert file.seek(0) == 0 and file.seek(5, 1) == 5 and file.readinto(buffer) == 64 and buffer[0] == 15
    file.close()
