"""How long the integer network takes, from features to scores: the back ends of npgru and, where installed, other runtimes.

Results come first: npgru's back ends must agree in every tensor, the runtimes' reference kernels in the output; how far
optimised kernels are from them is told. Integer kernels take the same time for any codes, so the features are random.
"""
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np
from threadpoolctl import threadpool_limits

from . import checkpoint, compress, export_tflite, int8, kernels, machine, model
from .front_end import FrontEnd
from .int8 import IntegerModel
from .kernels_int8_host import HostNetwork, running_forms

N_RUNS, SECONDS_A_RUN = 5, 0.03
FAST_CLIPS, SLOW_CLIPS = 64, 8                  # clips a run of the quick back ends, and of NumPy and the device form

# name -> module, resolver, form of the GRU in the file, whether its kernels are the reference that npgru equals
RUNTIMES = {
    "tflite_runtime_reference": ("tflite_runtime", "BUILTIN_REF", "while", True),
    "tflite_runtime_while": ("tflite_runtime", "AUTO", "while", False),
    "tflite_runtime_unrolled": ("tflite_runtime", "AUTO", "unrolled", False),
    "ai_edge_litert_reference": ("ai_edge_litert", "BUILTIN_REF", "while", False),      # rounds once: profile litert-ref
    "ai_edge_litert_while": ("ai_edge_litert", "AUTO", "while", False),
    "ai_edge_litert_unrolled": ("ai_edge_litert", "AUTO", "unrolled", False),
}


@dataclass(frozen=True)
class Runner:
    """work() scores n_clips clips.   worst_difference: in codes of the output, from the specification's"""
    name: str
    work: Callable[[], object]
    n_clips: int
    about: str
    worst_difference: int = 0


def features_like_real_ones(n_clips: int, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Features (N, T, M) uint16: noise, and louder frames now and then."""
    loud = 200 * (rng.random((n_clips, shape[0], 1)) < 0.3)
    return (rng.integers(200, 500, (n_clips, *shape)) + loud).astype(np.uint16)


def seeded_student(x, state_bits: int = 16, config: model.NetworkConfig | None = None, seed: int = 20) -> IntegerModel:
    """The paper's student, or another network on the paper's front end, that nobody trained: random weights.

    x    features (N, T, M) uint16, whose statistics and ranges it gets
    """
    rng, layers = np.random.default_rng(seed), model.build(config or model.student(), x.shape[2])
    params, stats = model.init(layers, rng)
    for _ in range(3):
        stats = model.forward(layers, params, stats, x.astype(np.float32), rng)[2]
    about = FrontEnd.paper(), ("Negatives", "Wren"), 2.0
    trained = checkpoint.Model(layers, params, stats, *about)
    layers, params, stats = compress.quantisable(trained, x, compress.QuantisationConfig())
    return int8.freeze(checkpoint.Model(layers, params, stats, *about), state_bits)


def scores(integers: IntegerModel, x, backend: str | None = None, threads: int = 1) -> np.ndarray:
    """What is timed: features (N, T, M) uint16 -> the target's probability (N,), as Detector.scores has it."""
    name = integers.operators[-2].name
    return model.target_score(int8.real(integers, int8.codes(integers, x, [name], backend, threads), name))


def verify(expected: dict, found: dict, backend: str) -> None:
    """raises RuntimeError unless the tensors are equal, integer for integer"""
    for name, codes in expected.items():
        if not np.array_equal(codes, found[name]):
            raise RuntimeError(f"back end {backend} disagrees with NumPy in {np.count_nonzero(codes != found[name])} codes of "
                               f"{name!r}; nothing was timed, please report it with `npgru --version`")


def own_runners(integers: IntegerModel, x, expected: dict, threads: int) -> list[Runner]:
    """NumPy's, the operators of the device one by one, and the network in one call: in every form that runs here."""
    few = x[:SLOW_CLIPS]
    runners = [Runner("numpy", partial(scores, integers, few, "numpy"), len(few), "the specification")]
    if not kernels.AVAILABLE:
        return runners
    verify(expected, int8.run(integers, few, "c"), "c_device")
    forms = {form: HostNetwork(integers.operators, form) for form in running_forms()}
    for form, network in forms.items():
        verify(expected, network.codes(few, list(expected), threads), f"c_{form}")
    *others, best = forms
    last = [integers.operators[-2].name]
    return [*runners,
            Runner("c", partial(scores, integers, x, "c", threads), len(x), f"{best}, all clips in one call"),
            Runner("c_one_clip_a_call", lambda: [scores(integers, x[i:i + 1], "c") for i in range(len(x))], len(x), best),
            *(Runner(f"c_{form}", partial(forms[form].codes, x, last, threads), len(x), f"{form}, the same, to int8 logits")
              for form in others),
            Runner("c_device", partial(int8.run, integers, few, "c"), len(few), "as in a firmware, operator by operator")]


def runtime_runner(integers: IntegerModel, name: str, codes, expected, threads: int) -> Runner:
    """Another runtime on the network's .tflite file, clip by clip, from the codes of the input: without quantising them.

    codes (N, T, M, 1) int8 -> its output (N, K) int8, which is compared with `expected`.
    raises    ImportError; RuntimeError where reference kernels disagree
    """
    package, resolver, gru, is_reference = RUNTIMES[name]
    if package == "tflite_runtime" and int(np.__version__.split(".")[0]) >= 2:
        raise ImportError(f"needs numpy<2, here is {np.__version__}")
    module = importlib.import_module(f"{package}.interpreter")
    interpreter = module.Interpreter(model_content=export_tflite.tflite_bytes(integers, gru), num_threads=threads,
                                     experimental_op_resolver_type=getattr(module.OpResolverType, resolver))
    interpreter.allocate_tensors()
    x_index, y_index = (details()[0]["index"] for details in (interpreter.get_input_details, interpreter.get_output_details))

    def work():
        found = []
        for clip in codes:
            interpreter.set_tensor(x_index, clip[None])
            interpreter.invoke()
            found.append(interpreter.get_tensor(y_index)[0])
        return np.array(found)
    found = work()
    if is_reference:
        verify({"probabilities": expected}, {"probabilities": found}, name)
    worst = int(np.abs(found.astype(int) - expected).max())
    return Runner(name, work, len(codes), f"GRU {gru}, one clip a call, features quantised before", worst)


def seconds_a_clip(runner: Runner) -> float:
    """Of as many calls as fill SECONDS_A_RUN."""
    began, n, seconds = perf_counter(), 0, 0.0
    while n == 0 or seconds < SECONDS_A_RUN:
        runner.work()
        n, seconds = n + 1, perf_counter() - began
    return seconds / n / runner.n_clips


def measure(integers: IntegerModel, threads: int = 1, n_runs: int = N_RUNS,
            progress: Callable = lambda runs, **_: runs) -> dict:
    """{"backends": {name: {"us_per_clip": the median of n_runs, ...}}, "not_measured": {name: why}, ...}

    threads     of the network in C and of other runtimes
    progress    such as tqdm, around the runs; the back ends take turns in each
    raises      RuntimeError where results that must be equal are not
    """
    shape = export_tflite.clip_shape(integers)[1:3]
    x = features_like_real_ones(FAST_CLIPS, shape, np.random.default_rng(7))
    x[0], x[1, ::2] = 0, 65535
    with threadpool_limits(1):
        expected = int8.run(integers, x[:SLOW_CLIPS], "numpy")
        runners, missing = own_runners(integers, x, expected, threads), {}
        for name in RUNTIMES:
            try:
                runners.append(runtime_runner(integers, name, expected["input"], expected["probabilities"], threads))
            except ImportError as error:
                missing[name] = f"not installed: {error}"
        for runner in runners:
            runner.work()
        runs = [[1e6 * seconds_a_clip(runner) for runner in runners] for _ in progress(range(n_runs), desc="runs", unit="run")]
    backends = {runner.name: {"us_per_clip": round(float(np.median(times)), 2), "runs": [round(t, 2) for t in times],
                              "worst_difference": runner.worst_difference, "about": runner.about}
                for runner, times in zip(runners, zip(*runs))}
    return {"backends": backends, "not_measured": missing, "from": "uint16 features", "to": "scores", "threads": threads,
            "state_bits": integers.state_bits, "clip_shape": list(shape), "machine": machine.facts()}


def as_text(table: dict) -> str:
    """`measure`'s table for people."""
    m, backends = table["machine"], table["backends"]
    base = backends.get("c", backends["numpy"])["us_per_clip"]
    lines = [f"int{table['state_bits']} state, clips of {' x '.join(map(str, table['clip_shape']))} features; from features to "
             f"scores, {table['threads']} thread(s)", f"{m['cpu']}, {m['system']}, NumPy {m['numpy']}, npgru {m['npgru']}",
             "back end                  us a clip   times c   worst difference, codes"]
    for name, row in backends.items():
        lines.append(f"{name:<25}{row['us_per_clip']:>10.1f}{row['us_per_clip'] / base:>10.1f}   "
                     f"{row['worst_difference'] or 'equal':<7}{row['about']}")
    return "\n".join([*lines, *(f"{name}: {why}" for name, why in table["not_measured"].items())])
