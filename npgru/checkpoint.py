"""One file per checkpoint: arrays and a JSON header in an uncompressed .npz, no pickle, written atomically.

The same content gives the same bytes. Array names: "weights/<layer>/<weight>", "stats/<layer>/<mean|var>", and,
while a stage is running, "adam_m/..", "adam_v/.." and the best epoch's "best/weights/..", "best/stats/..".
"""
import json
import os
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from . import model
from .features import FrontEnd

FORMAT = 1
LARGEST_BYTES = 256 * 2**20        # a checkpoint has well under 10 MB; more than this is not one of ours


class CheckpointError(ValueError):
    """One line: which file, what was found, what is accepted, what to do."""


@dataclass(frozen=True)
class Model:
    """A network that can score clips: all that `evaluate` needs.

    layers       the layer list              params, stats   {"layer/weight": array}, {"layer/mean|var": array}
    front_end    how samples become features classes         names of the logits' columns: (negatives, target)
    clip_s       length of a clip, seconds
    """
    layers: list
    params: dict
    stats: dict
    front_end: FrontEnd
    classes: tuple[str, str]
    clip_s: float


def write_atomically(path: Path, write, durable: bool = True) -> None:
    """Call write(binary file) on a temporary neighbour, then rename it to path: all of the file or none of it.

    durable     it is on the disk when this returns (5 ms); otherwise a power cut, but no kill, may leave an empty file
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}; create it, or write somewhere else")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def save(path: Path, arrays: dict, header: dict) -> None:
    """Write {name: array} and a JSON-able header."""
    text = json.dumps({"format": FORMAT, **header}).encode()            # the order of a layer's weights counts
    write_atomically(path, lambda file: np.savez(file, header=np.frombuffer(text, np.uint8), **arrays))


def load(path: Path) -> tuple[dict, dict]:
    """-> {name: array}, header. raises CheckpointError for anything but an intact checkpoint of this format."""
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file; give a run folder or a checkpoint (.npz) of `npgru train`")
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(item.file_size for item in archive.infolist())
        if size > LARGEST_BYTES:
            raise CheckpointError(f"{path}: holds {size} bytes of arrays; a checkpoint has at most {LARGEST_BYTES}")
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        header = json.loads(arrays.pop("header").tobytes())
    except CheckpointError:
        raise
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path}: is not an intact npgru checkpoint ({error}); accepted: the .npz files that "
                              "`npgru train` writes") from error
    if header.get("format") != FORMAT:
        raise CheckpointError(f"{path}: has checkpoint format {header.get('format')!r}; this version reads {FORMAT}")
    return arrays, header


def pack(groups: dict[str, dict]) -> dict:
    """{"weights": {"conv/w": a}} -> {"weights/conv/w": a}."""
    return {f"{group}/{name}": array for group, arrays in groups.items() for name, array in arrays.items()}


def group(arrays: dict, name: str) -> dict:
    """pack back, for one group."""
    return {key[len(name) + 1:]: array for key, array in arrays.items() if key.startswith(f"{name}/")}


def model_header(trained: Model) -> dict:
    """What a header says of a model, beside its arrays."""
    return {"layers": model.to_rows(trained.layers), "front_end": asdict(trained.front_end),
            "classes": list(trained.classes), "clip_s": trained.clip_s}


def save_model(path: Path, trained: Model, header: dict) -> None:
    """Write a finished model; header holds further facts (stage, epoch, scores)."""
    save(path, pack({"weights": trained.params, "stats": trained.stats}), {**header, **model_header(trained)})


def load_model(path: Path) -> tuple[Model, dict]:
    """A finished model, or the best epoch so far of a running stage, and the header."""
    arrays, header = load(path)
    prefix = "best/" if any(name.startswith("best/") for name in arrays) else ""
    try:
        layers = model.from_rows(header["layers"])
        params, stats = group(arrays, f"{prefix}weights"), group(arrays, f"{prefix}stats")
        check_shapes(layers, params)
        return Model(layers, params, stats, FrontEnd(**header["front_end"]), tuple(header["classes"]),
                     header["clip_s"]), header
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: is a checkpoint of another version or a damaged one ({error}); "
                              "train again, or use the version that wrote it") from error


def check_shapes(layers, params) -> None:
    """raises ValueError unless params are exactly the layer list's weights."""
    expected = {f"{layer.name}/{key}": shape for layer in layers for key, shape in layer.shapes.items()}
    found = {name: array.shape for name, array in params.items()}
    if found != expected:
        wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise ValueError(f"weight {wrong[0]} has shape {found.get(wrong[0])}, the layer list says {expected.get(wrong[0])}")
