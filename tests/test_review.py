"""The review page: what it holds, and the page driven in a real browser with keys, to the CSV file that trains a network."""
import base64
import io
import json
import os
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from npgru import calibration, cli, review
from npgru.clips import read_manifest
from npgru.corpus import discover
from npgru.detections import About, Detection, Recording, write
from npgru.segments import Segment
from runs import FAST, npgru

SAFE = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]
PHONE, DESKTOP = (390, 844), (1280, 900)


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    """Recordings of 20 s with a chirp every 4 s, at 48 and 16 kHz; one name with a comma. Detections of all, and of one gone."""
    folder, rng = tmp_path_factory.mktemp("card"), np.random.default_rng(3)
    recordings = []
    for name, rate_hz in (("night, one.wav", 48000), ("two.flac", 16000), ("three.wav", 16000), ("four <b>.wav", 16000)):
        t, samples = np.arange(rate_hz) / rate_hz, 0.02 * rng.standard_normal(20 * rate_hz)
        for start in range(0, 20, 4):
            samples[start * rate_hz:][:rate_hz] += 0.2 * np.sin(2 * np.pi * (4000 + 500 * t) * t)
        soundfile.write(folder / name, samples, rate_hz)
        scores = rng.uniform(0.3, 1, 10).round(4)
        recordings.append(Recording(str(folder / name), 20.0, rate_hz, tuple(
            Detection(str(folder / name), 2.0 * k, 2.0 * k + 2, "Troglodytes hiemalis_Wren", float(score)) for k, score in enumerate(scores))))
    gone = str(folder / "gone.wav")
    recordings.append(Recording(gone, 20.0, 16000, (Detection(gone, 0.0, 2.0, "Wren", 0.6),)))
    with open(folder / "combined.csv", "wb") as file:
        write("csv", file, recordings, About(str(folder), 2000, 7500))
    return folder


@pytest.fixture(scope="module")
def page(card, tmp_path_factory):
    """The page of all detections, and what the command said."""
    path = tmp_path_factory.mktemp("page") / "review.html"
    process = npgru("review", card / "combined.csv", "-o", path, "--label", "Wren")
    assert process.returncode == 0, process.stderr
    return path, process.stderr


def cards(page):
    text = page[0].read_text()
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])["cards"]


def test_the_page_holds_pictures_and_sound_and_needs_nothing_else(page):
    text, found = page[0].read_text(), cards(page)
    assert not re.findall(r'(?:src|href)="?(?!data:)[a-z]+:|url\(|@import|<link', text) and "default-src 'none'" in text
    assert "four <b>" not in text                                     # a name cannot become a part of the page
    assert len(found) == 40 and [c["score"] for c in found] == sorted((c["score"] for c in found), reverse=True)
    assert "gone.wav: detection at 0 s: no such file" in page[1] and "1 skipped" in page[1]
    for c in found[::7]:
        samples, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(c["sound"].partition(",")[2])))
        assert rate_hz == (24000 if "night" in c["name"] else 16000) and abs(len(samples) / rate_hz - c["seconds"]) < 1e-3
        assert abs(np.abs(samples).max() - 0.9) < 1e-3
        start, width = c["box"]
        assert abs(c["from_s"] + start * c["seconds"] - c["start_s"]) < 1e-3 and abs(width * c["seconds"] - 2) < 2e-3
        assert base64.b64decode(c["picture"].partition(",")[2])[:8] == b"\x89PNG\r\n\x1a\n"


def test_the_same_detections_give_the_same_page(page, card, tmp_path):
    assert npgru("review", card / "combined.csv", "-o", tmp_path / "review.html", "--label", "Wren").returncode == 0
    assert (tmp_path / "review.html").read_bytes() == page[0].read_bytes()


@pytest.mark.parametrize("hz, rate_hz", [(1000, 16000), (6000, 16000), (9000, 24000)])
def test_a_tone_is_a_line_at_its_frequency(hz, rate_hz):
    tone = np.sin(2 * np.pi * hz * np.arange(rate_hz) / rate_hz).astype(np.float32)
    db = review.spectrogram_db(Segment(Detection("/x", 0, 1, "Wren", 1.0), tone, rate_hz, 0.0))
    assert db.shape == (review.N_ROWS, review.N_COLUMNS) and db.max() == 0
    row_hz = rate_hz / 2 / review.N_ROWS
    assert np.abs((review.N_ROWS - np.argmax(db[:, 20:-20], axis=0)) * row_hz - hz).max() <= row_hz
    assert np.median(db) < -review.RANGE_DB


def test_refusals_are_one_line(card, tmp_path, capsys, monkeypatch):
    for options, says in ((["--min_conf", "1"], "no detection with a score of at least 1"), (["--pad", "99"], "pad_s=99.0; accepted: 0 to 60")):
        assert cli.main(["review", str(card / "combined.csv"), "-o", str(tmp_path / "p.html"), *options]) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and says in error and not (tmp_path / "p.html").exists()
    monkeypatch.setattr(review, "find_spec", lambda name: None)
    assert cli.main(["review", str(card / "combined.csv"), "-o", str(tmp_path / "p.html")]) == 1
    assert "pip install 'npgru[report]'" in capsys.readouterr().err


@pytest.fixture
def browser(tmp_path):
    """Headless Chromium that saves into tmp_path. Absent: the test is skipped, but on CI (CI=true) it fails."""
    programs = [shutil.which("chromium"), shutil.which("chromedriver")]
    if None in programs:
        message = "the page is driven in chromium by chromedriver, which are not installed (Debian: chromium, chromium-driver)"
        if os.environ.get("CI") == "true":
            pytest.fail(message + "; CI must have them")
        pytest.skip(message)
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for argument in [*SAFE, f"--user-data-dir={tmp_path / 'profile'}"]:
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path / "saved")})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(programs[1]))
    yield driver
    driver.quit()


def show_as(driver, size, scheme):
    width, height = size
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1,
                                                                  "mobile": width < 600})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})


def press(driver, *keys):
    from selenium.webdriver import ActionChains, Keys
    for key in keys:
        ActionChains(driver).send_keys(getattr(Keys, key) if len(key) > 1 else key).perform()


def wait_for(what, seconds=20):
    deadline = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert found
    return found


def state(driver):
    return driver.execute_script("return [current, {...verdicts}, document.getElementById('progress').textContent]")


def test_the_page_in_a_browser(page, browser, tmp_path):
    driver, found = browser, cards(page)
    driver.get(page[0].as_uri())
    assert state(driver) == [0, {}, "0 of 40 decided: 0 accepted, 0 rejected"]
    assert not driver.find_element("id", "save").is_enabled()
    wait_for(lambda: driver.execute_script("return sound.readyState") >= 3)              # it can play what is embedded
    assert abs(driver.execute_script("return sound.duration") - found[0]["seconds"]) < 0.01
    press(driver, "SPACE")
    wait_for(lambda: driver.execute_script("return !sound.paused && sound.currentTime > 0.1"))
    press(driver, "SPACE")
    assert driver.execute_script("return sound.paused")
    assert driver.execute_script("return [...document.images].every(i => i.loading === 'lazy' || i.naturalWidth === 360)")

    press(driver, "a", "R", "ARROW_RIGHT", "a")                                          # 0 yes, 1 no, 2 left out, 3 yes
    assert state(driver) == [4, {"0": "accept", "1": "reject", "3": "accept"}, "3 of 40 decided: 2 accepted, 1 rejected"]
    press(driver, "u")
    assert state(driver)[:2] == [3, {"0": "accept", "1": "reject"}]
    press(driver, "r", "ARROW_LEFT", "ARROW_LEFT", "a")                                  # 2 is decided after all
    assert state(driver)[:2] == [4, {"0": "accept", "1": "reject", "3": "reject", "2": "accept"}]
    driver.refresh()
    assert state(driver)[:2] == [4, {"0": "accept", "1": "reject", "3": "reject", "2": "accept"}]
    press(driver, "u")
    assert state(driver)[:2] == [2, {"0": "accept", "1": "reject", "3": "reject"}]       # what undo knows survives, too
    driver.find_element("id", "accept").click()
    press(driver, "SPACE")                                                               # plays, and does not press the button
    assert len(state(driver)[1]) == 4

    for size in (DESKTOP, PHONE):
        for scheme in ("light", "dark"):
            show_as(driver, size, scheme)
            wide, shown = driver.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
            assert wide <= shown == size[0]
            colour = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
            assert colour == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 23, 26)")
            for name in ("accept", "reject", "play"):
                box = driver.find_element("id", name).rect
                assert box["height"] >= 44 and 0 <= box["x"] <= box["x"] + box["width"] <= shown
    assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_decisions_become_a_manifest_that_trains_and_calibrates(page, browser, corpus, finished, tmp_path):
    driver, found, saved = browser, cards(page), tmp_path / "saved" / "review_decisions.csv"
    driver.get(page[0].as_uri())
    truth = [c["start_s"] % 4 == 0 for c in found]                                       # where the chirps are
    press(driver, *("a" if right else "r" for right in truth))
    assert driver.find_element("id", "finished").is_displayed()
    driver.find_element("id", "save").click()
    wait_for(saved.is_file)
    clips, notices, problems = read_manifest(saved)
    assert notices == problems == []
    assert [(str(clip.path), clip.class_name, clip.start_s, clip.end_s) for clip in clips] == [
        (c["path"], "Wren" if right else "Negatives", c["start_s"], c["end_s"]) for c, right in zip(found, truth)]
    assert discover(saved).clips                                                         # both classes, split by recording

    options = ["--from", finished, *FAST, "--set", "fine_tune.epochs=2", "--stages", "teacher"]
    alone = npgru("train", saved, "-o", tmp_path / "alone", *options)
    assert alone.returncode == 0 and "training clips" in alone.stdout, alone.stderr
    beside = npgru("train", corpus, "--also", saved, "-o", tmp_path / "beside", *options)
    assert beside.returncode == 0 and "40 further clips: 40 for train" in beside.stderr and "64 training clips" in beside.stdout
    decisions = calibration.read_decisions(saved)
    assert decisions.right.tolist() == truth and decisions.score.tolist() == [c["score"] for c in found]
    assert set(decisions.recording) == {str(Path(c["path"]).with_suffix("")) for c in found}
