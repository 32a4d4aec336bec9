"""Clips -> a corpus: which class is the target, which clip is in which split, and whether that makes sense."""
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from .audio import printable
from .clips import ACCEPTED_SPLITS, SPLIT_NAMES, SPLITS, Clip, DatasetError, Problem, read_folder, read_manifest
from .tables import normal

SHARES = {"train": 0.70, "validation": 0.15, "test": 0.15}      # of the recordings, where the data states no splits
FEW_RECORDINGS = 20
NEGATIVE_NAMES = frozenset("negatives negative neg non_target nontarget not_target no_target background backgrounds "
                           "noise other others no_call nocall silence 0 no false none".split())
POSITIVE_NAMES = frozenset("target targets positive positives pos 1 yes true".split())


class Corpus(NamedTuple):
    """What `discover` returns. Problems were left out; notices are worth knowing, and lose nothing."""
    clips: list[Clip]
    notices: list[str]
    problems: list[Problem]


def discover(root: Path, split: str | Sequence[str] | None = None, target: str | None = None, seed: int = 0,
             strict: bool = False, also: Path | str | None = None) -> Corpus:
    """The clips of a data folder or manifest.

    root     a folder of split folders, a folder of class folders, or a .csv file (npgru.clips)
    split    one or several of train, validation, test (Training_Set, val, ... mean the same): these must be there, with
             both classes. "all": every clip, whatever its split. None: every clip that has a split, test may be missing
    target   the class that is 1, needed where several are not called Negatives, Background, Noise, ...
    seed     where the data states no splits, recordings are dealt out about 70 : 15 : 15; the same seed and data give
             the same splits, so that `test` holds nothing of `train`
    strict   the first problem raises
    also     a manifest of further clips, such as a review's decisions: in the split of their recording, or in train
    raises   DatasetError
    """
    root, wanted = Path(root), _wanted(split)
    found = read_manifest(root) if root.suffix.lower() in (".csv", ".tsv") and not root.is_dir() else read_folder(root)
    if found.problems and (strict or not found.clips):
        raise DatasetError(f"{printable(root)}: {len(found.problems)} problem(s) and {len(found.clips)} usable clip(s); "
                           f"the first problem: {found.problems[0]}")
    if not found.clips:
        raise DatasetError(f"{printable(root)}: no sound files found; accepted: <split>/<class>/*.wav with the splits "
                           f"{ACCEPTED_SPLITS}; <class>/*.wav; or a CSV manifest")
    name = _target_name(root, sorted({clip.class_name for clip in found.clips}), target)
    clips = [replace(clip, target=int(clip.class_name == name)) for clip in found.clips]
    clips, notices, problems = _with_splits(root, clips, wanted, seed)
    if also:
        more = _further_clips(Path(also), clips, name)
        clips, notices, problems = clips + more.clips, notices + more.notices, problems + more.problems
    if problems and strict:
        raise DatasetError(str(problems[0]))
    notices += _few_or_shared_recordings(root, clips)
    if wanted != ("all",):
        _check_splits(root, clips, wanted, name)
        clips = [clip for clip in clips if clip.split in (wanted or SPLITS)]
    return Corpus(clips, found.notices + notices, found.problems + problems)


def _with_splits(root, clips, wanted, seed):
    """Clips as they state their splits; dealt out where none of them does. -> Corpus of what is new."""
    if wanted == ("all",):
        return Corpus([clip if clip.split else replace(clip, split="all") for clip in clips], [], [])
    if not any(clip.split for clip in clips):
        return Corpus(_deal_out(clips, seed), [f"{printable(root)}: states no splits; its recordings were dealt out to "
                                               f"train, validation and test with seed {seed}"], [])
    return Corpus([clip for clip in clips if clip.split], [], [
        Problem(clip.path, f"states no split, other clips do; accepted: {ACCEPTED_SPLITS}")
        for clip in clips if not clip.split])


def _further_clips(path, clips, target_name):
    """The clips of the manifest `also`, each in the split of its recording: nothing of validation or test is learned."""
    found, split_of = read_manifest(path), {clip.recording: clip.split for clip in clips}
    known = {normal(clip.class_name) for clip in clips} | NEGATIVE_NAMES
    if unknown := sorted({clip.class_name for clip in found.clips if normal(clip.class_name) not in known}):
        raise DatasetError(f"{printable(path)}: has the label {printable(unknown[0])}; accepted: the target "
                           f"{printable(target_name)}, Negatives, and classes of the other data; rename it")
    more = [replace(clip, target=int(normal(clip.class_name) == normal(target_name)),
                    split=split_of.get(clip.recording, clip.split or "train")) for clip in found.clips]
    counts = Counter(clip.split for clip in more)
    told = f"{printable(path)}: {len(more)} further clips: {', '.join(f'{n} for {split}' for split, n in counts.items())}"
    return Corpus(more, [*found.notices, told], found.problems)


def _wanted(split):
    """The argument `split` as a tuple: names of SPLITS, ("all",), or () for all there is."""
    names = (split,) if isinstance(split, str) else tuple(split or ())
    if names == ("all",):
        return names
    unknown = [name for name in names if normal(name) not in SPLIT_NAMES]
    if unknown:
        raise DatasetError(f"split {unknown[0]!r}; accepted: {ACCEPTED_SPLITS}, or all")
    return tuple(SPLIT_NAMES[normal(name)] for name in names)


def _target_name(root, names, target):
    """The class that is the target: the one asked for, or the only one that is not called like a negative."""
    listed = ", ".join(map(printable, names))
    if target:
        same = [name for name in names if name == target] or [name for name in names if normal(name) == normal(target)]
        if len(same) != 1:
            raise DatasetError(f"{printable(root)}: target {target!r} is not one of its classes; accepted: {listed}")
        return same[0]
    candidates = [name for name in names if normal(name) in POSITIVE_NAMES] or \
                 [name for name in names if normal(name) not in NEGATIVE_NAMES]
    if len(candidates) != 1:
        what = "more than one class could be the target" if candidates else "no class looks like a target"
        raise DatasetError(f"{printable(root)}: {what}; found: {listed}; say which with --target NAME")
    return candidates[0]


def _deal_out(clips, seed):
    """Clips without splits -> with splits, recording by recording, targets and negatives apart, about 70 : 15 : 15.

    Recordings are ordered by class, then by a hash of seed and name: no random state, so every machine agrees. The
    first three go to the three splits, each later one to the split that lacks most of its share.
    """
    classes = {}                                            # recording -> its place in the order
    for clip in clips:
        rank = (not clip.target, clip.class_name, hashlib.sha256(f"{seed} {clip.recording}".encode(
            errors="surrogateescape")).hexdigest())
        classes[clip.recording] = min(classes.get(clip.recording, rank), rank)
    split_of = {}
    for is_negative in (False, True):
        counts = Counter()
        for recording in sorted((r for r in classes if classes[r][0] == is_negative), key=classes.get):
            n = counts.total()
            split = SPLITS[n] if n < 3 else max(SPLITS, key=lambda s: SHARES[s] * (n + 1) - counts[s])
            counts[split] += 1
            split_of[recording] = split
    return [replace(clip, split=split_of[clip.recording]) for clip in clips]


def _few_or_shared_recordings(root, clips):
    """Notices on what makes scores unreliable."""
    splits, with_targets = {}, {clip.recording for clip in clips if clip.target}
    for clip in clips:
        splits.setdefault(clip.recording, set()).add(clip.split)
    notices, n_others = [], len(splits) - len(with_targets)
    if min(len(with_targets), n_others) < FEW_RECORDINGS:
        notices.append(f"{printable(root)}: only {len(with_targets)} recording(s) of the target and {n_others} of other "
                       f"sounds; below {FEW_RECORDINGS} of each, scores say little about other recordings: record more, or "
                       "begin with a trained network (--from)")
    shared = sorted(recording for recording in splits if len(splits[recording]) > 1)
    if shared:
        notices.append(f"{printable(root)}: {len(shared)} recording(s) are in more than one split, such as "
                       f"{printable(shared[0])} ({', '.join(sorted(splits[shared[0]]))}): scores will be too good; "
                       "keep a recording in one split")
    return notices


def _check_splits(root, clips, wanted, target_name):
    """DatasetError unless every split that is wanted is there, and it, train and validation have both classes."""
    counts = Counter((clip.split, clip.target) for clip in clips)
    there = [split for split in SPLITS if counts[split, 0] + counts[split, 1]]
    for split in wanted or [split for split in there if split != "test"]:
        targets, negatives = counts[split, 1], counts[split, 0]
        if split not in there:
            raise DatasetError(f"{printable(root)}: has no clips for the split {split}; found: {', '.join(there)}; "
                               f"accepted: {ACCEPTED_SPLITS}; give data with it, or ask for another one")
        if not targets or not negatives:
            raise DatasetError(f"{printable(root)}: split {split} has {targets} clip(s) of the target "
                               f"{printable(target_name)} and {negatives} of other classes; accepted: at least 1 "
                               "of each, and without stated splits 3 recordings of each; add clips, or state the splits")
