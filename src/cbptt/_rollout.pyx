"""A network that goes on from its own outputs: series are continued, symbols are drawn.

Random numbers come from the caller, drawn beforehand; the parameters are those of a `Live`.
"""

from cython cimport floating
from libc.math cimport isfinite
from libc.string cimport memcpy

from cbptt._arena cimport (
    Arena, Store, arena_in, comparing, counting, release, require_whole, reserve, take
)
from cbptt._kernels cimport LOGISTIC, exponential, flush_denormals, restore_mode
from cbptt._live cimport Live, Stepping, advance, load_states, place_step, store_states
from cbptt._losses cimport output
from cbptt._network cimport Network


cdef struct Rolling:        # the work memory of n sequences
    Stepping stepping
    void* x                 # (n, D)


cdef void place(Rolling* rolling, Arena* arena, Network net, Py_ssize_t n) noexcept nogil:
    place_step(&rolling.stepping, arena, net, n)
    rolling.x = take(arena, n * net.layers[0].D, net.itemsize)


cdef int allocate(Store* store, Rolling* rolling, Network net, Py_ssize_t n) except -1:
    """Count the work memory, and place it in memory of that size"""
    cdef Arena arena = counting()
    place(rolling, &arena, net, n)
    store.block, store.base, store.size = NULL, NULL, 0
    if not reserve(store, arena.used):
        raise MemoryError
    arena = arena_in(store)
    place(rolling, &arena, net, n)
    return 0


cdef int finish(Store* store, Rolling* rolling, Network net, Py_ssize_t n) except -1:
    """Compare the guards in the work memory, and free it"""
    cdef Arena arena = comparing(store)
    place(rolling, &arena, net, n)
    release(store)
    return require_whole(&arena)


cdef int require(str name, tuple shape, tuple expected) except -1:
    if shape != expected:
        raise ValueError(
            f"cbptt's compiled code got {name} of shape {shape}; expected {expected}."
        )
    return 0


cdef int require_precision(Live live, Py_ssize_t itemsize) except -1:
    return require("arrays", (itemsize,), (live.net.itemsize,))


def forecast(
    floating[:, :, ::1] series,
    floating[:, ::1] states,
    const floating[:, :, ::1] known,
    const floating[:, :, ::1] noise,
    const Py_ssize_t[::1] lags,
    Py_ssize_t past,
    Py_ssize_t first,
    Py_ssize_t end,
    Live live,
):
    """Continue n series of K variables by their steps first..end: y_t = h2_t + e_t.

    The input of a step is x_t = (y_{t - lags[0]}, y_{t - lags[1]}, ..., known_t).

    series : (n, past + H, K) what came before, at least as many steps as the largest lag, and
        behind it the H steps that are filled in.
    states : (n, M) before the first step, changed in place to those after the last.
    known : (n, H, E) what else is known of each step, E = D - K len(lags), which may be 0.
    noise : (n, H, K) e, or empty for none.
    live : the network, with the parameters that it has now.
    """
    cdef:
        Network net = live.net
        Py_ssize_t n = series.shape[0], n_lags = lags.shape[0], E = known.shape[2]
        Py_ssize_t D = net.layers[0].D, K = net.head.K, LK = net.head.LK, t, i, j, k
        floating* z
        floating* x
        Store store
        Rolling rolling
        bint noisy = noise.shape[0] > 0
        Py_ssize_t H = known.shape[1]
        unsigned long long mode

    require_precision(live, sizeof(floating))
    require("series", (series.shape[1] - H, series.shape[2]), (past, K))
    require("states", (states.shape[0], states.shape[1]), (n, net.state_width))
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

    live.follow()
    allocate(&store, &rolling, net, n)
    with nogil:
        mode = flush_denormals()
        x = <floating*> rolling.x
        load_states(&rolling.stepping, <const floating*> &states[0, 0], net, n)
        for t in range(first, end):
            for i in range(n):
                for j in range(n_lags):
                    memcpy(x + i * D + j * K, &series[i, past + t - lags[j], 0],
                           K * sizeof(floating))
                if E > 0:
                    memcpy(x + i * D + n_lags * K, &known[i, t, 0], E * sizeof(floating))
            z = advance(&rolling.stepping, <const floating*> x, &live.packed, net, n)
            output(z, LK, n, K, net.head.f)
            for i in range(n):
                for k in range(K):
                    series[i, past + t, k] = z[i * LK + k] + (noise[i, t, k] if noisy else 0)
        store_states(&states[0, 0], &rolling.stepping, net, n)
        restore_mode(mode)
    finish(&store, &rolling, net, n)


cdef Py_ssize_t draw(
    floating* z,         # INOUT (K,)  in: a2; overwritten
    double u,            # uniform on [0, 1)
    double temperature,  # 0 takes the most probable class
    Py_ssize_t K,
    int f_out,
) noexcept nogil:
    """Draw a class from f(a2 / temperature): the first one whose cumulated probability exceeds u

    -1 where a2 is not finite, so that there are no probabilities.
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
    Live live,
):
    """Draw the next T symbols of n sequences, each from the probabilities after the one before.

    symbols : (n, T) classes that are drawn; -1 where a2 is not finite.
    states : (n, M) before the step of `inputs`, changed in place to those before the next one's.
    inputs : (n, D) what the first symbol is to follow, changed in place to the last one's encoding.
    encoding : (classes, D) what each class is as an input.
    uniforms : (n, T) on [0, 1).
    live : the network, with the parameters that it has now.
    """
    cdef:
        Network net = live.net
        Py_ssize_t n = symbols.shape[0], T = symbols.shape[1], t, i
        Py_ssize_t D = net.layers[0].D, K = net.head.K, LK = net.head.LK
        Py_ssize_t classes = 2 if net.head.f == LOGISTIC else K
        floating* z
        Store store
        Rolling rolling
        unsigned long long mode

    require_precision(live, sizeof(floating))
    require("states", (states.shape[0], states.shape[1]), (n, net.state_width))
    require("inputs", (inputs.shape[0], inputs.shape[1]), (n, D))
    require("encoding", (encoding.shape[0], encoding.shape[1]), (classes, D))
    require("uniforms", (uniforms.shape[0], uniforms.shape[1]), (n, T))
    if n == 0:
        raise ValueError("cbptt's compiled code got 0 sequences; expected at least one.")

    live.follow()
    allocate(&store, &rolling, net, n)
    with nogil:
        mode = flush_denormals()
        load_states(&rolling.stepping, <const floating*> &states[0, 0], net, n)
        for t in range(T):
            z = advance(&rolling.stepping, <const floating*> &inputs[0, 0], &live.packed, net, n)
            for i in range(n):
                symbols[i, t] = draw(z + i * LK, uniforms[i, t], temperature, K, net.head.f)
                if symbols[i, t] >= 0:
                    memcpy(&inputs[i, 0], &encoding[symbols[i, t], 0], D * sizeof(floating))
        store_states(&states[0, 0], &rolling.stepping, net, n)
        restore_mode(mode)
    finish(&store, &rolling, net, n)
