"""Gated recurrent unit: one step, a whole sequence, and the gate orders of other frameworks.

Columns of every gate matrix: z | r | n (update, reset, candidate). Two biases, and the reset gate acts
after the recurrent product ("reset_after"), so that h u + c is one product on the device.
"""
import numpy as np

from .activations import sigmoid


def gru_step_forward(x, h, w, u, b, c):
    """One GRU step; the reset gate acts after the recurrent product.

        a = x w + b,  s = h u + c          (1)   columns: z | r | n
        z = σ(a_z + s_z)                   (2)   update gate: 1 keeps the old state
        r = σ(a_r + s_r)                   (3)   reset gate
        n = tanh(a_n + r ⊙ s_n)            (4)   candidate
        y = (1 − z) ⊙ n + z ⊙ h            (5)   new state

    x (B, D), h (B, H), w (D, 3H), u (H, 3H), b (3H,), c (3H,); returns y (B, H) and the cache.
    Source: Cho et al. 2014, arXiv:1406.1078, eq. 5-8. Differs in (4): r multiplies s_n, not h.
    """
    y, gates = recurrence_forward(x @ w + b, h, u, c)            # (1)
    return y, (x, h, w, u, gates)


def gru_step_backward(dy, cache):
    """dy (B, H) -> dx, dh, dw, du, db, dc: the order of forward's arguments."""
    x, h, w, u, gates = cache
    da, ds, dh = recurrence_backward(dy, h, u, gates)
    return da @ w.T, dh, x.T @ da, h.T @ ds, da.sum(axis=0), ds.sum(axis=0)


def recurrence_forward(a, h, u, c):
    """(2)-(5) of gru_step_forward, and (1)'s s; a (B, 3H) = x w + b. Returns y (B, H) and the gates."""
    H = h.shape[1]
    s = h @ u + c                                                # (1)  (B, 3H)
    zr = sigmoid(a[:, :2*H] + s[:, :2*H])
    z, r = zr[:, :H], zr[:, H:]                                  # (2), (3)  (B, H) each
    n = np.tanh(a[:, 2*H:] + r * s[:, 2*H:])                     # (4)
    return n + z * (h - n), (z, r, n, s[:, 2*H:])                # (5), with one product fewer


def recurrence_backward(dy, h, u, gates):
    """dy (B, H) -> da (B, 3H), ds (B, 3H), dh (B, H)."""
    z, r, n, s_n = gates
    dp_n = dy * (1 - z) * (1 - n * n)                            # (5) then (4): tanh' = 1 − n²
    dp_r = dp_n * s_n * r * (1 - r)                              # (4) then (3): σ' = r(1 − r)
    dp_z = dy * (h - n) * z * (1 - z)                            # (5) then (2)
    da = np.concatenate([dp_z, dp_r, dp_n], axis=1)              # (1)
    ds = np.concatenate([dp_z, dp_r, dp_n * r], axis=1)
    return da, ds, ds @ u.T + dy * z


def gru_forward(x, w, u, b, c, h0=None):
    """The whole sequence: gru_step_forward for t = 0..T−1, with (1)'s x w of all steps in one product.

    x (B, T, D), w (D, 3H), u (H, 3H), b (3H,), c (3H,), h0 (B, H) or None for zeros;
    returns y (B, T, H), every state, and the cache.
    """
    B, T, D = x.shape
    H = u.shape[0]
    a = (x.reshape(-1, D) @ w + b).reshape(B, T, 3 * H)
    h = np.zeros((B, T + 1, H), x.dtype)                         # h[:, t] is the state before step t
    if h0 is not None:
        h[:, 0] = h0
    gates = []
    for t in range(T):
        h[:, t + 1], gate = recurrence_forward(a[:, t], h[:, t], u, c)
        gates.append(gate)
    return h[:, 1:], (x, w, u, h, gates)


def gru_backward(dy, cache):
    """dy (B, T, H) -> dx, dw, du, db, dc, dh0: backpropagation through time."""
    x, w, u, h, gates = cache
    B, T, D = x.shape
    H = u.shape[0]
    da, ds = np.empty((B, T, 3 * H), x.dtype), np.empty((B, T, 3 * H), x.dtype)
    dh = np.zeros((B, H), x.dtype)
    for t in reversed(range(T)):
        da[:, t], ds[:, t], dh = recurrence_backward(dy[:, t] + dh, h[:, t], u, gates[t])
    da, ds = da.reshape(-1, 3 * H), ds.reshape(-1, 3 * H)
    return ((da @ w.T).reshape(x.shape), x.reshape(-1, D).T @ da,
            h[:, :-1].reshape(-1, H).T @ ds, da.sum(axis=0), ds.sum(axis=0), dh)


def from_keras(kernel, recurrent_kernel, bias):
    """Keras GRU(reset_after=True).get_weights() -> w, u, b, c.

    Keras also orders z | r | h, and the state is z h + (1 − z) n as here: only the bias is split.
    kernel (D, 3H), recurrent_kernel (H, 3H), bias (2, 3H): input bias, then recurrent bias.
    """
    return kernel, recurrent_kernel, bias[0], bias[1]


def to_keras(w, u, b, c):
    """w, u, b, c -> kernel (D, 3H), recurrent_kernel (H, 3H), bias (2, 3H)."""
    return w, u, np.stack([b, c])


def swap_z_and_r(array):
    """Blocks z | r | n <-> r | z | n along the last axis, (..., 3H)."""
    first, second, third = np.split(array, 3, axis=-1)
    return np.concatenate([second, first, third], axis=-1)


def from_pytorch(weight_ih, weight_hh, bias_ih, bias_hh):
    """torch.nn.GRU's weight_ih_l0 (3H, D), weight_hh_l0 (3H, H), bias_ih_l0, bias_hh_l0 (3H,) -> w, u, b, c."""
    return (swap_z_and_r(weight_ih.T), swap_z_and_r(weight_hh.T), swap_z_and_r(bias_ih), swap_z_and_r(bias_hh))


def to_pytorch(w, u, b, c):
    """w, u, b, c -> weight_ih (3H, D), weight_hh (3H, H), bias_ih (3H,), bias_hh (3H,); rows r | z | n."""
    return swap_z_and_r(w).T, swap_z_and_r(u).T, swap_z_and_r(b), swap_z_and_r(c)


def from_onnx(W, R, B):
    """ONNX GRU(linear_before_reset=1), one direction -> w, u, b, c.

    W (1, 3H, D), R (1, 3H, H), B (1, 6H): rows z | r | h, input biases then recurrent ones.
    """
    b, c = np.split(B[0], 2)
    return W[0].T, R[0].T, b, c


def to_onnx(w, u, b, c):
    """w, u, b, c -> W (1, 3H, D), R (1, 3H, H), B (1, 6H)."""
    return w.T[None], u.T[None], np.concatenate([b, c])[None]
