"""The way of one mini-batch: forward, loss, backward, the five derivatives, and a step.

Everything below the boundary runs without the GIL on memory that Python owns.
"""

from cython cimport floating
from libc.math cimport isfinite

from cbptt._blas cimport fill_rows, gemm_nn, gemm_nt
from cbptt._elman cimport elman_backward, elman_forward
from cbptt._gradients cimport five_derivatives
from cbptt._losses cimport loss_and_delta
from cbptt._optimizers cimport adam_step, norm, penalise, scale, sgd_step
from cbptt._packing cimport gather_one_hot, gather_rows, pack, scatter_rows


cdef enum:
    SGD, ADAM

SOLVERS = {"sgd": <int> SGD, "adam": <int> ADAM}


cdef void forward_pass(
    floating[:, ::1] states,            # INOUT (B + N, M)  in: h0 in the first B rows; out: h after
    floating[:, ::1] h_read,            # OUT   (R, M)  what the outputs read; or h itself
    floating[:, ::1] z,                 # OUT   (R, K)  a2
    floating[::1] packed_hh,            # scratch for the packed W11; or empty
    floating[::1] packed_ih,            # scratch for the packed W0; or empty
    const floating[:, ::1] x,           # IN    (N, D)
    const floating[:, ::1] weight_ih,   # IN    (M, D)  W0
    const floating[:, ::1] weight_hh,   # IN    (M, M)  W11
    const floating[::1] bias_h,         # IN    (M,)    b0
    const floating[:, ::1] weight_ho,   # IN    (K, M)  W1
    const floating[::1] bias_o,         # IN    (K,)    b1
    const Py_ssize_t[::1] batch_sizes,  # IN    (T,)
    const Py_ssize_t[::1] ends,         # IN    (B,)    rows of the last steps
    int f,
    bint last,
) noexcept nogil:
    elman_forward(states, packed_hh, packed_ih, x, weight_ih, weight_hh, bias_h, batch_sizes, f)
    if last:
        gather_rows(h_read, states[ends.shape[0]:], ends)

    # a2_t = W1 h_t + b1
    fill_rows(z, bias_o)
    gemm_nt(z, h_read, weight_ho, 1)


cdef double shard(
    floating[:, ::1] dweight_ih,        # OUT   (M, D)  sums over the shard, as are the next four
    floating[:, ::1] dweight_hh,        # OUT   (M, M)
    floating[::1] dbias_h,              # OUT   (M,)
    floating[:, ::1] dweight_ho,        # OUT   (K, M)
    floating[::1] dbias_o,              # OUT   (K,)
    floating[:, ::1] dh0,               # OUT   (B, M)
    floating[:, ::1] da,                # OUT   (N, M)  dL/da1
    floating[:, ::1] z,                 # OUT   (R, K)  h2
    floating[:, ::1] dz,                # INOUT (R, K)  in: the targets; out: dL/da2
    floating[:, ::1] states,            # INOUT (B + N, M)  in: h0 in the first B rows; out: scratch
    floating[:, ::1] h_read,            # scratch (R, M); or h itself, where every step is read
    floating[:, ::1] dh_read,           # scratch (R, M); or da itself, where every step is read
    floating[::1] packed_hh,            # scratch for the packed W11; or empty
    floating[::1] packed_ih,            # scratch for the packed W0; or empty
    floating[::1] chunk,                # scratch for the hidden derivatives; or empty
    const floating[:, ::1] x,           # IN    (N, D)
    const floating[::1] weight,         # IN    (R,)    of each target; 0: none
    const floating[:, ::1] weight_ih,   # IN    (M, D)
    const floating[:, ::1] weight_hh,   # IN    (M, M)
    const floating[::1] bias_h,         # IN    (M,)
    const floating[:, ::1] weight_ho,   # IN    (K, M)
    const floating[::1] bias_o,         # IN    (K,)
    const Py_ssize_t[::1] batch_sizes,  # IN    (T,)
    const Py_ssize_t[::1] ends,         # IN    (B,)
    int f,
    int f_out,
    int loss,
    bint last,
) noexcept nogil:
    """Return the shard's loss, a plain sum over its sequences, with all of its derivatives."""
    cdef double total

    forward_pass(states, h_read, z, packed_hh, packed_ih, x, weight_ih, weight_hh, bias_h,
                 weight_ho, bias_o, batch_sizes, ends, f, last)

    # h2 = f(a2), L, dL/da2
    total = loss_and_delta(z, dz, weight, f_out, loss, True)

    # forward: a2_t = W1 h_t + b1
    # dL/dh_t = dL/da2_t W1, where t is read, and 0 elsewhere
    gemm_nn(dh_read, dz, weight_ho)
    if last:
        scatter_rows(da, dh_read, ends)

    elman_backward(da, dh0, packed_hh, states[ends.shape[0]:], weight_hh, batch_sizes, f)
    five_derivatives(dweight_ho, dbias_o, dweight_hh, dweight_ih, dbias_h, states,
                     chunk, dz, da, h_read, x, batch_sizes)
    return total


# ---- the boundary: shapes were compared by the callers in network.py and training.py ---------

def forward(
    floating[:, ::1] states,
    floating[:, ::1] h_read,
    floating[:, ::1] z,
    floating[::1] packed_hh,
    floating[::1] packed_ih,
    const floating[:, ::1] x,
    dict parameters,
    const Py_ssize_t[::1] batch_sizes,
    const Py_ssize_t[::1] ends,
    int f,
    bint last,
):
    """Run a packed batch forward: states[B:] becomes h, and z becomes a2.

    states : (B + N, M), with h0 in its first B rows; h_read : states[B:], or (B, M) scratch where
    only the last step is read; z : (R, K), R = N or B; packed_hh, packed_ih :
    scratch, see network.kernel_scratch; x : (N, D).
    """
    cdef:
        const floating[:, ::1] weight_ih = parameters["weight_ih"]
        const floating[:, ::1] weight_hh = parameters["weight_hh"]
        const floating[::1] bias_h = parameters["bias_h"]
        const floating[:, ::1] weight_ho = parameters["weight_ho"]
        const floating[::1] bias_o = parameters["bias_o"]
    with nogil:
        forward_pass(states, h_read, z, packed_hh, packed_ih, x, weight_ih, weight_hh, bias_h,
                     weight_ho, bias_o, batch_sizes, ends, f, last)


def loss_and_gradients(
    floating[:, ::1] dh0,
    floating[:, ::1] da,
    floating[:, ::1] z,
    floating[:, ::1] dz,
    floating[:, ::1] states,
    floating[:, ::1] h_read,
    floating[:, ::1] dh_read,
    floating[::1] packed_hh,
    floating[::1] packed_ih,
    floating[::1] chunk,
    const floating[:, ::1] x,
    const floating[::1] weight,
    dict gradients,
    dict parameters,
    const Py_ssize_t[::1] batch_sizes,
    const Py_ssize_t[::1] ends,
    int f,
    int f_out,
    int loss,
    bint last,
):
    """Run a packed batch forward and backward; return its loss, a plain sum.

    Shapes are those of `shard`; h_read and dh_read are states[B:] and da where every step is read.
    """
    cdef:
        floating[:, ::1] dweight_ih = gradients["weight_ih"]
        floating[:, ::1] dweight_hh = gradients["weight_hh"]
        floating[::1] dbias_h = gradients["bias_h"]
        floating[:, ::1] dweight_ho = gradients["weight_ho"]
        floating[::1] dbias_o = gradients["bias_o"]
        const floating[:, ::1] weight_ih = parameters["weight_ih"]
        const floating[:, ::1] weight_hh = parameters["weight_hh"]
        const floating[::1] bias_h = parameters["bias_h"]
        const floating[:, ::1] weight_ho = parameters["weight_ho"]
        const floating[::1] bias_o = parameters["bias_o"]
        double total
    with nogil:
        total = shard(dweight_ih, dweight_hh, dbias_h, dweight_ho, dbias_o, dh0, da, z, dz,
                      states, h_read, dh_read, packed_hh, packed_ih, chunk, x, weight, weight_ih,
                      weight_hh, bias_h, weight_ho, bias_o, batch_sizes, ends, f, f_out, loss,
                      last)
    return total


def input_gradient(
    floating[:, ::1] dx,
    const floating[:, ::1] da,
    const floating[:, ::1] weight_ih,
):
    """dL/dx_t = dL/da1_t W0 for all packed rows: dx (N, D), da (N, M), weight_ih (M, D)."""
    # forward: a1_t += W0 x_t
    with nogil:
        gemm_nn(dx, da, weight_ih)


def train(
    floating[::1] theta,
    floating[::1] gradient,
    floating[::1] moment_1,
    floating[::1] moment_2,
    dict parameters,
    dict gradients,
    dict scratch,
    const floating[:, ::1] values,
    const Py_ssize_t[::1] offsets,
    const floating[:, ::1] targets,
    const Py_ssize_t[::1] labels,
    const floating[::1] weights,
    const Py_ssize_t[::1] sequences,
    Py_ssize_t batch_size,
    int f,
    int f_out,
    int loss,
    bint last,
    Py_ssize_t n_weights,
    double alpha,
    double max_grad_norm,
    int solver,
    double learning_rate,
    double momentum,
    bint nesterov,
    double beta_1,
    double beta_2,
    double epsilon,
    Py_ssize_t step,
):
    """Take one optimiser step per mini-batch of `sequences`, in that order.

    theta, gradient, moment_1, moment_2 : (P,); parameters and gradients are their named views.
    values : (steps, D) with offsets (n + 1,); targets : (steps, K) or (n, K), or labels in their
    place with targets empty; weights : one per target. scratch : see network.Scratch.
    step : the number of steps taken before.

    Returns
    -------
    loss_sum, weight_sum, norm_sum, n_clipped, n_steps, finite
        Sums over the mini-batches: of the loss with its penalty, of the weights, of the gradient's
        norm before clipping; how often it was clipped; how many steps were taken. Where a loss or
        a gradient is not finite, its step is not taken, finite is False, and training ends.
    """
    cdef:
        floating[:, ::1] dweight_ih = gradients["weight_ih"]
        floating[:, ::1] dweight_hh = gradients["weight_hh"]
        floating[::1] dbias_h = gradients["bias_h"]
        floating[:, ::1] dweight_ho = gradients["weight_ho"]
        floating[::1] dbias_o = gradients["bias_o"]
        const floating[:, ::1] weight_ih = parameters["weight_ih"]
        const floating[:, ::1] weight_hh = parameters["weight_hh"]
        const floating[::1] bias_h = parameters["bias_h"]
        const floating[:, ::1] weight_ho = parameters["weight_ho"]
        const floating[::1] bias_o = parameters["bias_o"]
        floating[:, ::1] states = scratch["states"]
        floating[:, ::1] da = scratch["da"]
        floating[:, ::1] dh0 = scratch["dh0"]
        floating[:, ::1] z = scratch["z"]
        floating[:, ::1] dz = scratch["dz"]
        floating[:, ::1] h_read = scratch["h_read"]
        floating[:, ::1] dh_read = scratch["dh_read"]
        floating[::1] packed_hh = scratch["packed_hh"]
        floating[::1] packed_ih = scratch["packed_ih"]
        floating[::1] chunk = scratch["chunk"]
        floating[:, ::1] x = scratch["x"]
        floating[::1] weight = scratch["weight"]
        Py_ssize_t[::1] order = scratch["order"]
        Py_ssize_t[::1] batch_sizes = scratch["batch_sizes"]
        Py_ssize_t[::1] rows = scratch["rows"]
        Py_ssize_t[::1] ends = scratch["ends"]
        Py_ssize_t[::1] places = scratch["places"]
        floating[:, ::1] h_read_b, dh_read_b
        Py_ssize_t[::1] read
        Py_ssize_t batch, first, B, T, N, R, i, r
        Py_ssize_t n_clipped = 0, n_steps = 0
        double total, weight_sum, size
        floating clipped
        double loss_sum_all = 0, weight_sum_all = 0, norm_sum = 0
        bint finite = True

    with nogil:
        for batch in range((sequences.shape[0] + batch_size - 1) // batch_size):
            first = batch * batch_size
            B = min(batch_size, sequences.shape[0] - first)
            T = 0
            for i in range(first, first + B):
                T = max(T, offsets[sequences[i] + 1] - offsets[sequences[i]])

            N = pack(order[:B], batch_sizes[:T], rows, ends[:B], places,
                     sequences[first:first + B], offsets)
            gather_rows(x[:N], values, rows[:N])
            if last:
                R = B
                read = order[:B]
                h_read_b = h_read[:B]
                dh_read_b = dh_read[:B]
            else:
                R = N
                read = rows[:N]
                h_read_b = states[B:B + N]
                dh_read_b = da[:N]

            weight_sum = 0
            for r in range(R):
                weight[r] = weights[read[r]]
                weight_sum += weight[r]
            if weight_sum == 0:
                continue
            if labels.shape[0] > 0:
                gather_one_hot(dz[:R], labels, read)
            else:
                gather_rows(dz[:R], targets, read)

            states[:B, :] = 0
            total = shard(dweight_ih, dweight_hh, dbias_h, dweight_ho, dbias_o, dh0[:B],
                          da[:N], z[:R], dz[:R], states[:B + N], h_read_b, dh_read_b, packed_hh,
                          packed_ih, chunk, x[:N], weight[:R], weight_ih, weight_hh, bias_h,
                          weight_ho, bias_o, batch_sizes[:T], ends[:B], f, f_out, loss, last)
            total += penalise(gradient, theta, n_weights, alpha, weight_sum)

            # Adam squares the gradient: where that overflows, its entries would never move again.
            size = norm(gradient)
            clipped = <floating> min(size, max_grad_norm)
            finite = isfinite(total) and isfinite(size) and isfinite(clipped * clipped)
            if not finite:
                break
            norm_sum += size
            if size > max_grad_norm:
                scale(gradient, max_grad_norm / size)
                n_clipped += 1

            n_steps += 1
            if solver == ADAM:
                adam_step(theta, moment_1, moment_2, gradient, learning_rate, beta_1, beta_2,
                          epsilon, step + n_steps)
            else:
                sgd_step(theta, moment_1, gradient, learning_rate, momentum, nesterov)
            loss_sum_all += total
            weight_sum_all += weight_sum
    return loss_sum_all, weight_sum_all, norm_sum, n_clipped, n_steps, finite
