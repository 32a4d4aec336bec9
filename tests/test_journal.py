"""The journal: what was finished is found again, whatever cut it off."""
import pytest

from npgru.detect import Heard
from npgru.detections import Detection, Recording
from npgru.journal import Journal

ODD = b"/card/\xff\n\"x\".wav".decode("utf-8", "surrogateescape")


def heard(path, n=2):
    found = tuple(Detection(path, 2.0 * k, 2.0 * k + 2, "Wren", 1 - 2.0**-30 / (k + 1), "2023-05-01T04:30:00.000Z") for k in range(n))
    return Heard(Recording(path, 60.0, 16000, found), 30, "2023-05-01T04:30:00.000Z", ("cut short",))


def written(path, names):
    journal = Journal(path, "Wren")
    for k, name in enumerate(names):
        journal.add(heard(name, k), (k, 5))
    journal.close()
    return path


def test_what_was_added_is_given_back(tmp_path):
    journal = Journal(written(tmp_path / "j", ["/a.wav", ODD, "/c.wav"]), "Wren")
    assert journal.get(ODD) == heard(ODD, 1) and journal.get("/c.wav") == heard("/c.wav", 2) and journal.get("/d.wav") is None
    assert list(journal.paths()) == ["/a.wav", ODD, "/c.wav"]


def test_a_recording_that_changed_is_not_finished(tmp_path):
    journal = Journal(written(tmp_path / "j", ["/a.wav", "/b.wav"]), "Wren")
    assert journal.get("/b.wav", (1, 5)) and not journal.get("/b.wav", (2, 5)) and not journal.get("/b.wav", (1, 6))


@pytest.mark.parametrize("tail", [b'{"path": "/d.wav", "detec', b"\0" * 100, b"{}\n", b"[1]\n", b"7\n", b"\xff\xfe\n"])
def test_a_damaged_end_is_taken_away(tail, tmp_path):
    whole = written(tmp_path / "j", ["/a.wav", "/b.wav"]).read_bytes()
    (tmp_path / "j").write_bytes(whole + tail)
    journal = Journal(tmp_path / "j", "Wren")
    journal.add(heard("/c.wav"), (1, 1))
    assert list(journal.paths()) == ["/a.wav", "/b.wav", "/c.wav"] and (tmp_path / "j").read_bytes().startswith(whole + b'{"path"')


def test_every_cut_leaves_the_lines_before_it(tmp_path):
    whole = written(tmp_path / "j", ["/a.wav", "/b.wav", "/c.wav"]).read_bytes()
    for n in range(0, len(whole), 37):
        (tmp_path / "j").write_bytes(whole[:n])
        journal = Journal(tmp_path / "j", "Wren")
        assert len(list(journal.paths())) == whole[:n].count(b"\n")
        journal.close()


def test_sorted_it_has_the_same_bytes_in_whatever_order_it_was_written(tmp_path):
    for name, order in (("j", "cab"), ("k", "abbc")):
        journal = Journal(tmp_path / name, "Wren")
        for letter in order:
            journal.add(heard(f"/{letter}.wav"), (1, 1))
        journal.sort()
        assert journal.get("/b.wav") == heard("/b.wav")
        journal.add(heard("/d.wav"), (1, 1))                    # and goes on
        assert journal.get("/d.wav") == heard("/d.wav")
        journal.close()
    assert (tmp_path / "j").read_bytes() == (tmp_path / "k").read_bytes()


def test_two_cannot_write_one(tmp_path):
    pytest.importorskip("fcntl")
    journal = Journal(written(tmp_path / "j", ["/a.wav"]), "Wren")
    with pytest.raises(BlockingIOError, match="another `npgru detect` writes into it"):
        Journal(tmp_path / "j", "Wren")
    journal.close()
    Journal(tmp_path / "j", "Wren").close()
