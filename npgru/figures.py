"""The report's figures, one function each: arrays and words in, a matplotlib Figure out; bytes that never change.

All are narrow, so that text has the same size in each and is readable on a phone. Colours: Okabe and
Ito 2008, told apart by colour-blind readers; lines and markers differ in shape too.
"""
import io
import warnings
from contextlib import contextmanager

import numpy as np

from .audio import printable
from .front_end import MEL_BREAK_HZ, MEL_SCALE, FrontEnd, mel

WIDTH_IN, CLIP_WIDTH_IN, DPI = 4.8, 3.6, 180
BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9"
INK, GREY = "#1a1a1a", "#767676"
LINES = [(BLUE, "-", "o"), (VERMILION, "--", "s"), (GREEN, "-.", "^"), (PURPLE, ":", "D"),
         (ORANGE, (0, (5, 1, 1, 1, 1, 1)), "v"), (SKY, (0, (8, 2)), "P"), (INK, (0, (1, 2)), "X")]
STYLE = {"font.size": 9.5, "axes.titlesize": 9.5, "axes.spines.top": False, "axes.spines.right": False, "text.color": INK,
         "axes.labelcolor": INK, "axes.edgecolor": GREY, "xtick.color": INK, "ytick.color": INK, "lines.linewidth": 1.8,
         "legend.frameon": False, "svg.hashsalt": "npgru", "svg.fonttype": "path", "text.parse_math": False,
         "figure.constrained_layout.w_pad": 0.08, "figure.constrained_layout.h_pad": 0.08,
         "axes.formatter.use_mathtext": False, "image.cmap": "viridis"}
N_FREQUENCY_LABELS = 6
MAX_ROWS = 24                       # recordings in one figure
ZOOM_FROM = 0.8                     # the corner of good detectors, shown again and larger


@contextmanager
def style():
    """matplotlib with our settings and nobody else's, for drawing and for `encoded`."""
    import matplotlib
    with warnings.catch_warnings(), matplotlib.rc_context():
        warnings.filterwarnings("ignore", message="Glyph .* missing")           # a recording's name in another script
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def settle(figure):
    """Find the places of everything once, for both formats: that takes longer than drawing."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def encoded(figure, kind: str) -> bytes:
    """A figure as "png" or "svg": no date, no random ids."""
    file = io.BytesIO()
    figure.savefig(file, format=kind, dpi=DPI, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return file.getvalue()


def new_figure(height_in: float, n_rows: int = 1, width_in: float = WIDTH_IN):
    """-> Figure and its axes, one below the other."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(width_in, height_in), dpi=DPI, layout="constrained")
    return figure, figure.subplots(n_rows, 1, sharex=True, squeeze=False)[:, 0]


def shorten(text: str, n_characters: int) -> str:
    """A name of any length and content on one short line; its ends tell most, so the middle goes."""
    text, half = printable(text), (n_characters - 1) // 2
    return text if len(text) <= n_characters else f"{text[:half]}…{text[len(text) - (n_characters - 1 - half):]}"


def mel_centres_hz(front_end: FrontEnd) -> np.ndarray:
    """Where each band's triangle peaks, (M,) Hz: equal steps on the mel scale between the two ends."""
    low, high = mel(np.float32([front_end.mel_low_hz, front_end.mel_high_hz])).astype(float)
    M = front_end.mel_n_channels
    return float(MEL_BREAK_HZ) * np.expm1((low + (high - low) * np.arange(1, M + 1) / (M + 1)) / float(MEL_SCALE))


def level_db(x, front_end: FrontEnd):
    """Features, about 2^bits ln V -> 20 log10 V dB."""
    return np.asarray(x, float) * 20 / np.log(10) / 2 ** front_end.mel_post_scaling_bits


def show_log_mel(axes, x, front_end: FrontEnd, limits_db):
    """x (T, M) on axes: seconds to the right, bands upwards with the Hz of their centres; a frame is where its middle is."""
    T, M = x.shape
    left_s = (front_end.window_len - front_end.window_stride) / 2 / front_end.sample_rate_hz
    right_s = left_s + T * front_end.window_stride / front_end.sample_rate_hz
    image = axes.imshow(level_db(x, front_end).T, origin="lower", aspect="auto", interpolation="nearest",
                        extent=(left_s, right_s, -0.5, M - 0.5), vmin=limits_db[0], vmax=limits_db[1])
    bands = np.unique(np.linspace(0, M - 1, min(M, N_FREQUENCY_LABELS)).round().astype(int))
    axes.set_yticks(bands, [f"{hz:.0f}" for hz in mel_centres_hz(front_end)[bands]])
    axes.set_xlim(0, right_s)
    axes.spines[:].set_visible(False)
    return image


def spectrograms(panels: dict, front_end: FrontEnd, height_in: float, width_in: float = WIDTH_IN):
    """{title: x (T, M)} one below the other, all with the first one's colours: its 5th percentile to its maximum."""
    figure, all_axes = new_figure(height_in, len(panels), width_in)
    first_db = level_db(next(iter(panels.values())), front_end)
    limits_db = np.percentile(first_db, 5), max(first_db.max(), np.percentile(first_db, 5) + 1)
    for axes, (title, x) in zip(all_axes, panels.items()):
        image = show_log_mel(axes, x, front_end, limits_db)
        if title:
            axes.set_title(title, loc="left")
    all_axes[-1].set_xlabel("time (s)")
    figure.supylabel("mel band centre (Hz)", fontsize=STYLE["font.size"])
    figure.colorbar(image, ax=list(all_axes), label="level (dB)", pad=0.02, aspect=30)
    return figure


def precision_recall(curves: dict, target_share: float):
    """{label: (precision (E,), recall (E,), (precision, recall) at the best F1)}: steps whose area is the average precision.

    target_share   of the clips: the precision of a coin
    """
    figure, (axes,) = new_figure(4.2 + 0.2 * len(curves))
    good = all(curve[2][0] > ZOOM_FROM and curve[2][1] > ZOOM_FROM for curve in curves.values())
    inset = axes.inset_axes([0.12, 0.12, 0.6, 0.6]) if good else None
    for (label, (precision, recall, best)), (colour, line, marker) in zip(curves.items(), LINES * len(curves)):
        for place in filter(None, (axes, inset)):
            place.plot(np.append(0, recall), np.append(precision[0], precision), drawstyle="steps-pre", color=colour,
                       linestyle=line, label=label)
            place.plot(best[1], best[0], marker, color=colour, markeredgecolor="white", markersize=8, clip_on=False)
    axes.axhline(target_share, color=GREY, linewidth=1, linestyle=(0, (2, 2)), label=f"guessing: {target_share:.3f}")
    axes.set(xlim=(0, 1.02), ylim=(0, 1.03), xlabel="recall: share of the targets that are found",
             ylabel="precision: share of the calls that are right")
    if inset:
        ticks, end = (ZOOM_FROM, (1 + ZOOM_FROM) / 2, 1), 1.006
        inset.set(xlim=(ZOOM_FROM, end), ylim=(ZOOM_FROM, end), xticks=ticks, yticks=ticks)
        inset.set_title("the corner in the box, enlarged", fontsize=8.5, color=GREY)
        inset.tick_params(labelsize=8.5)
        axes.plot([ZOOM_FROM, end, end, ZOOM_FROM, ZOOM_FROM], [ZOOM_FROM, ZOOM_FROM, end, end, ZOOM_FROM],
                  color=GREY, linewidth=1)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left")
    return figure


def confusion(matrix: dict, target: str):
    """{"tp", "fn", "fp", "tn"} as counts and shares of each row; rows: truth, columns: what the detector said."""
    figure, (axes,) = new_figure(3.4)
    counts = np.array([[matrix["tp"], matrix["fn"]], [matrix["fp"], matrix["tn"]]])
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1.25, aspect="auto")
    words = [["found", "missed"], ["false alarm", "rightly silent"]]
    for row, column in np.ndindex(2, 2):
        colour = "white" if share[row, column] > 0.7 else INK
        axes.text(column, row - 0.06, f"{counts[row, column]}", ha="center", va="center", fontsize=19, color=colour)
        axes.text(column, row + 0.25, f"{words[row][column]}, {100 * share[row, column]:.1f} %", ha="center", va="center",
                  color=colour)
    names = [shorten(target, 16), "something else"]
    axes.set_xticks([0, 1], [f"called {names[0]}", "not called"])
    axes.set_yticks([0, 1], names, rotation=90, va="center")
    axes.set(ylabel="what it was", xlabel="what the detector said")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def training(epochs, columns: dict, kept_epoch: int):
    """{"loss", "validation_loss", "validation_average_precision": (E,)} over epochs (E,); the kept one is marked."""
    figure, (above, below) = new_figure(4.6, 2)
    marker = "o" if len(epochs) < 10 else None
    for name, label, (colour, line, _) in (("loss", "training", LINES[1]), ("validation_loss", "validation", LINES[0])):
        if name in columns:
            above.plot(epochs, columns[name], color=colour, linestyle=line, marker=marker, label=label)
    score = columns["validation_average_precision"]
    below.plot(epochs, score, color=LINES[0][0], marker=marker)
    for axes in (above, below):
        axes.axvline(kept_epoch, color=GREY, linewidth=1, linestyle=(0, (2, 2)))
        axes.grid(axis="y", color="#e5e5e5", linewidth=0.8)
    if kept_epoch in epochs:
        kept = score[list(epochs).index(kept_epoch)]
        below.plot(kept_epoch, kept, "*", color=VERMILION, markersize=13, markeredgecolor="white")
        below.set_title(f"★ epoch {kept_epoch} is the one kept: {kept:.4f}", loc="right", color=INK)
    above.set(ylabel="loss (nats)", ylim=(0, 1.05 * above.get_ylim()[1]))
    below.set(ylabel="average precision,\nvalidation", xlabel="epoch")
    below.xaxis.get_major_locator().set_params(integer=True)
    above.legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    return figure


def recordings(targets: dict, negatives: dict, threshold: float, target: str):
    """{recording: scores (n,)} of targets and of negatives: a row a recording, a dot a clip, in the order given."""
    rows = [*((name, s, LINES[0]) for name, s in targets.items()), *((name, s, LINES[1]) for name, s in negatives.items())]
    figure, (axes,) = new_figure(1.5 + 0.25 * len(rows))
    rng = np.random.default_rng(0)                                              # lifts dots off each other
    for row, (name, score, (colour, _, marker)) in enumerate(rows):
        axes.plot(score, row + rng.uniform(-0.22, 0.22, len(score)), marker, color=colour, markersize=4.5, alpha=0.65,
                  markeredgewidth=0, clip_on=False)
    axes.axvline(threshold, color=INK, linewidth=1, linestyle=(0, (2, 2)))
    axes.set_yticks(range(len(rows)), [shorten(name.rpartition("/")[2], 24) for name, _, _ in rows], fontsize=8.5)
    axes.set(xlim=(-0.02, 1.02), ylim=(len(rows) - 0.5, -0.5), xlabel="score: the detector's probability of a target")
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.8)
    axes.tick_params(axis="y", length=0)
    for (colour, _, marker), label in ((LINES[0], shorten(target, 16)), (LINES[1], "something else")):
        axes.plot([], [], marker, color=colour, markersize=6, label=label)
    axes.plot([], [], color=INK, linewidth=1, linestyle=(0, (2, 2)), label=f"threshold {threshold:.3f}")
    figure.legend(loc="outside lower left", ncols=2)
    return figure


def distances(table: dict):
    """{letter: {"n_targets", "average_precision", "recall"}}: how far the detector hears."""
    figure, (axes,) = new_figure(3.4)
    for key, label, (colour, line, marker) in (("average_precision", "average precision", LINES[0]),
                                               ("recall", "recall at the threshold", LINES[1])):
        axes.plot(range(len(table)), [row[key] for row in table.values()], color=colour, linestyle=line, marker=marker,
                  markersize=7, label=label, clip_on=False)
    axes.set_xticks(range(len(table)), [f"{letter}\n{row['n_targets']}" for letter, row in table.items()])
    axes.set(ylim=(0, 1.03), xlim=(-0.3, len(table) - 0.7), xlabel="distance, A is the nearest; below: number of targets",
             ylabel="score (0 to 1)")
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.8)
    figure.legend(loc="outside lower left", ncols=2)
    return figure


def intervals(rows: dict):
    """{label: (value, [low, high] or None)}: average precision of each stage with its 95 % interval."""
    figure, (axes,) = new_figure(1.3 + 0.34 * len(rows))
    for row, ((label, (value, interval)), (colour, _, marker)) in enumerate(zip(rows.items(), LINES * len(rows))):
        if interval:
            axes.plot(interval, [row, row], color=colour, linewidth=2.4, solid_capstyle="butt")
        axes.plot(value, row, marker, color=colour, markersize=8, markeredgecolor="white", clip_on=False)
    axes.set_yticks(range(len(rows)), rows)
    axes.set(ylim=(len(rows) - 0.5, -0.5), xlabel="average precision, bars: 95 % interval")
    axes.set_xlim(right=max(1.0, axes.get_xlim()[1]) if axes.get_xlim()[1] <= 1 else 1.005)
    axes.grid(axis="x", color="#e5e5e5", linewidth=0.8)
    axes.tick_params(axis="y", length=0)
    return figure


def scale(work: dict):
    """{label: (clips (E,), us a clip (E,), peak memory bytes (E,))}: cost against work, time above and memory below."""
    figure, (above, below) = new_figure(4.6, 2)
    for (label, (n_clips, us, peak)), (colour, line, marker) in zip(work.items(), LINES):
        settings = {"color": colour, "linestyle": line, "marker": marker, "markersize": 6, "clip_on": False}
        above.plot(n_clips, us, **settings)
        below.plot(n_clips, np.asarray(peak) / 1e6, label=f"{label}, {us[-1]:.0f} µs", **settings)
    above.set(xscale="log", yscale="log", ylabel="time (µs a clip)")
    times = np.concatenate([us for _, us, _ in work.values()])
    above.set_ylim(10 ** np.floor(np.log10(times.min())), 10 ** np.ceil(np.log10(times.max())))          # whole decades
    below.set(ylabel="peak memory (MB)", xlabel="clips of 2 s", ylim=(0, 1.15 * below.get_ylim()[1]))
    for axes in (above, below):
        axes.grid(axis="y", color="#e5e5e5", linewidth=0.8)
        axes.minorticks_off()
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda number, _: f"{number:,.0f}".replace(",", "\u2009"))
    figure.legend(*below.get_legend_handles_labels(), loc="outside lower left", ncols=1)
    return figure
