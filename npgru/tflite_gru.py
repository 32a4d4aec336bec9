"""The GRU as a graph of TensorFlow Lite's operators: one step, and the two ways to repeat it.

    x (T', D) int8 -> total (1, H) int32, the sum of the T' states; its scale s_h / T' makes it their mean

    while       a loop; it carries the counter t, x, h and total
    unrolled    T' copies of a step, without a loop; the products with x before them, all at once
"""
from dataclasses import dataclass, replace

import numpy as np

from .int8_gru import GruQuantisation
from .int8_nonlinear import CURVE_S16, LOGISTIC_S8, TANH_S8
from .int8_params import Quantisation
from .tflite_writer import Graph


class CodeGraph(Graph):
    """A Graph of codes, whose operators make their own outputs.

    minimal         without scales that no kernel reads
    dense_multiple  int8 dense layers get a multiple of so many outputs: zeros, which are split off again
    """

    def __init__(self, minimal: bool, dense_multiple: int = 1):
        super().__init__()
        self.minimal, self.dense_multiple, self.known = minimal, dense_multiple, {}

    def constant(self, array, scale=None, zero_point=0, axis=0, name="") -> int:
        """Equal constants are one tensor."""
        index = super().constant(array, scale, zero_point, axis, name)
        t = self.tensors[index]
        key = (t.shape, t.dtype, t.data, None if scale is None else t.scale.tobytes(), zero_point, axis)
        if key in self.known:
            self.tensors.pop()
        return self.known.setdefault(key, index)

    def weights(self, op, keys, x_scale, axis=0) -> list:
        """A kernel's constants. The bias's scale is read only where the weights have a single one."""
        w, w_scale, bias = (op.arrays[key] for key in keys)
        bias_scale = None if self.minimal and len(w_scale) > 1 else np.float32(x_scale) * w_scale
        return [self.constant(w, w_scale, axis=axis, name=f"{op.name}/{keys[0]}"),
                self.constant(bias, bias_scale, name=f"{op.name}/{keys[2]}")]

    def codes(self, shape, q: Quantisation, dtype="int8", name="") -> int:
        return self.tensor(shape, dtype, q.scale, q.zero_point, name=name)

    def apply(self, code, inputs, shape, q, dtype="int8", name="", version=2, **options) -> int:
        """An operator of one output -> the output."""
        y = self.codes(shape, q, dtype, name)
        self.operator(code, version, inputs, [y], **options)
        return y

    def dense(self, x, op, keys, q: Quantisation, name, parts, activation="none") -> list:
        """FULLY_CONNECTED of x (B, D) with an operator's weights -> its parts {name: width}, the only one or split off.

        What is added to reach dense_multiple has weights of 0 and the scale of the last row, and is a part that nobody uses.
        """
        (B, D), dtype, N = self.shape(x), self.tensors[x].dtype, sum(parts.values())
        n_more = -N % self.dense_multiple if dtype == "int8" else 0
        w, w_scale, bias = (op.arrays[key] for key in keys)
        arrays = np.pad(w, [(0, n_more), (0, 0)]), np.pad(w_scale, (0, n_more), "edge"), np.pad(bias, (0, n_more))
        inputs = [x, *self.weights(replace(op, arrays=dict(zip(keys, arrays))), keys, self.tensors[x].scale)]
        y = self.apply("FULLY_CONNECTED", inputs, (B, N + n_more), q, dtype, name, version=5, activation=activation)
        if len(parts) == 1 and not n_more:
            return [y]
        more = {"padding": n_more} if n_more else {}
        return self.split(y, [*parts.values(), *more.values()], 1, [*parts, *more])[:len(parts)]

    def split(self, value, widths, axis, names) -> list:
        """SPLIT_V: value in parts of these widths along an axis."""
        t = self.tensors[value]
        shapes = [(*t.shape[:axis], width, *t.shape[axis + 1:]) for width in widths]
        parts = [self.tensor(shape, t.dtype, t.scale, t.zero_point, name=name) for shape, name in zip(shapes, names)]
        inputs = [value, self.constant(np.int32(widths)), self.constant(np.array(axis, np.int32))]
        self.operator("SPLIT_V", 2, inputs, parts, num_splits=len(parts))
        return parts

    def shape(self, index) -> tuple:
        return self.tensors[index].shape


@dataclass(frozen=True)
class Cell:
    """A GRU, its input's codes, and how often it steps."""
    op: object                      # the IntegerModel's Operator
    x: Quantisation
    n_steps: int                    # T'

    @property
    def q(self) -> GruQuantisation:
        return self.op.settings["q"]

    @property
    def bits(self) -> int:
        """Of gates and state."""
        return self.op.settings["bits"]

    @property
    def width(self) -> int:
        """H"""
        return self.op.arrays["u"].shape[1]

    @property
    def dtype(self) -> str:
        return f"int{self.bits}"

    @property
    def total(self) -> Quantisation:
        """Of the sum of the states, as int8.run_mean_time has it."""
        return Quantisation(np.float32(np.float64(self.q.h.scale) / self.n_steps))


def input_products(g, cell, x) -> list:
    """(1) of int8_gru, for all rows of x (B, D): gx_zr (B, 2H), gx_n (B, H).   int16: CAST leaves the codes as they are."""
    H = cell.width
    if cell.bits == 16:
        x = g.apply("CAST", [x], g.shape(x), Quantisation(cell.x.scale), "int16", "gru/x", version=1)
    return g.dense(x, cell.op, ("w", "w_scale", "bx"), cell.q.gx, "gru/gx", {"gru/gx_zr": 2 * H, "gru/gx_n": H})


def step(g, cell, gx_zr, gx_n, h, total, at="gru") -> tuple[int, int]:
    """(1)-(4) of int8_gru, and the sum over time: h', total' (1, H).   at: where it is, for the names"""
    H, q, exact = cell.width, cell.q, {"activation": "none", "pot_scale_int16": False}
    gate, n_q = (CURVE_S16, CURVE_S16) if cell.bits == 16 else (LOGISTIC_S8, TANH_S8)

    def apply(code, inputs, width, q, name, **options):
        return g.apply(code, inputs, (1, width), q, cell.dtype, f"{at}/{name}", **options)

    gh_zr, gh_n = g.dense(h, cell.op, ("u", "u_scale", "bh"), q.gh, f"{at}/gh",                                   # (1)
                          {f"{at}/gh_zr": 2 * H, f"{at}/gh_n": H})
    gates = apply("ADD", [gx_zr, gh_zr], 2 * H, q.gates, "gates", **exact)
    z, r = g.split(apply("LOGISTIC", [gates], 2 * H, gate, "zr"), [H, H], 1, [f"{at}/z", f"{at}/r"])            # (2)
    reset = apply("MUL", [r, gh_n], H, q.reset, "reset", activation="none")
    n = apply("TANH", [apply("ADD", [gx_n, reset], H, q.candidate, "candidate", **exact)], H, n_q, "n")         # (3)
    difference = apply("SUB", [h, n], H, q.difference, "difference", **exact)
    blend = apply("MUL", [z, difference], H, q.blend, "blend", activation="none")
    h = apply("ADD", [n, blend], H, q.h, "h", **exact)                                                          # (4)
    wide, next_total = (g.tensor((1, H), "int32", name=f"{at}/{name}") for name in ("h_int32", "total"))
    g.operator("CAST", 1, [h], [wide])
    g.operator("ADD", 1, [total, wide], [next_total], activation="none")
    return h, next_total


def as_mean(g, cell, total) -> int:
    """total with the scale that makes it a mean. TensorFlow Lite Micro's ADD of int32 refuses tensors that have a scale."""
    shape = g.shape(total)
    return g.apply("RESHAPE", [total, g.constant(np.int32(shape))], shape, cell.total, "int32", "scaled_total", version=1)


def states(g, cell) -> list:
    """h and total (1, H), to be fed or computed."""
    return [g.codes((1, cell.width), cell.q.h, cell.dtype, "h"), g.tensor((1, cell.width), "int32", name="total")]


def zero_states(g, cell) -> list:
    h = g.constant(np.zeros((1, cell.width), cell.dtype), cell.q.h.scale, cell.q.h.zero_point, name="h_0")
    return [h, g.constant(np.zeros((1, cell.width), np.int32), name="total_0")]


def carried(g, cell) -> list:
    """What the loop carries."""
    D = cell.op.arrays["w"].shape[1]
    return [g.tensor((1,), "int32", name="t"), g.codes((cell.n_steps, D), cell.x, name="x"), *states(g, cell)]


def while_graphs(main, x, cell) -> tuple[int, list]:
    """x (T', D) -> the sum of the states, with its scale, and the loop's graphs."""
    cond, body = (CodeGraph(main.minimal, main.dense_multiple) for _ in range(2))
    cond.inputs, body.inputs = carried(cond, cell), carried(body, cell)
    cond.outputs = [cond.tensor((1,), "bool", name="more")]
    cond.operator("LESS", 1, [cond.inputs[0], cond.constant(np.int32([cell.n_steps]))], cond.outputs)
    t, all_x, h, total = body.inputs
    x_t = body.apply("GATHER", [all_x, t], (1, body.shape(all_x)[1]), cell.x, name="x_t", axis=0)
    h, total = step(body, cell, *input_products(body, cell, x_t), h, total)
    next_t = body.tensor((1,), "int32", name="next_t")
    body.operator("ADD", 1, [t, body.constant(np.int32([1]))], [next_t], activation="none")
    body.outputs = [next_t, all_x, h, total]
    after = carried(main, cell)[:-1] + [main.codes((1, cell.width), cell.total, "int32", "scaled_total")]
    first = [main.constant(np.zeros(1, np.int32), name="t_0"), x, *zero_states(main, cell)]
    main.operator("WHILE", 1, first, after, cond=1, body=2)
    return after[-1], [cond, body]


def unrolled_graphs(main, x, cell) -> tuple[int, list]:
    """x (T', D) -> the sum of the states, with its scale, and no further graph."""
    rows = [[f"gru/{t}/{name}" for t in range(cell.n_steps)] for name in ("gx_zr", "gx_n")]
    gx_zr, gx_n = (main.split(gx, [1] * cell.n_steps, 0, names) for gx, names in zip(input_products(main, cell, x), rows))
    h, total = zero_states(main, cell)
    for t in range(cell.n_steps):
        h, total = step(main, cell, gx_zr[t], gx_n[t], h, total, f"gru/{t}")
    return as_mean(main, cell, total), []
