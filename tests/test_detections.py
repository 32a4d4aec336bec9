"""Tables of detections: each format read back by a reader that is not ours, to the letter; and by ours."""
import csv
import dataclasses
import io
import sys

import pyarrow.parquet
import pytest

from npgru import detections
from npgru.detections import About, Detection, DetectionsError, Recording

ABOUT = About("/card", 2000.0, 7500.0)
TIT = "Parus major_Great Tit"
NASTY = 'a "quoted", comma;\ttab\nline é.wav'


def recordings(utc=""):
    """Three recordings: two detections, none, one with a name that no table likes."""
    return [Recording("/card/a.wav", 10.5, 48000, (Detection("/card/a.wav", 0.0, 2.0, TIT, 0.75, utc),
                                                   Detection("/card/a.wav", 8.064, 10.5, TIT, 1 - 2**-30, utc))),
            Recording("/card/b/c.wav", 3.25, 16000, ()),
            Recording(f"/card/b/{NASTY}", 2.0, 8000, (Detection(f"/card/b/{NASTY}", 0.0, 2.0, "Wren", 0.625, ""),))]


def written(kind, some, about=ABOUT):
    file = io.BytesIO()
    detections.write(kind, file, some, about)
    return file.getvalue()


def strict_tsv(content):
    """Lines of equally many fields between tabs; no quotes, no carriage returns, a newline at the very end."""
    text = content.decode("utf-8")
    assert not text or text.endswith("\n") and "\r" not in text
    rows = [line.split("\t") for line in text.split("\n")[:-1]]
    assert len({len(row) for row in rows}) <= 1
    return rows


def test_a_raven_table_runs_on_over_the_recordings_and_offsets_do_not():
    header, *rows = strict_tsv(written("table", recordings()))
    assert header == ["Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)",
                      "Species", "Confidence", "Begin Path", "File Offset (s)"]
    assert rows[0] == ["1", "Spectrogram 1", "1", "0.000000", "2.000000", "2000", "7500", "Great Tit", "0.7500",
                       "/card/a.wav", "0.000000"]
    assert rows[1][:5] == ["2", "Spectrogram 1", "1", "8.064000", "10.500000"] and rows[1][10] == "8.064000"
    assert rows[2][0] == "3" and rows[2][3:7] == ["13.750000", "15.750000", "2000", "4000"]   # after 10.5 s and 3.25 s; 8 kHz
    assert rows[2][10] == "0.000000" and len(rows) == 3


def test_audacity_labels_have_three_columns_and_no_header():
    rows = strict_tsv(written("audacity", recordings()))
    assert rows == [["0.000000", "2.000000", "Great Tit 0.7500"], ["8.064000", "10.500000", "Great Tit 1.0000"],
                    ["13.750000", "15.750000", "Wren 0.6250"]]


def test_kaleidoscope_names_folders_below_the_root_and_gives_a_distance():
    header, *rows = csv.reader(io.StringIO(written("kaleidoscope", recordings()).decode()))
    assert header == ["INDIR", "FOLDER", "IN FILE", "OFFSET", "DURATION", "TOP1MATCH", "TOP1DIST"]
    assert rows[0] == ["/card", "", "a.wav", "0.0", "2.0", "Great Tit", "0.2500"]
    assert rows[2] == ["/card", "b", NASTY, "0.0", "2.0", "Wren", "0.3750"]


def test_csv_keeps_every_digit():
    header, *rows = csv.reader(io.StringIO(written("csv", recordings()).decode()))
    assert header == ["Start (s)", "End (s)", "Scientific name", "Common name", "Confidence", "File"]
    assert rows[0] == ["0.0", "2.0", "Parus major", "Great Tit", "0.75", "/card/a.wav"]
    assert float(rows[1][4]) == 1 - 2**-30 and rows[2] == ["0.0", "2.0", "Wren", "Wren", "0.625", f"/card/b/{NASTY}"]


def test_parquet_has_the_columns_of_the_csv(tmp_path, monkeypatch):
    monkeypatch.setattr(detections, "ROW_GROUP", 2)
    (tmp_path / "x.parquet").write_bytes(written("parquet", recordings()))
    table = pyarrow.parquet.read_table(tmp_path / "x.parquet")
    assert table.column_names == list(detections.CSV_COLUMNS) and table.num_rows == 3
    assert [str(field.type) for field in table.schema] == ["double", "double", "string", "string", "double", "string"]
    assert table["Confidence"].to_pylist() == [0.75, 1 - 2**-30, 0.625] and table["Start (s)"].to_pylist()[1] == 8.064
    assert pyarrow.parquet.ParquetFile(tmp_path / "x.parquet").num_row_groups == 2


@pytest.mark.parametrize("kind, column", [("table", "Begin Time (UTC)"), ("csv", "Start (UTC)"),
                                          ("kaleidoscope", "Start (UTC)"), ("parquet", "Start (UTC)")])
def test_a_known_time_of_day_is_one_column_more(kind, column, tmp_path):
    about, utc = dataclasses.replace(ABOUT, utc=True), "2023-05-01T04:30:00.000Z"
    content = written(kind, recordings(utc), about)
    if kind == "parquet":
        rows = pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist()
    else:
        rows = list(csv.DictReader(io.StringIO(content.decode()), delimiter="\t" if kind == "table" else ","))
    assert list(rows[0])[-1] == column and [row[column] or "" for row in rows] == [utc, utc, ""]


@pytest.mark.parametrize("kind", ["table", "audacity", "csv", "kaleidoscope", "parquet"])
def test_no_detections_are_a_table_without_rows(kind):
    content = written(kind, [Recording("/card/a.wav", 10.5, 48000, ())])
    if kind == "parquet":
        assert pyarrow.parquet.read_table(io.BytesIO(content)).num_rows == 0
    else:
        assert content.count(b"\n") == (kind != "audacity")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_read_gives_back_what_was_written(kind, tmp_path):
    name = NASTY.replace("\t", " ").replace("\n", " ") if kind == "parquet" else NASTY      # a parquet name is printable
    some = recordings()
    some[2] = Recording(f"/card/b/{name}", 2.0, 8000, (some[2].detections[0]._replace(file=f"/card/b/{name}"),))
    (tmp_path / f"combined{detections.ENDINGS[kind]}").write_bytes(written(kind, some))
    assert detections.read(tmp_path) == [d for recording in some for d in recording.detections]


def test_read_takes_a_raven_table_to_the_digits_it_has(tmp_path):
    (tmp_path / "x.txt").write_bytes(written("table", recordings()[:1]))
    first, second = detections.read(tmp_path / "x.txt")
    assert first == ("/card/a.wav", 0.0, 2.0, "Great Tit", 0.75, "")
    assert second == ("/card/a.wav", 8.064, 10.5, "Great Tit", 1.0, "")


def test_names_of_files_that_are_not_utf8_survive_the_csv(tmp_path):
    path = b"/card/\xff.wav".decode("utf-8", "surrogateescape")
    row = Detection(path, 0.0, 2.0, "Wren", 0.5)
    (tmp_path / "x.csv").write_bytes(written("csv", [Recording(path, 2.0, 16000, (row,))]))
    assert detections.read(tmp_path / "x.csv") == [row]


@pytest.mark.parametrize("text, says", [
    ("", "has the columns (none)"), ("a,b\n1,2\n", "has the columns a, b; accepted: Start (s)"),
    ("Start (s),End (s),Scientific name,Common name,Confidence,File\nx,2,W,W,0.5,a.wav\n", "row 2"),
    ("Start (s),End (s),Scientific name,Common name,Confidence,File\n0,2,W,W,0.5,a.wav\n3,2,W,W,0.5,a.wav\n", "row 3"),
    ("Start (s),End (s),Scientific name,Common name,Confidence,File\n0,2,W,W,nan,a.wav\n", "score nan"),
    ("Start (s),End (s),Scientific name,Common name,Confidence,File\n0\n", "row 2")])
def test_other_tables_are_refused_in_one_line(text, says, tmp_path):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(DetectionsError, match="x.csv") as caught:
        detections.read(tmp_path / "x.csv")
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_without_pyarrow_parquet_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DetectionsError, match=r"pip install 'npgru\[parquet\]'"):
        written("parquet", [])
