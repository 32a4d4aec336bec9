"""When a recording began: names and metadata of AudioMoth and Wildlife Acoustics recorders, and damaged ones."""
import struct
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgru import audio
from npgru.recorded_at import iso, parsed_offset, recorded_at
from soundcheck import noise, write

HALF_PAST_FOUR = "2023-05-01T04:30:00.000Z"


def riff(*chunks, kind=b"RIFF"):
    """A WAVE file of these chunks (name, content); an odd content gets its padding."""
    body = b"".join(struct.pack("<4sI", name, len(content)) + content + b"\0" * (len(content) % 2) for name, content in chunks)
    return kind + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def wamd(*fields):
    return b"".join(struct.pack("<HI", number, len(content)) + content for number, content in fields)


FORMAT, DATA = (b"fmt ", bytes.fromhex("0100010080bb000000770100") + b"\2\0\x10\0"), (b"data", bytes(5))


@pytest.mark.parametrize("name, begun", [
    ("20230501_043000.WAV", HALF_PAST_FOUR),                            # AudioMoth: UTC
    ("20230501_043000T.WAV", HALF_PAST_FOUR),                           # triggered
    ("20230501T063000+0200_REC.flac", HALF_PAST_FOUR),                  # its name says it
    ("BAR_20230501_013000-0300.wav", HALF_PAST_FOUR),
    ("SMA00001_20230501_043000.wav", ""),                               # Wildlife Acoustics: local, nobody knows where
    ("20230532_043000.WAV", ""), ("20230501_246000.WAV", ""), ("19700101_000000.WAV", ""),
    ("20230501.WAV", ""), ("song.wav", ""), ("1120230501_043000.WAV", ""), ("20230501_0430001.WAV", "")])
def test_names(name, begun):
    assert iso(recorded_at(f"/card/{name}")) == begun


@pytest.mark.parametrize("name", ["SMA00001_20230501_063000.wav", "S4A03895_0+1_20230501_063000.wav",
                                  "SMM_20230501_063000_000.wav"])
def test_local_names_with_an_offset_given(name):
    assert iso(recorded_at(name, local_offset=timedelta(hours=2))) == HALF_PAST_FOUR
    assert iso(recorded_at("20230501_043000.WAV", local_offset=timedelta(hours=2))) == HALF_PAST_FOUR    # still UTC


def test_milliseconds_of_a_name():
    assert iso(recorded_at("SMM_20230501_063000_250.wav", local_offset=timedelta(hours=2))) == "2023-05-01T04:30:00.250Z"


@pytest.mark.parametrize("zone, begun", [
    ("(UTC)", HALF_PAST_FOUR), ("(UTC+2)", "2023-05-01T02:30:00.000Z"), ("(UTC-5)", "2023-05-01T09:30:00.000Z"),
    ("(UTC+5:30)", "2023-04-30T23:00:00.000Z"), ("(UTC-3:30)", "2023-05-01T08:00:00.000Z"), ("(UTC+99)", ""),
    ("(GMT)", "")])
def test_the_comment_of_an_audiomoth(zone, begun):
    comment = f"Recorded at 04:30:00 01/05/2023 {zone} by AudioMoth 24F3190361D2A5D7 at medium gain while battery was 4.1V."
    assert iso(recorded_at("renamed.wav", comment)) == begun


def test_a_comment_is_believed_before_the_name_and_read_from_the_file(tmp_path, rng):
    path = write(tmp_path / "20200101_000000.wav", noise(rng, 100))
    info = b"INFO" + struct.pack("<4sI", b"ICMT", 60) + b"Recorded at 06:30:00 01/05/2023 (UTC+2) by AudioMoth X".ljust(60, b"\0")
    with open(path, "ab") as file:
        file.write(struct.pack("<4sI", b"LIST", len(info)) + info)
    assert iso(recorded_at(path, audio.info(path).comment)) == HALF_PAST_FOUR


@pytest.mark.parametrize("chunk, begun", [
    ((b"guan", b"GUANO|Version: 1.0\nTimestamp: 2023-05-01T06:30:00+02:00\nMake: Wildlife Acoustics"), HALF_PAST_FOUR),
    ((b"guan", b"GUANO|Version: 1.0\r\nTimestamp: 2023-05-01T04:30:00.250Z\r\n"), "2023-05-01T04:30:00.250Z"),
    ((b"guan", b"GUANO|Version: 1.0\nTimestamp: 2023-05-01T06:30:00\n"), ""),                # local
    ((b"guan", b"Timestamp: yesterday"), ""), ((b"guan", b"\xff\xfe\0"), ""), ((b"guan", b""), ""),
    ((b"wamd", wamd((0, b"\1\0"), (1, b"SM4"), (5, b"2023-05-01 06:30:00+02:00"))), HALF_PAST_FOUR),
    ((b"wamd", wamd((5, b"2023-05-01 06:30:00"))), ""), ((b"wamd", struct.pack("<HI", 1, 2**32 - 1)), "")])
@pytest.mark.parametrize("kind", [b"RIFF", b"RF64"])
def test_chunks(chunk, begun, kind, tmp_path):
    (tmp_path / "x.wav").write_bytes(riff(FORMAT, DATA, chunk, kind=kind))
    assert iso(recorded_at(tmp_path / "x.wav")) == begun


def test_a_local_time_in_a_chunk_takes_the_offset_given(tmp_path):
    (tmp_path / "x.wav").write_bytes(riff(FORMAT, (b"guan", b"Timestamp: 2023-05-01 06:30:00"), DATA))
    assert iso(recorded_at(tmp_path / "x.wav", local_offset=timedelta(hours=2))) == HALF_PAST_FOUR


def test_a_chunk_behind_more_than_4_gb_of_samples(tmp_path):
    n_bytes = 2**32 + 2
    with open(tmp_path / "x.wav", "wb") as file:                        # a hole: it takes no room on the disk
        sizes = struct.pack("<QQQI", 0, n_bytes, n_bytes // 2, 0)
        file.write(b"RF64" + struct.pack("<I", 2**32 - 1) + b"WAVE" + struct.pack("<4sI", b"ds64", len(sizes)) + sizes)
        file.write(struct.pack("<4sI", b"data", 2**32 - 1))
        file.seek(n_bytes, 1)
        text = b"Timestamp: 2023-05-01T04:30:00Z"
        file.write(struct.pack("<4sI", b"guan", len(text)) + text)
    assert iso(recorded_at(tmp_path / "x.wav")) == HALF_PAST_FOUR


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 120), st.binary(max_size=8))
def test_damaged_files_give_a_time_or_none(tail, cut, patch):
    import tempfile
    whole = riff(FORMAT, (b"wamd", wamd((5, b"2023-05-01 06:30:00+02:00"))), (b"guan", b"Timestamp: 2023-05-01T06:30:00+02:00"))
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        file.write(whole[:cut] + patch + whole[cut + len(patch):] + tail)
        file.flush()
        begun = recorded_at(file.name)
    assert begun is None or begun.utcoffset() == timedelta(0)


def test_iso_adds_seconds():
    assert iso(recorded_at("20230501_043000.WAV"), 3599.9999) == "2023-05-01T05:29:59.999Z" and iso(None, 5) == ""


@pytest.mark.parametrize("text, hours", [("+02:00", 2), ("-0330", -3.5), ("Z", 0), ("+14:00", 14)])
def test_offsets(text, hours):
    assert parsed_offset(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "2", "+2", "+15:00", "+02:60", "UTC", "+02:00 "])
def test_other_offsets_are_refused(text):
    with pytest.raises(ValueError, match="accepted: an offset"):
        parsed_offset(text)


def test_the_odd_audiomoth_file(shared_data):
    path = shared_data / "odd" / "audiomoth_metadata.wav"
    assert iso(recorded_at(path, audio.info(path).comment)) == "2024-05-28T10:00:00.000Z"
