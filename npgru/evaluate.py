"""Score a trained model on clips: average precision and its company, and one score a clip."""
import csv
import io
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from . import checkpoint, int8, metrics, model


def target_scores(trained: checkpoint.Model, features) -> np.ndarray:
    """features uint16 (N, T, M) -> the target's probability (N,) float64; the same on any number of threads.

    A quantised network is frozen and runs in integers; its score is the softmax of its int8 logits.
    """
    with threadpool_limits(1):
        if int8.is_quantised(trained):
            return model.target_score(int8.logits(int8.freeze(trained), features))
        return model.target_score(model.predict(trained.layers, trained.params, trained.stats, features))


def score_table(clips, score) -> dict:
    """metrics.scores of dataset clips and their scores (N,); the bootstrap is seeded, so the same clips give the same."""
    return metrics.scores(np.array([clip.target for clip in clips]), score, [clip.recording for clip in clips],
                          [clip.distance for clip in clips], np.random.default_rng(0))


def write_scores(path: Path, clips, score, codes=None) -> None:
    """CSV with path, label (1 target, 0 negative), score; one row a clip, in the order of the clips.

    codes   (N, K) int8, the outputs of a quantised network: columns raw_0, raw_1
    """
    raw = np.zeros((len(score), 0), np.int8) if codes is None else codes
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "label", "score", *(f"raw_{k}" for k in range(raw.shape[1]))])
    writer.writerows([clip.path, clip.target, repr(float(s)), *row] for clip, s, row in zip(clips, score, raw.tolist()))
    checkpoint.write_atomically(path, lambda file: file.write(text.getvalue().encode(errors="surrogateescape")))


def as_text(table: dict) -> str:
    """The scores for people: one a line, intervals beside them."""
    def row(key, label):
        interval = table[f"{key}_interval"]
        width = f"   95 % interval {interval[0]:.4f} .. {interval[1]:.4f}" if interval else ""
        return f"{label:<22}{table[key]:.4f}{width}"

    c = table["confusion_matrix"]
    lines = [f"{table['n_clips']} clips, {table['n_targets']} targets, {table['n_recordings']} recordings",
             row("average_precision", "average_precision"), row("pr_auc_keras_micro", "pr_auc_keras_micro"),
             f"{'best_f1':<22}{table['best_f1']:.4f}   at threshold {table['best_f1_threshold']:.6f}, where:",
             row("error_rate", "error_rate"),
             f"{'confusion_matrix':<22}called target   called negative",
             f"{'  target':<22}{c['tp']:>13}   {c['fn']:>15}", f"{'  negative':<22}{c['fp']:>13}   {c['tn']:>15}"]
    if table["per_distance"]:
        lines.append("distance   targets   average_precision   recall at the threshold")
        lines += [f"{letter:<11}{d['n_targets']:<10}{d['average_precision']:<20.4f}{d['recall']:.4f}"
                  for letter, d in table["per_distance"].items()]
    lines.append("recording with targets          clips   recall   mean score")
    lines += [f"{name[:30]:<32}{r['n']:<8}{r['recall']:<9.3f}{r['mean_score']:.3f}"
              for name, r in list(table["per_recording"]["targets"].items())[:20]]
    if len(table["per_recording"]["targets"]) > 20:
        lines.append(f"... and {len(table['per_recording']['targets']) - 20} more (--json has all)")
    lines += [f"note: {note}" for note in table["notes"]]
    return "\n".join(lines)
