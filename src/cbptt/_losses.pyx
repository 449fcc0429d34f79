"""Output functions, losses, and the delta dL/da2 (the lecture, "BPTT: gradient w.r.t. a2").

A delta is the loss' own derivative through f's Jacobian: dL/da2 = dL/dh2 (dh2/da2). The Jacobian
is diagonal for the scalar functions and dense for softmax. For three pairs the product collapses
to h2 - target (identity with squared_error, softmax and logistic with log_loss); that shortcut
neither divides by h2 nor cancels, so it stays exact where h2 underflows.
"""

from cython cimport floating
from libc.math cimport exp, fabs, log, log1p

from cbptt._kernels cimport (
    IDENTITY, LOGISTIC, SOFTMAX, activate, exponential, times_derivative
)

LOSSES = {"squared_error": <int> SQUARED_ERROR, "log_loss": <int> LOG_LOSS}


# ---- forward: h2 = f(a2) ----------------------------------------------------------------------

cdef inline void shift_row(
    floating* z,  # INOUT (K,)  in: a2; out: a2 - max a2, of which softmax is the same
    Py_ssize_t K,
) noexcept nogil:
    cdef Py_ssize_t k
    cdef floating largest = z[0]
    for k in range(1, K):
        largest = max(largest, z[k])
    for k in range(K):
        z[k] -= largest


cdef inline double normalise_row(
    floating* z,  # INOUT (K,)  in: exp(a2 - max a2); out: softmax(a2)
    Py_ssize_t K,
) noexcept nogil:
    """h2 = exp(a2) / sum exp(a2); return the sum"""
    cdef Py_ssize_t k
    cdef double total = 0
    cdef floating factor
    for k in range(K):
        total += z[k]
    factor = <floating> (1 / total)
    for k in range(K):
        z[k] *= factor
    return total


cdef void output(
    floating* z,    # INOUT (R, K), rows ld apart  in: a2; out: h2 = f(a2)
    Py_ssize_t ld,
    Py_ssize_t R,
    Py_ssize_t K,
    int f,
) noexcept nogil:
    """h2 = f(a2); what lies between the rows is taken along"""
    cdef Py_ssize_t r
    if f == SOFTMAX:
        for r in range(R):
            shift_row(z + r * ld, K)
        exponential(z, (R - 1) * ld + K)
        for r in range(R):
            normalise_row(z + r * ld, K)
    else:
        activate(z, (R - 1) * ld + K, f)


# ---- the loss of one row ------------------------------------------------------------------------

cdef inline double squared_error_row(
    const floating* h2,      # IN  (K,)
    const floating* target,  # IN  (K,)
    Py_ssize_t K,
) noexcept nogil:
    """L = 1/2 sum_k (h2_k - target_k)^2"""
    cdef Py_ssize_t k
    cdef double total = 0, difference
    for k in range(K):
        difference = <double> h2[k] - target[k]
        total += difference * difference
    return total / 2


cdef inline double categorical_log_loss_row(
    const floating* shifted,  # IN  (K,)  a2 - max a2
    const floating* target,   # IN  (K,)  probabilities, summing to 1
    Py_ssize_t K,
) noexcept nogil:
    """L = - sum_k target_k log h2_k = log sum exp(a2) - sum_k target_k a2_k; without the first"""
    cdef Py_ssize_t k
    cdef double total = 0
    for k in range(K):
        if target[k] != 0:
            total -= <double> target[k] * shifted[k]
    return total


cdef inline double binary_log_loss_row(
    const floating* z,       # IN  (K,)  a2, of h2 = logistic(a2)
    const floating* target,  # IN  (K,)  probabilities
    Py_ssize_t K,
) noexcept nogil:
    """L = - sum_k target_k log h2_k + (1 - target_k) log(1 - h2_k)

    = sum_k log(1 + e^a2_k) - target_k a2_k
    """
    cdef Py_ssize_t k
    cdef double total = 0, z_k
    for k in range(K):
        z_k = z[k]
        total += max(z_k, <double> 0) - target[k] * z_k + log1p(exp(-fabs(z_k)))
    return total


# ---- backward: dL/da2 = dL/dh2 (dh2/da2), one row ---------------------------------------------

cdef bint is_pair(int f, int loss) noexcept nogil:
    """Whether these are the codes of an output function and of a loss that it goes with"""
    if loss == SQUARED_ERROR:
        return 0 <= f <= SOFTMAX
    return loss == LOG_LOSS and (f == SOFTMAX or f == LOGISTIC)


cdef inline bint is_canonical(int f, int loss) noexcept nogil:
    if loss == SQUARED_ERROR:
        return f == IDENTITY
    return f == SOFTMAX or f == LOGISTIC


cdef inline void times_jacobian_row(
    floating* d,         # INOUT (K,)  in: dL/dh2; out: dL/da2
    const floating* h2,  # IN    (K,)
    Py_ssize_t K,
    int f,
) noexcept nogil:
    cdef Py_ssize_t k
    cdef floating inner = 0
    if f == SOFTMAX:
        # dh2_i/da2_k = h2_i ([i = k] - h2_k): dense
        for k in range(K):
            inner += d[k] * h2[k]
        for k in range(K):
            d[k] = h2[k] * (d[k] - inner)
    else:
        # dh2_i/da2_k = f'(a2_k) [i = k]: diagonal
        times_derivative(d, h2, K, f)


cdef double loss_and_delta(
    floating* z,             # INOUT (R, K), rows ld apart  in: a2; out: h2 = f(a2)
    floating* dz,            # INOUT (R, K), rows ld apart  in: the targets; out: w dL/da2
    Py_ssize_t ld,
    const floating* weight,  # IN    (R,)    w; 0 marks a row without a target
    Py_ssize_t R,
    Py_ssize_t K,
    int f,
    int loss,
) noexcept nogil:
    """Return sum_r w_r L(h2_r, target_r), summed in double."""
    cdef:
        Py_ssize_t r, k
        double total = 0, size
        floating w
        floating* z_r
        floating* dz_r

    # L, as far as it follows from a2, and h2: all rows at once, the loss of those with a target
    if loss == LOG_LOSS and f == SOFTMAX:
        for r in range(R):
            shift_row(z + r * ld, K)
            if weight[r] != 0:
                total += weight[r] * categorical_log_loss_row(z + r * ld, dz + r * ld, K)
        exponential(z, (R - 1) * ld + K)
        for r in range(R):
            size = normalise_row(z + r * ld, K)
            if weight[r] != 0:
                total += weight[r] * log(size)
    elif loss == LOG_LOSS:
        for r in range(R):
            if weight[r] != 0:
                total += weight[r] * binary_log_loss_row(z + r * ld, dz + r * ld, K)
        output(z, ld, R, K, f)
    else:
        output(z, ld, R, K, f)
        for r in range(R):
            if weight[r] != 0:
                total += weight[r] * squared_error_row(z + r * ld, dz + r * ld, K)

    # w dL/da2
    for r in range(R):
        z_r = z + r * ld
        dz_r = dz + r * ld
        w = weight[r]
        if w == 0:
            for k in range(K):
                dz_r[k] = 0
            continue
        # forward: L = 1/2 sum_k (h2_k - target_k)^2, or a log loss that f makes canonical
        for k in range(K):
            dz_r[k] = z_r[k] - dz_r[k]
        if not is_canonical(f, loss):
            times_jacobian_row(dz_r, z_r, K, f)
        for k in range(K):
            dz_r[k] *= w
    return total


# ---- the boundary --------------------------------------------------------------------------------

def evaluate(
    floating[:, ::1] z,
    floating[:, ::1] dz,
    const floating[::1] weight,
    int f,
    int loss,
):
    """Turn z from a2 into h2 and dz from targets into w dL/da2, in place; return the loss."""
    if (z.shape[0] != dz.shape[0] or z.shape[1] != dz.shape[1] or weight.shape[0] != z.shape[0]
            or z.shape[0] == 0 or z.shape[1] == 0):
        raise ValueError(
            f"cbptt's compiled code got outputs of shape {(z.shape[0], z.shape[1])}, targets of "
            f"shape {(dz.shape[0], dz.shape[1])} and {weight.shape[0]} weights."
        )
    if not is_pair(f, loss):
        raise ValueError(f"cbptt's compiled code got no loss of the codes {f}, {loss}.")
    with nogil:
        total = loss_and_delta(&z[0, 0], &dz[0, 0], z.shape[1], &weight[0], z.shape[0],
                               z.shape[1], f, loss)
    return total
