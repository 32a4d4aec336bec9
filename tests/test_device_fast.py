"""device_fast.py: what it calls proved is so for every attainable sum; where there is no proof it says so."""
import numpy as np
import pytest
from test_int8 import SIZES, clips, quantised, trained

from npgru import int8, model
from npgru.device_fast import SHIFTS, fast_arrays, packed, solve, steps
from npgru.device_layout import network_of
from npgru.fixed_point import mbq

Q31 = 2**31


def exact(a, q, shift):
    return np.clip(mbq(a, q, shift), 0, 255)


def fast(a, Q, d, N):
    """USAT8(SMMUL(256 a + d, Q) >> N), in the 64 bits of SMMUL's product."""
    x = 256 * a + d
    assert np.abs(x).max() < Q31 and 0 < Q < Q31
    return np.clip(((x * Q) >> 32) >> N, 0, 255)


def assert_proved(q, shift, low, high, N=SHIFTS[0]) -> bool:
    """solve's answer, if any, on every attainable sum."""
    solution = solve(q, shift, low, high, N)
    if solution is None:
        return False
    a = np.arange(low, high + 1)
    np.testing.assert_array_equal(fast(a, *solution, N), exact(a, q, shift))
    return True


def test_every_attainable_sum_of_random_channels(rng):
    """Multipliers from 2^-13 to 2^-5.2 and sums around their range; some 20 million sums."""
    solved = [assert_proved(int(rng.integers(2**30, Q31)), int(rng.integers(-12, -4)), int(-rng.integers(1, 60000)),
                            int(rng.integers(1, 120000))) for _ in range(200)]
    assert np.mean(solved) > 0.97


@pytest.mark.parametrize("q", [2**30, 2**30 + 1, Q31 - 1, Q31 - 2**16, 3 * 2**29, 2**30 + 2**15])
@pytest.mark.parametrize("shift", [-12, -9, -6, -5])
def test_multipliers_at_the_edge(q, shift):
    """Powers of two, where every second step is a tie, and the largest."""
    found = [assert_proved(q, shift, -70000, 140000, N) for N in SHIFTS]
    assert any(found)


def test_sums_that_reach_few_or_none_of_the_steps():
    assert assert_proved(2**30 + 12345, -8, -5000, -1000)            # always 0
    assert assert_proved(2**30 + 12345, -8, -5000, 700)              # at most 1
    assert assert_proved(2**30 + 12345, -8, 200000, 300000)          # always 255
    assert assert_proved(2**30 + 12345, -8, 500, 500)                # one sum


def test_what_does_not_fit_is_not_solved():
    assert solve(2**30, 0, -1000, 1000, 12) is None                  # a multiplier of 1/2 needs Q = 2^35
    assert solve(2**30, -8, -2**24, 2**24, 12) is None               # 256 a leaves 32 bits
    assert solve(2**30, 8, -1000, 2**24, 8) is None                  # the exact form's left shift wraps


def test_steps_are_the_first_sums_of_each_output(rng):
    q, shift = rng.integers(2**30, Q31, 5), rng.integers(-10, -5, 5)
    low, high = -rng.integers(0, 3000, 5), rng.integers(100, 20000, 5)
    found = steps(q, shift, low, high)
    for n in range(5):
        a = np.arange(low[n], high[n] + 1)
        reached = mbq(a, q[n], shift[n])
        expected = [int(a[reached >= k][0]) if (reached >= k).any() else high[n] + 1 for k in range(1, 256)]
        assert found[n].tolist() == expected


def test_packed_weights_are_both_sums(rng):
    """SMLAD with the word: 256 S_1 + S_0; with its low bytes, signed: S_0."""
    w, u = rng.integers(-127, 128, (2, 64)), rng.integers(0, 256, 64)
    words = packed(w).astype(np.int64)
    halves = np.stack([words & 0xFFFF, words >> 16], axis=1).astype(np.uint16).view(np.int16).astype(np.int64).ravel()
    low_bytes = halves.astype(np.int8).astype(np.int64)
    assert (low_bytes * u).sum() == (w[0] * u).sum()
    assert (halves * u).sum() - (w[0] * u).sum() == 256 * (w[1] * u).sum()


@pytest.mark.parametrize("config", SIZES)
def test_layers_without_a_solution_keep_the_exact_form(config, rng, monkeypatch):
    network = network_of(int8.freeze(quantised(trained(config, clips(rng, 16), rng), clips(rng, 32))))
    names = {layer.name for layers in network.by_kind.values() for layer in layers} | {"gru"}
    streams, _ = fast_arrays(network, "DSP")
    assert set(streams) == names and (config != model.student() or all(stream is not None for stream in streams.values()))
    assert set(fast_arrays(network, "PLAIN")[0].values()) == {None}
    monkeypatch.setattr("npgru.device_fast.solve", lambda *_: None)
    streams, _ = fast_arrays(network, "DSP")
    assert all(streams[name] is None for name in names - {"gru"})
