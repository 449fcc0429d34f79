"""A network that goes on from its own outputs: series are continued, symbols are drawn.

What is random comes from the caller, drawn beforehand; so do the parameters, packed by `_live`.
"""

from cython cimport floating
from libc.math cimport isfinite
from libc.string cimport memcpy, memset

from cbptt._kernels cimport LOGISTIC, exponential, flush_denormals, restore_mode
from cbptt._live cimport advance, packed_size
from cbptt._losses cimport output
from cbptt._plan cimport Network


def scratch_size(Network net, Py_ssize_t n):
    """Numbers of scratch for a rollout of n sequences."""
    return n * (2 * net.L + net.LK + net.D)


cdef void pad(
    floating* padded,        # OUT (n, M), rows L apart
    const floating* states,  # IN  (n, M)
    Py_ssize_t n,
    Py_ssize_t M,
    Py_ssize_t L,
) noexcept nogil:
    cdef Py_ssize_t i
    memset(padded, 0, n * L * sizeof(floating))
    for i in range(n):
        memcpy(padded + i * L, states + i * M, M * sizeof(floating))


cdef int require(str name, tuple shape, tuple expected) except -1:
    if shape != expected:
        raise ValueError(
            f"cbptt's compiled code got {name} of shape {shape}; expected {expected}."
        )
    return 0


cdef int require_memory(
    const floating[::1] packed, const floating[::1] scratch, Py_ssize_t n, Network net
) except -1:
    require("packed", (packed.shape[0], sizeof(floating)), (packed_size(net), net.itemsize))
    return require("scratch", (scratch.shape[0],), (scratch_size(net, n),))


def forecast(
    floating[:, :, ::1] series,
    floating[:, ::1] states,
    const floating[:, :, ::1] known,
    const floating[:, :, ::1] noise,
    const Py_ssize_t[::1] lags,
    Py_ssize_t past,
    Py_ssize_t first,
    Py_ssize_t end,
    const floating[::1] packed,
    floating[::1] scratch,
    Network net,
):
    """Continue n series of K variables by their steps first..end: y_t = h2_t + e_t.

    The input of a step is x_t = (y_{t - lags[0]}, y_{t - lags[1]}, ..., known_t).

    series : (n, past + H, K) what came before, at least as many steps as the largest lag, and
        behind it the H steps that are filled in.
    states : (n, M) before the first step, changed in place to those after the last.
    known : (n, H, E) what else is known of each step, E = D - K len(lags), which may be 0.
    noise : (n, H, K) e, or empty for none.
    packed : from `_live.pack`; scratch : (scratch_size(net, n),).
    """
    cdef:
        Py_ssize_t n = series.shape[0], n_lags = lags.shape[0], E = known.shape[2]
        Py_ssize_t D = net.D, M = net.M, K = net.K, L = net.L, LK = net.LK, t, i, j, k
        floating* h_prev = &scratch[0]
        floating* h_t = h_prev + n * L
        floating* z = h_t + n * L
        floating* x = z + n * LK
        bint noisy = noise.shape[0] > 0
        Py_ssize_t H = known.shape[1]
        unsigned long long mode

    require_memory(packed, scratch, n, net)
    require("series", (series.shape[1], series.shape[2]), (past + H, K))
    require("states", (states.shape[0], states.shape[1]), (n, M))
    require("known", (known.shape[0], known.shape[2]), (n, D - K * n_lags))
    if noisy:
        require("noise", (noise.shape[0], noise.shape[1], noise.shape[2]), (n, H, K))
    if n == 0 or past < 0 or not 0 <= first <= end <= H:
        raise ValueError(
            f"cbptt's compiled code got steps {first} to {end} of {n} series of {H}, behind {past}."
        )
    for j in range(n_lags):
        if not 1 <= lags[j] <= past:
            raise ValueError(f"cbptt's compiled code got a lag of {lags[j]}; expected 1 to {past}.")

    with nogil:
        mode = flush_denormals()
        pad(h_prev, <const floating*> &states[0, 0], n, M, L)
        for t in range(first, end):
            for i in range(n):
                for j in range(n_lags):
                    memcpy(x + i * D + j * K, &series[i, past + t - lags[j], 0],
                           K * sizeof(floating))
                if E > 0:
                    memcpy(x + i * D + n_lags * K, &known[i, t, 0], E * sizeof(floating))
            advance(h_t, z, <const floating*> x, <const floating*> h_prev, &packed[0], net, n)
            output(z, LK, n, K, net.f_out)
            for i in range(n):
                for k in range(K):
                    series[i, past + t, k] = z[i * LK + k] + (noise[i, t, k] if noisy else 0)
            h_prev, h_t = h_t, h_prev
        for i in range(n):
            memcpy(&states[i, 0], h_prev + i * L, M * sizeof(floating))
        restore_mode(mode)


cdef Py_ssize_t draw(
    floating* z,         # INOUT (K,)  in: a2; overwritten
    double u,            # uniform on [0, 1)
    double temperature,  # 0 takes the most probable class
    Py_ssize_t K,
    int f_out,
) noexcept nogil:
    """Draw a class from f(a2 / temperature): the first one whose cumulated probability exceeds u

    -1 where a2 is not finite, and so tells no probabilities.
    """
    cdef:
        Py_ssize_t k, best = 0
        floating largest, shifted[2]
        double total = 0, reached = 0
    if f_out == LOGISTIC:
        # logistic(a2) = softmax(0, a2) of two classes
        shifted[0], shifted[1] = 0, z[0]
        z, K = shifted, 2
    for k in range(K):
        if not isfinite(z[k]):
            return -1
    for k in range(1, K):
        if z[k] > z[best]:
            best = k
    if temperature == 0:
        return best
    largest = z[best]
    for k in range(K):
        z[k] = <floating> ((z[k] - largest) / temperature)
    exponential(z, K)
    for k in range(K):
        total += z[k]
    for k in range(K):
        reached += z[k]
        if reached > u * total:
            return k
    return best


def sample(
    Py_ssize_t[:, ::1] symbols,
    floating[:, ::1] states,
    floating[:, ::1] inputs,
    const floating[:, ::1] encoding,
    const double[:, ::1] uniforms,
    double temperature,
    const floating[::1] packed,
    floating[::1] scratch,
    Network net,
):
    """Draw the next T symbols of n sequences, each from the probabilities after the one before.

    symbols : (n, T) classes that are drawn; -1 where a2 is not finite.
    states : (n, M) before the step of `inputs`, changed in place to those before the next one's.
    inputs : (n, D) what the first symbol is to follow, changed in place to the last one's encoding.
    encoding : (classes, D) what each class is as an input.
    uniforms : (n, T) on [0, 1).
    packed : from `_live.pack`; scratch : (scratch_size(net, n),).
    """
    cdef:
        Py_ssize_t n = symbols.shape[0], T = symbols.shape[1], t, i
        Py_ssize_t D = net.D, M = net.M, K = net.K, L = net.L, LK = net.LK
        floating* h_prev = &scratch[0]
        floating* h_t = h_prev + n * L
        floating* z = h_t + n * L
        Py_ssize_t classes = 2 if net.f_out == LOGISTIC else K
        unsigned long long mode

    require_memory(packed, scratch, n, net)
    require("states", (states.shape[0], states.shape[1]), (n, M))
    require("inputs", (inputs.shape[0], inputs.shape[1]), (n, D))
    require("encoding", (encoding.shape[0], encoding.shape[1]), (classes, D))
    require("uniforms", (uniforms.shape[0], uniforms.shape[1]), (n, T))
    if n == 0:
        raise ValueError("cbptt's compiled code got 0 sequences; expected at least one.")

    with nogil:
        mode = flush_denormals()
        pad(h_prev, <const floating*> &states[0, 0], n, M, L)
        for t in range(T):
            advance(h_t, z, <const floating*> &inputs[0, 0], <const floating*> h_prev, &packed[0],
                    net, n)
            for i in range(n):
                symbols[i, t] = draw(z + i * LK, uniforms[i, t], temperature, K, net.f_out)
                if symbols[i, t] >= 0:
                    memcpy(&inputs[i, 0], &encoding[symbols[i, t], 0], D * sizeof(floating))
            h_prev, h_t = h_t, h_prev
        for i in range(n):
            memcpy(&states[i, 0], h_prev + i * L, M * sizeof(floating))
        restore_mode(mode)
