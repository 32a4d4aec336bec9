"""One GRU step as a graph of TensorFlow Lite's operators against int8_gru, bit for bit, with both kinds of state."""
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from int8_cases import codes, seeds, weights, zero_points
from npgru.tflite_writer import Graph, write_tflite

from npgru import int8_gru
from npgru.int8_nonlinear import CURVE_S16, LOGISTIC_S8, TANH_S8
from npgru.int8_params import Quantisation

EXAMPLES = int(os.environ.get("NPGRU_CONFORMANCE_EXAMPLES", "300"))


class StepGraph(Graph):
    """A Graph whose activations are (1, width) of one type."""

    def __init__(self, bits):
        super().__init__()
        self.dtype = f"int{bits}"

    def activation(self, width, q):
        return self.tensor((1, width), self.dtype, q.scale, q.zero_point)

    def apply(self, code, inputs, width, q, **options):
        y = self.activation(width, q)
        self.operator(code, 2, inputs, [y], **options)
        return y

    def sum(self, code, inputs, width, q):
        return self.apply(code, inputs, width, q, activation="none", pot_scale_int16=False)

    def split(self, value, q, widths):
        parts = [self.activation(width, q) for width in widths]
        sizes, axis = self.constant(np.int32(widths)), self.constant(np.array(1, np.int32))
        self.operator("SPLIT_V", 2, [value, sizes, axis], parts, num_splits=len(parts))
        return parts

    def dense(self, value, x_scale, w, w_scale, bias, q):
        y = self.activation(len(w), q)
        inputs = [value, self.constant(w, w_scale), self.constant(bias, np.float32(x_scale) * w_scale)]
        self.operator("FULLY_CONNECTED", 5, inputs, [y], activation="none")
        return self.split(y, q, [2 * len(w) // 3, len(w) // 3])


def step_model(x, w_scale, u_scale, q, arrays, bits):
    """(1)-(4) of int8_gru as a model: inputs x (1, D), h (1, H), output h'."""
    w, u, bx, bh = arrays
    D, H = w.shape[1], u.shape[1]
    g = StepGraph(bits)
    gate, n_q = (CURVE_S16, CURVE_S16) if bits == 16 else (LOGISTIC_S8, TANH_S8)
    x_in, h = g.tensor((1, D), "int8", x.scale, x.zero_point), g.activation(H, q.h)
    x_fed = x_in
    if bits == 16:
        x_fed = g.activation(D, Quantisation(x.scale))
        g.operator("CAST", 1, [x_in], [x_fed])
    gx_zr, gx_n = g.dense(x_fed, x.scale, w, w_scale, bx, q.gx)                                     # (1)
    gh_zr, gh_n = g.dense(h, q.h.scale, u, u_scale, bh, q.gh)
    zr = g.apply("LOGISTIC", [g.sum("ADD", [gx_zr, gh_zr], 2 * H, q.gates)], 2 * H, gate)           # (2)
    z, r = g.split(zr, gate, [H, H])
    reset = g.apply("MUL", [r, gh_n], H, q.reset, activation="none")
    n = g.apply("TANH", [g.sum("ADD", [gx_n, reset], H, q.candidate)], H, n_q)                      # (3)
    blend = g.apply("MUL", [z, g.sum("SUB", [h, n], H, q.difference)], H, q.blend, activation="none")
    g.inputs, g.outputs = (x_in, h), (g.sum("ADD", [n, blend], H, q.h),)                            # (4)
    return write_tflite([g])


@pytest.mark.parametrize("bits", [8, 16])
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), D=st.integers(1, 40), H=st.integers(1, 17), seed=seeds)
def test_gru_step(witness, bits, data, D, H, seed):
    rng = np.random.default_rng(seed)
    log2 = st.floats(-7, -3) if bits == 8 else st.one_of(st.floats(-15, -10), st.floats(-12.001, -11.999), st.floats(-11.001, -11))
    x = Quantisation(np.float32(2.0**rng.uniform(-8, 0)), data.draw(zero_points()))
    gates = [Quantisation(np.float32(2.0**data.draw(log2)), data.draw(zero_points(bits))) for _ in range(5)]
    if bits == 16:
        q = int8_gru.quantisation_s16(*(g.scale for g in gates[:4]))
    else:
        q = int8_gru.GruQuantisation(*gates, *map(Quantisation, (1 / 64, 1 / 64, 1 / 128)))
    w_scale, u_scale = (np.float32(2.0**rng.uniform(-10, -5, 3 * H)) for _ in range(2))
    w, u = weights(rng, (3 * H, D), "uniform"), weights(rng, (3 * H, H), "uniform")
    bx, bh = rng.integers(-3000, 3000, (2, 3 * H)).astype(np.int32)
    if bits == 16:
        bx, bh = int8_gru.fold_zero_point(bx, w, x.zero_point), bh.astype(np.int64)
    p = int8_gru.gru_of(x, w_scale, u_scale, q, bits)
    kind = data.draw(st.sampled_from(["uniform", "uniform", "ends"]))
    x_q, h_q = codes(rng, (1, D), kind, 8, x.zero_point), codes(rng, (1, H), kind, bits)
    step = int8_gru.gru_step_s16 if bits == 16 else int8_gru.gru_step_s8
    expected = step(x_q, h_q, w, u, bx, bh, p, witness.profile)
    model = step_model(x, w_scale, u_scale, q, (w, u, bx, bh), bits)
    np.testing.assert_array_equal(expected, witness.run(model, x_q, h_q))
