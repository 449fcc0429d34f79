"""The way of one mini-batch: forward, loss, backward, the five derivatives, and a step.

A mini-batch is cut into shards of whole sequences, by a rule that does not know who computes them;
a shard's loss and gradient are plain sums over its sequences, and those of the batch are the sums
of its shards', in their order. So the result is the same bits for any number of threads.

A shard walks forward through all its steps, and then back in chunks of them, small enough to stay
in cache: outputs and loss of the chunk, the backward recurrence, and its part of the five
derivatives. Of a whole shard only h is kept; or, with checkpoints, only that before each segment of
chunks, and a segment is run forward once more on the way back (Chen et al. 2016, Training deep nets
with sublinear memory cost; Gruslys et al. 2016, Memory-efficient backpropagation through time). The
way forward takes the same chunks, one product each, so that it gives the same bits every time.

Everything below the boundary runs without the GIL on memory that Python owns.
"""

from cython cimport floating
from libc.math cimport isfinite
from libc.string cimport memcpy, memset

from cbptt._blas cimport add_rows, fill_rows, gemm
from cbptt._elman cimport elman_backward, elman_forward, folds, multiply, recur_back
from cbptt._gradients cimport add_hidden_derivatives, add_output_derivatives
from cbptt._kernels cimport (
    IDENTITY, backward_step, flush_denormals, forward_step, pack_matrix, restore_mode
)
from cbptt._losses cimport loss_and_delta, output
from cbptt._optimizers cimport (
    adagrad_step, adam_step, decay_weights, norm, penalise, rmsprop_step, scale, sgd_step
)
from cbptt._packing cimport (
    are_within, count_rows, gather_one_hot, gather_rows, longest, pack, repeat_row, scatter_rows
)
from cbptt._plan cimport EVERY, HEAD, LAST, MAX, MEAN, PARTS, SIZE, Network, Plan
from cbptt._pooling cimport finish_mean, pool_steps, spread_steps
from cbptt._team cimport Team


cdef enum:
    NONE, SGD, ADAM, ADAMW, RMSPROP, ADAGRAD

cdef enum:
    PACK, EACH_PART, SUM  # the phases of a batch; forward ends with the second

SOLVERS = {
    "none": <int> NONE, "sgd": <int> SGD, "adam": <int> ADAM, "adamw": <int> ADAMW,
    "rmsprop": <int> RMSPROP, "adagrad": <int> ADAGRAD,
}

cdef:
    # Entries of theta that are added up over the shards at a time.
    Py_ssize_t SLICE = 1 << 16
    Py_ssize_t MATRICES = 4    # that are packed one by one


# ---- the parts of the way ------------------------------------------------------------------------

cdef void pack_parameters(
    floating* packed,       # OUT (packed_size,)
    const floating* theta,  # IN  (P,)
    Network net,
    Py_ssize_t item,        # 0..MATRICES - 1
    bint backward,          # whether what the way back needs is wanted too
) noexcept nogil:
    """Lay out the matrices as the products want them, once for a batch"""
    cdef Py_ssize_t D = net.D, M = net.M, K = net.K
    if item == 0 and net.own:
        pack_matrix(packed + net.hh, theta + net.weight_hh, M, M, True)
    elif item == 1 and net.own and backward:
        pack_matrix(packed + net.hh_back, theta + net.weight_hh, M, M, False)
    elif item == 2 and net.folded:
        pack_matrix(packed + net.ih, theta + net.weight_ih, D, M, True)
    elif item == 3:
        memset(packed + net.bias_h_row, 0, net.L * sizeof(floating))
        memset(packed + net.bias_o_row, 0, net.LK * sizeof(floating))
        memcpy(packed + net.bias_h_row, theta + net.bias_h, M * sizeof(floating))
        memcpy(packed + net.bias_o_row, theta + net.bias_o, K * sizeof(floating))
        if net.small:
            pack_matrix(packed + net.oh, theta + net.weight_ho, M, K, True)
            if backward:
                pack_matrix(packed + net.ho_back, theta + net.weight_ho, K, M, False)


cdef void read_out(
    floating* z,             # OUT (R, K)
    const floating* h,       # IN  (R, M)
    const floating* packed,  # IN
    const floating* theta,   # IN
    Py_ssize_t R,
    Network net,
) noexcept nogil:
    """a2_t = W1 h_t + b1"""
    if net.small:
        forward_step(z, packed + net.bias_o_row, 0, h, net.L, packed + net.oh,
                     <const floating*> NULL, <const floating*> NULL, R, net.K, net.M, IDENTITY)
    else:
        fill_rows(z, packed + net.bias_o_row, R, net.LK)
        gemm(z, net.LK, h, net.L, theta + net.weight_ho, net.M, R, net.K, net.M, False, True,
             <floating> 1)


cdef double read_loss(
    floating* z,                # OUT (R, K)  h2
    floating* dz,               # OUT (R, K)  dL/da2
    floating* weight,           # OUT (R,)
    double* weight_sum,         # INOUT
    const floating* h,          # IN  (R, M)  the states that are read
    const Py_ssize_t* read,     # IN  (R,)    where their targets stand
    const floating* targets,    # IN  (*, K); or NULL, and
    const Py_ssize_t* labels,   # IN  (*,)    classes
    const floating* weights,    # IN  (*,)
    const floating* packed,
    const floating* theta,
    Py_ssize_t R,
    Network net,
) noexcept nogil:
    """h2 = f(a2), L, dL/da2; return the sum of w L"""
    cdef Py_ssize_t r
    for r in range(R):
        weight[r] = weights[read[r]]
        weight_sum[0] += weight[r]
    if targets == NULL:
        gather_one_hot(dz, net.LK, labels, read, R, net.K)
    else:
        gather_rows(dz, net.LK, targets, net.K, read, R, net.K)
    read_out(z, h, packed, theta, R, net)
    return loss_and_delta(z, dz, net.LK, weight, R, net.K, net.f_out, net.loss, True)


cdef void start(
    floating* states,         # OUT (B, M)
    const floating* theta,    # IN  (P,)
    const floating* h0,       # IN  (n, M); or NULL
    const Py_ssize_t* order,  # IN  (B,)
    Py_ssize_t B,
    Network net,
) noexcept nogil:
    """h_0: what is given for each sequence, or the state that is learned, or 0"""
    memset(states, 0, B * net.L * sizeof(floating))
    if h0 != NULL:
        gather_rows(states, net.L, h0, net.M, order, B, net.M)
    elif net.initial_state >= 0:
        repeat_row(states, net.L, theta + net.initial_state, B, net.M)


cdef void mask_rows(
    floating* x,                    # INOUT (N, D)
    const floating* masks,          # IN    (n, D)
    const Py_ssize_t* order,        # IN    (B,)
    const Py_ssize_t* batch_sizes,  # IN    (T,)
    Py_ssize_t T,
    Py_ssize_t D,
) noexcept nogil:
    """x_t := m x_t, a sequence's mask the same at each step (Gal & Ghahramani 2016)"""
    cdef Py_ssize_t t, b
    for t in range(T):
        for b in range(batch_sizes[t]):
            multiply(x, <const floating*> x, masks + order[b] * D, D)
            x += D


cdef void keep_last(
    floating* h_read,               # INOUT (B, M)  the states after the last steps of sequences
    const floating* h,              # IN    (N, M)  of these steps
    const Py_ssize_t* batch_sizes,  # IN    (T,)
    Py_ssize_t n_after,             # sequences alive behind these steps
    Py_ssize_t T,
    Py_ssize_t L,
) noexcept nogil:
    cdef Py_ssize_t t, n_next
    for t in range(T):
        n_next = batch_sizes[t + 1] if t + 1 < T else n_after
        memcpy(h_read + n_next * L, h + n_next * L,
               (batch_sizes[t] - n_next) * L * sizeof(floating))
        h += batch_sizes[t] * L


cdef void run_segment(
    floating* h,                # OUT (n, M); in the rows before it, IN: those of the step before
    floating* inner,            # OUT likewise, what W11 reads: m h; or h
    floating* x,                # OUT (n, D)
    const Py_ssize_t* indices,  # IN  from `pack` and `Plan.cut`
    Py_ssize_t c,               # its first chunk, and
    Py_ssize_t c_end,           # the one behind it
    Py_ssize_t row,             # rows of the shard before it
    Py_ssize_t B,
    const floating* packed,
    const floating* theta,
    const floating* values,
    const floating* input_masks,
    const floating* mask,       # IN  (B, M); or NULL
    Network net,
    Plan plan,
    Team team,
    Py_ssize_t thread,
) noexcept nogil:
    """Run the steps of some chunks forward"""
    cdef:
        const Py_ssize_t* batch_sizes = indices + plan.batch_sizes
        const Py_ssize_t* cuts = indices + plan.cuts
        Py_ssize_t D = net.D, M = net.M, L = net.L, t = cuts[c], t_end = cuts[c_end], n, i
    n = count_rows(batch_sizes, t, t_end)
    gather_rows(x, D, values, D, indices + plan.rows + row, n, D)
    if input_masks != NULL:
        mask_rows(x, input_masks, indices + plan.order, batch_sizes + t, t_end - t, D)
    i = batch_sizes[t - 1] if t > 0 else B
    if mask != NULL:
        multiply(inner - i * L, <const floating*> (h - i * L), mask, i * L)
    while c < c_end and not team.stopped:
        t, t_end = cuts[c], cuts[c + 1]
        n = count_rows(batch_sizes, t, t_end)
        elman_forward(h, inner, inner - i * L, x, packed + net.bias_h_row, theta + net.weight_ih,
                      theta + net.weight_hh, packed + net.ih if net.folded else NULL,
                      packed + net.hh if net.own else NULL, mask, batch_sizes + t, t_end - t, n, D,
                      M, net.f)
        i = batch_sizes[t_end - 1]
        h += n * L
        inner += n * L
        x += n * D
        c += 1
        team.listen(thread, 2. * n * M * (M + D))


cdef void shard(
    floating* gradient,             # OUT (P,)    sums over the shard
    double* losses,                 # OUT (2,)    loss and weight
    floating* dh0,                  # OUT (n, M)  dL/dh_0 of its sequences; or NULL
    floating* dx,                   # OUT (steps, D)  dL/dx of their steps; or NULL
    floating* block,                # scratch (block_size,)
    Py_ssize_t* indices,            # scratch (index_size,)
    double* sums,                   # scratch (sums_size,)
    const Py_ssize_t* batch_order,  # IN  from lay_out
    Py_ssize_t part,                # of the batch
    const floating* packed,         # IN  from pack_parameters
    const floating* theta,          # IN  (P,)
    const floating* values,         # IN  (steps, D)
    const Py_ssize_t* starts,       # IN  (n,)
    const Py_ssize_t* stops,        # IN  (n,)
    const floating* h0,             # IN  (n, M); or NULL: zeros
    const floating* input_masks,    # IN  (n, D)  dropout of the inputs; or NULL
    const floating* masks,          # IN  (n, M)  dropout in the recurrence; or NULL
    const floating* targets,        # IN  (steps, K), or (n, K) unless EVERY; or NULL, and
    const Py_ssize_t* labels,       # IN  (steps,) or (n,)
    const floating* weights,        # IN  (steps,) or (n,)
    floating* carried,              # OUT (n, M)  states after `carry` steps, where there are so
                                    #     many; or NULL
    Py_ssize_t carry,
    Network net,
    Plan plan,
    Team team,
    Py_ssize_t thread,
) noexcept nogil:
    """One way forward and back; what it leaves is worthless once the team has been stopped"""
    cdef:
        Py_ssize_t D = net.D, M = net.M, K = net.K, L = net.L, LK = net.LK
        Py_ssize_t parts = batch_order[PARTS]
        Py_ssize_t B = (batch_order[SIZE] - part + parts - 1) // parts
        Py_ssize_t T, t, t_end, n, r, i, s, c, n_segments, n_after = 0
        Py_ssize_t row = 0, end             # before the segment; in it, up to the chunk's end
        bint every = net.readout == EVERY, last = net.readout == LAST, small = net.small
        bint learned = net.initial_state >= 0 and h0 == NULL
        Py_ssize_t* order = indices + plan.order
        Py_ssize_t* ends = indices + plan.ends
        Py_ssize_t* batch_sizes = indices + plan.batch_sizes
        Py_ssize_t* rows = indices + plan.rows
        const Py_ssize_t* cuts = indices + plan.cuts          # steps at which chunks begin
        const Py_ssize_t* segments = indices + plan.segments  # chunks at which segments begin
        # (segment, M); in the rows before it: those of the step before, (B, M) at the most
        floating* h = block + plan.states + B * L
        floating* inner = block + plan.inner + B * L if masks != NULL else h  # what W11 reads
        floating* mask = block + plan.mask if masks != NULL else NULL
        floating* kept = block + plan.kept              # (B, M) before each segment but the last
        floating* h_read = block + plan.h_read          # (B, M)  unless EVERY
        floating* x = block + plan.x                    # (segment, D)
        floating* h_chunk
        floating* x_chunk
        floating* z = block + plan.z                    # (R, K)
        floating* dz = block + plan.dz                  # (R, K)
        floating* da = block + plan.da                  # (chunk, M)
        floating* da_after = block + plan.da_after      # (B, M)
        floating* dh_read = block + plan.dh_read        # (B, M)
        floating* left = block + plan.left if small else NULL
        floating* right = block + plan.right
        floating* inputs = block + plan.inputs
        floating* dinputs = block + plan.dinputs        # (D + 1, M)
        double* dbias_h = sums
        double* dbias_o = sums + M
        double* dinitial = sums + M + K
        const floating* hh_back = packed + net.hh_back if net.own else NULL
        # W1 joins the recurrent product, or dL/dh is one product for a chunk
        const floating* ho_back = NULL

    if small and not net.pooled and (last or folds(B)):
        ho_back = packed + net.ho_back

    # Every parts-th sequence of those sorted by length: the shards are alike.
    for i in range(B):
        ends[i] = batch_order[HEAD + part + i * parts]
    T = longest(ends, B, starts, stops)
    pack(order, batch_sizes, rows, ends, ends, starts, stops, B, T)
    n_segments = plan.cut(indices, T)
    start(h - B * L, theta, h0, order, B, net)
    if masks != NULL:
        memset(mask, 0, B * L * sizeof(floating))
        gather_rows(mask, L, masks, M, order, B, M)

    memset(sums, 0, (2 * M + K) * sizeof(double))
    losses[0] = losses[1] = 0

    for s in range(n_segments):
        t, t_end = cuts[segments[s]], cuts[segments[s + 1]]
        if s + 1 < n_segments:
            i = batch_sizes[t - 1] if t > 0 else B
            memcpy(kept + s * B * L, h - i * L, i * L * sizeof(floating))
        run_segment(h, inner, x, indices, segments[s], segments[s + 1], row, B, packed, theta,
                    values, input_masks, mask, net, plan, team, thread)
        if team.stopped:
            return
        if net.pooled:
            pool_steps(h_read, <double*> (block + plan.sums), h, batch_sizes + t, t, t_end - t, L,
                       net.readout)
        elif last:
            keep_last(h_read, h, batch_sizes + t, batch_sizes[t_end] if t_end < T else 0, t_end - t,
                      L)
        if carried != NULL and t < carry and carry <= t_end:
            scatter_rows(carried, h + count_rows(batch_sizes, t, carry - 1) * L, L, order,
                         batch_sizes[carry - 1], M)
        n = count_rows(batch_sizes, t, t_end)
        if s + 1 < n_segments:
            i = batch_sizes[t_end - 1]
            memcpy(h - i * L, h + (n - i) * L, i * L * sizeof(floating))
        row += n

    if not every:
        if net.readout == MEAN:
            finish_mean(h_read, <const double*> (block + plan.sums), order, starts, stops, B, L)
        losses[0] = read_loss(z, dz, block + plan.weight, &losses[1], h_read, order, targets,
                              labels, weights, packed, theta, B, net)
        add_output_derivatives(gradient + net.weight_ho, dbias_o, left, right, dz, h_read, B, M, K,
                               False)
        # forward: a2 = W1 h
        if not small:
            gemm(dh_read, L, dz, LK, theta + net.weight_ho, M, B, M, K, False, False,
                 <floating> 0)
        elif net.pooled:
            backward_step(dh_read, <const floating*> NULL, dz, packed + net.ho_back,
                          <const floating*> NULL, <const floating*> NULL, <const floating*> NULL,
                          B, M, K, IDENTITY)

    for s in range(n_segments - 1, -1, -1):
        t, t_end = cuts[segments[s]], cuts[segments[s + 1]]
        end = count_rows(batch_sizes, t, t_end)
        row -= end
        if s + 1 < n_segments:
            # forward once more
            i = batch_sizes[t - 1] if t > 0 else B
            memcpy(h - i * L, kept + s * B * L, i * L * sizeof(floating))
            run_segment(h, inner, x, indices, segments[s], segments[s + 1], row, B, packed, theta,
                        values, input_masks, mask, net, plan, team, thread)

        for c in range(segments[s + 1] - 1, segments[s] - 1, -1):
            if team.stopped:
                return
            t, t_end = cuts[c], cuts[c + 1]
            n = count_rows(batch_sizes, t, t_end)
            end -= n
            h_chunk, x_chunk = h + end * L, x + end * D

            if every:
                losses[0] += read_loss(z, dz, block + plan.weight, &losses[1], h_chunk,
                                       rows + row + end, targets, labels, weights, packed, theta, n,
                                       net)
                add_output_derivatives(gradient + net.weight_ho, dbias_o, left, right, dz, h_chunk,
                                       n, M, K, t_end < T)
                # forward: a2_t = W1 h_t
                if not small:
                    gemm(da, L, dz, LK, theta + net.weight_ho, M, n, M, K, False, False,
                         <floating> 0)
                elif ho_back == NULL:
                    backward_step(da, <const floating*> NULL, dz, packed + net.ho_back,
                                  <const floating*> NULL, <const floating*> NULL,
                                  <const floating*> NULL, n, M, K, IDENTITY)

            elif net.pooled:
                spread_steps(da, dh_read, h_read, h_chunk, batch_sizes + t, order, starts, stops,
                             t_end - t, L, net.readout)

            elman_backward(da, da_after, dz, dh_read, h_chunk, theta + net.weight_hh, ho_back,
                           hh_back, mask, block + plan.dh_inner, batch_sizes + t, n_after,
                           t_end - t, n, M, K, net.f, last)
            n_after = batch_sizes[t]
            memcpy(da_after, da, n_after * L * sizeof(floating))

            # h_{t-1} begins as many rows before h_t as step t - 1 has
            i = batch_sizes[t - 1] if t > 0 else B
            add_hidden_derivatives(gradient + net.weight_hh,
                                   dinputs if small else gradient + net.weight_ih, dbias_h, left,
                                   right, inputs, da, inner + (end - i) * L, x_chunk,
                                   batch_sizes + t, i, t_end - t, n, D, M, t_end < T)
            if dx != NULL:
                # forward: a1_t += W0 x_t;  the chunk's x has been read for the last time
                gemm(x_chunk, D, da, L, theta + net.weight_ih, D, n, D, M, False, False,
                     <floating> 0)
                scatter_rows(dx, x_chunk, D, rows + row + end, n, D)
            team.listen(thread, 4. * n * M * (M + D))

    if dh0 != NULL or learned:
        recur_back(da, da_after, theta + net.weight_hh, hh_back, mask, B, M)
    if dh0 != NULL:
        scatter_rows(dh0, da, L, order, B, M)
    if net.initial_state >= 0:
        # forward: h_0 of each sequence is the same
        if learned:
            add_rows(dinitial, da, L, B, M)
        for i in range(M):
            gradient[net.initial_state + i] = <floating> dinitial[i]

    for i in range(M):
        if small:
            for r in range(D):
                gradient[net.weight_ih + i * D + r] = dinputs[r * L + i]
            gradient[net.bias_h + i] = dinputs[D * L + i]
        else:
            gradient[net.bias_h + i] = <floating> dbias_h[i]
    for i in range(K):
        gradient[net.bias_o + i] = <floating> dbias_o[i]


cdef void group(
    floating* hidden,               # OUT (steps, M)  h1 of its sequences' steps; or NULL
    floating* outputs,              # OUT (steps, K), or (n, K) unless EVERY
    floating* final,                # OUT (n, M)  the states after the last steps; or NULL
    floating* block,                # scratch (block_size,)
    Py_ssize_t* indices,            # scratch (index_size,)
    const Py_ssize_t* batch_order,  # IN  from lay_out
    Py_ssize_t part,
    const floating* packed,         # IN  from pack_parameters
    const floating* theta,          # IN  (P,)
    const floating* values,         # IN  (steps, D)
    const Py_ssize_t* starts,       # IN  (n,)
    const Py_ssize_t* stops,        # IN  (n,)
    const floating* h0,             # IN  (n, M); or NULL: zeros
    bint activated,                 # whether outputs are h2, else a2
    Network net,
    Plan plan,
    Team team,
    Py_ssize_t thread,
) noexcept nogil:
    """Run sequences of about one length forward, in chunks of steps: no more than one is kept"""
    cdef:
        Py_ssize_t D = net.D, M = net.M, K = net.K, L = net.L, LK = net.LK
        Py_ssize_t first = batch_order[SIZE] * part // batch_order[PARTS]
        Py_ssize_t B = batch_order[SIZE] * (part + 1) // batch_order[PARTS] - first
        Py_ssize_t T, t = 0, t_end, n, row = 0, i
        Py_ssize_t* order = indices + plan.order
        Py_ssize_t* batch_sizes = indices + plan.batch_sizes
        Py_ssize_t* rows = indices + plan.rows
        floating* states = block + plan.states      # (B + chunk, M)  h before the chunk, and h
        floating* h = states + B * L
        floating* h_read = block + plan.h_read      # (B, M)  after the last steps; pooled
        floating* pooled = block + plan.sums        # (B, M)
        floating* x = block + plan.x                # (chunk, D)
        floating* z = block + plan.z

    T = longest(batch_order + HEAD + first, B, starts, stops)
    pack(order, batch_sizes, rows, indices + plan.ends,
         batch_order + HEAD + first, starts, stops, B, T)
    start(states, theta, h0, order, B, net)

    while t < T and not team.stopped:
        t_end, n = t + 1, batch_sizes[t]
        while t_end < T and n + batch_sizes[t_end] <= plan.chunk:
            n += batch_sizes[t_end]
            t_end += 1
        gather_rows(x, D, values, D, rows + row, n, D)
        elman_forward(h, <floating*> NULL, states, x, packed + net.bias_h_row,
                      theta + net.weight_ih, theta + net.weight_hh,
                      packed + net.ih if net.folded else NULL,
                      packed + net.hh if net.own else NULL, <const floating*> NULL,
                      batch_sizes + t, t_end - t, n, D, M, net.f)
        if net.pooled:
            pool_steps(pooled, <double*> pooled, h, batch_sizes + t, t, t_end - t, L, net.readout)

        if net.readout == EVERY:
            read_out(z, h, packed, theta, n, net)
            if activated:
                output(z, LK, n, K, net.f_out)
            scatter_rows(outputs, z, LK, rows + row, n, K)
        if hidden != NULL:
            scatter_rows(hidden, h, L, rows + row, n, M)

        keep_last(h_read, h, batch_sizes + t, batch_sizes[t_end] if t_end < T else 0, t_end - t, L)
        i = batch_sizes[t_end - 1]
        memcpy(states, h + (n - i) * L, i * L * sizeof(floating))
        row += n
        t = t_end
        team.listen(thread, 2. * n * M * (M + D))

    if final != NULL:
        scatter_rows(final, h_read, L, order, B, M)
    if net.readout == MEAN:
        finish_mean(h_read, <const double*> pooled, order, starts, stops, B, L)
    elif net.readout == MAX:
        h_read = pooled
    if net.readout != EVERY:
        read_out(z, h_read, packed, theta, B, net)
        if activated:
            output(z, LK, B, K, net.f_out)
        scatter_rows(outputs, z, LK, order, B, K)


cdef void add_shards(
    floating* gradients,    # INOUT (shards, P)  in the first row: the sum of all, in their order
    Py_ssize_t shards,
    Py_ssize_t first,       # of a slice of P
    Py_ssize_t end,
    Py_ssize_t P,
) noexcept nogil:
    cdef Py_ssize_t s, i
    cdef const floating* other
    for s in range(1, shards):
        other = gradients + s * P
        for i in range(first, end):
            gradients[i] += other[i]


# ---- the boundary: everything is compared here, and nothing below --------------------------------

cdef int require(
    str name,
    Py_ssize_t rows,
    Py_ssize_t columns,
    Py_ssize_t expected_rows,
    Py_ssize_t expected_columns,
    bint optional=False,
) except -1:
    """An array of these rows and columns; or, where it is optional, without rows"""
    if (rows == 0 and optional) or (rows == expected_rows and columns == expected_columns):
        return 0
    raise ValueError(
        f"cbptt's compiled code got {name} of shape {(rows, columns)}; expected "
        f"{(expected_rows, expected_columns)}."
    )


cdef int require_team(
    Team team, Py_ssize_t thread, Network net, Plan plan, bint backward
) except -1:
    if not 0 <= thread < team.n_threads:
        raise ValueError(f"cbptt's compiled code got thread {thread} of {team.n_threads}.")
    if plan.net is not net or plan.keeps_states != backward:
        raise ValueError("cbptt's compiled code got the plan of another network or direction.")
    return 0


cdef int require_memory(
    const floating[::1] packed,
    const floating[:, ::1] blocks,
    const Py_ssize_t[:, ::1] indices,
    const Py_ssize_t[::1] batch_order,
    const floating[::1] theta,
    Py_ssize_t thread,
    Network net,
    Plan plan,
) except -1:
    """Work memory of the plan's sizes, and the network's numbers in its precision"""
    require("theta", theta.shape[0], sizeof(floating), net.P, net.itemsize)
    require("packed", packed.shape[0], 1, net.packed_size, 1)
    require("blocks", min(blocks.shape[0], thread + 1), blocks.shape[1], thread + 1,
            plan.block_size)
    require("indices", min(indices.shape[0], thread + 1), indices.shape[1], thread + 1,
            plan.index_size)
    require("batch_order", batch_order.shape[0], 1, plan.order_size, 1)
    return 0


cdef int require_sequences(
    const Py_ssize_t[::1] ids,
    const Py_ssize_t[::1] starts,
    const Py_ssize_t[::1] stops,
    Py_ssize_t n_steps,
) except -1:
    """Sequences that lie in the flat buffer"""
    cdef Py_ssize_t n = starts.shape[0]
    require("stops", stops.shape[0], 1, n, 1)
    if ids.shape[0] > 0 and (
        n == 0 or not are_within(&ids[0], ids.shape[0], &starts[0], &stops[0], n, n_steps)
    ):
        raise ValueError(
            f"cbptt's compiled code got sequences that do not lie in their {n_steps} steps; "
            f"expected ids below {n}, and offsets that rise from 0 to {n_steps}."
        )
    return 0


cdef int require_fit(bint fits) except -1:
    if not fits:
        raise ValueError(
            "cbptt's compiled code got a batch that is larger than its work memory was allocated "
            "for; expected scratch of these sequences."
        )
    return 0


cdef int require_labels(
    const Py_ssize_t[::1] labels,
    const floating[::1] weights,
    const Py_ssize_t[::1] ids,
    const Py_ssize_t[::1] starts,
    const Py_ssize_t[::1] stops,
    Network net,
) except -1:
    """A class wherever there is a weight"""
    cdef Py_ssize_t i, r, end
    for i in range(ids.shape[0]):
        r, end = ids[i], ids[i] + 1
        if net.readout == EVERY:
            r, end = starts[ids[i]], stops[ids[i]]
        for r in range(r, end):
            if weights[r] != 0 and not 0 <= labels[r] < net.K:
                raise ValueError(
                    f"cbptt's compiled code got the label {labels[r]}; expected 0 to {net.K - 1}."
                )
    return 0


def forward(
    Team team,
    Py_ssize_t thread,
    Network net,
    Plan plan,
    dict scratch,
    floating[:, ::1] hidden,
    floating[:, ::1] outputs,
    floating[:, ::1] final,
    const floating[::1] theta,
    const floating[:, ::1] values,
    const Py_ssize_t[::1] starts,
    const Py_ssize_t[::1] stops,
    const floating[:, ::1] h0,
    const Py_ssize_t[::1] sequences,
    bint activated,
):
    """Take part, as one thread of a team, in running sequences forward.

    hidden : (steps, M), or empty where it is not wanted; outputs : (steps, K), or (n, K) where only
    last steps are read; final : (n, M) or empty; values : (steps, D); starts, stops : (n,); h0 :
    (n, M), or empty for zeros; activated : whether outputs are h2, else a2. scratch : see
    network.Scratch.
    """
    cdef:
        floating[::1] packed = scratch["packed"]
        floating[:, ::1] blocks = scratch["blocks"]
        Py_ssize_t[:, ::1] indices = scratch["indices"]
        Py_ssize_t[::1] batch_order = scratch["batch_order"]
        floating* to_hidden = &hidden[0, 0] if hidden.shape[0] > 0 else NULL
        floating* to_final = &final[0, 0] if final.shape[0] > 0 else NULL
        const floating* from_h0 = &h0[0, 0] if h0.shape[0] > 0 else NULL
        Py_ssize_t n = starts.shape[0], n_steps = values.shape[0]
        Py_ssize_t item, parts
        int phase
        bint fits = True
        unsigned long long mode

    require_team(team, thread, net, plan, False)
    require_memory(packed, blocks, indices, batch_order, theta, thread, net, plan)
    require_sequences(sequences, starts, stops, n_steps)
    require("values", n_steps, values.shape[1], n_steps, net.D)
    require("h0", h0.shape[0], h0.shape[1], n, net.M, optional=True)
    require("hidden", hidden.shape[0], hidden.shape[1], n_steps, net.M, optional=True)
    require("final", final.shape[0], final.shape[1], n, net.M, optional=True)
    require("outputs", outputs.shape[0], outputs.shape[1],
            n_steps if net.readout == EVERY else n, net.K)
    if sequences.shape[0] == 0:
        return

    with nogil:
        mode = flush_denormals()
        if thread == 0:
            fits = plan.lay_out(&batch_order[0], &indices[0, 0], &sequences[0], &starts[0],
                                &stops[0], sequences.shape[0])
        for phase in range(PACK, EACH_PART + 1 if fits else PACK):
            if thread == 0:
                parts = batch_order[PARTS]
                team.publish(phase, MATRICES if phase == PACK else parts, parts > 1)
            item = team.next_item(thread)
            while item >= 0:
                if team.phase == PACK:
                    pack_parameters(&packed[0], &theta[0], net, item, False)
                else:
                    group(to_hidden, &outputs[0, 0], to_final, &blocks[thread, 0],
                          &indices[thread, 0], &batch_order[0], item, &packed[0], &theta[0],
                          &values[0, 0], &starts[0], &stops[0], from_h0, activated, net, plan, team,
                          thread)
                team.done()
                item = team.next_item(thread)
            if thread > 0:
                break
            team.join()
        if thread == 0:
            team.close_quietly()
        restore_mode(mode)
    if thread == 0:
        team.raise_signal()
    require_fit(fits)


def train(
    Team team,
    Py_ssize_t thread,
    Network net,
    Plan plan,
    dict scratch,
    floating[::1] theta,
    floating[::1] moment_1,
    floating[::1] moment_2,
    floating[:, ::1] dh0,
    floating[:, ::1] dx,
    const floating[:, ::1] values,
    const Py_ssize_t[::1] starts,
    const Py_ssize_t[::1] stops,
    const floating[:, ::1] h0,
    const floating[:, ::1] input_masks,
    const floating[:, ::1] masks,
    floating[:, ::1] carried,
    Py_ssize_t carry,
    const floating[:, ::1] targets,
    const Py_ssize_t[::1] labels,
    const floating[::1] weights,
    double[::1] totals,
    const Py_ssize_t[::1] sequences,
    Py_ssize_t batch_size,
    int solver,
    Py_ssize_t n_weights=0,
    double alpha=0,
    double max_grad_norm=0,
    double learning_rate=0,
    double momentum=0,
    bint nesterov=False,
    double beta_1=0,
    double beta_2=0,
    double epsilon=0,
    double decay=0,
    Py_ssize_t step=0,
):
    """Take part, as one thread of a team, in an optimiser step per mini-batch of `sequences`.

    theta, moment_1, moment_2 : (P,)
    dh0, dx : (n, M) and (steps, D) where dL/dh0 and dL/dx are left, or empty; with "none" only.
    values : (steps, D); starts, stops : (n,) where each sequence begins and ends in them.
    h0 : (n, M), or empty for zeros, or for the state that is learned.
    input_masks, masks : (n, D) and (n, M) of dropout, or empty.
    carried : (n, M) where the states after `carry` steps are left, of the sequences that have them,
        or empty; it may be h0.
    targets : (steps, K) or (n, K), or labels in their place with targets empty; weights : one per
        target.
    totals : (5,) to which is added, one mini-batch after the other, so that sums do not depend on
        how many a call takes: the loss with its penalty, the weights, the gradient's norm before
        clipping, 1 where it was clipped, 1 where a step was taken.
    solver : with "none" theta stays; the plain sum of a batch's gradients is left in the first row
        of scratch["gradients"].
    n_weights : so many entries of theta, from the first, are penalised.
    step : the number of steps taken before.
    scratch : see scratch.Scratch.

    Returns
    -------
    finite : bool
        To the leader. Where a loss or a gradient is not finite, its step is not taken, finite is
        False, and training ends.

    Raises
    ------
    KeyboardInterrupt, or what else a signal's handler raises
        In the leader; the step of the mini-batch that was under way is not taken.
    """
    cdef:
        floating[:, ::1] gradients = scratch["gradients"]
        double[:, ::1] losses = scratch["losses"]
        floating[::1] packed = scratch["packed"]
        floating[:, ::1] blocks = scratch["blocks"]
        Py_ssize_t[:, ::1] indices = scratch["indices"]
        double[:, ::1] sums = scratch["sums"]
        Py_ssize_t[::1] batch_order = scratch["batch_order"]
        floating[::1] gradient = gradients[0]
        floating* to_dh0 = &dh0[0, 0] if dh0.shape[0] > 0 else NULL
        floating* to_dx = &dx[0, 0] if dx.shape[0] > 0 else NULL
        const floating* from_h0 = &h0[0, 0] if h0.shape[0] > 0 else NULL
        floating* to_carried = &carried[0, 0] if carried.shape[0] > 0 else NULL
        const floating* from_input_masks = (
            &input_masks[0, 0] if input_masks.shape[0] > 0 else NULL
        )
        const floating* from_masks = &masks[0, 0] if masks.shape[0] > 0 else NULL
        const floating* from_targets = &targets[0, 0] if targets.shape[0] > 0 else NULL
        const Py_ssize_t* from_labels = &labels[0] if labels.shape[0] > 0 else NULL
        Py_ssize_t P = theta.shape[0], n_slices = (theta.shape[0] + SLICE - 1) // SLICE
        Py_ssize_t first = 0, item, s, parts, n_steps = 0
        int phase
        Py_ssize_t n = starts.shape[0], n_steps_in = values.shape[0]
        Py_ssize_t n_targets = n_steps_in if net.readout == EVERY else n
        double loss, weight_sum, size
        floating clipped
        bint finite = True, fits = True
        unsigned long long mode

    require_team(team, thread, net, plan, True)
    require_memory(packed, blocks, indices, batch_order, theta, thread, net, plan)
    require("sums", min(sums.shape[0], thread + 1), sums.shape[1], thread + 1, net.sums_size)
    require("gradients", gradients.shape[0], gradients.shape[1], plan.n_parts, net.P)
    require("losses", losses.shape[0], losses.shape[1], plan.n_parts, 2)
    require("totals", totals.shape[0], 1, 5, 1)
    require_sequences(sequences, starts, stops, n_steps_in)
    require("values", n_steps_in, values.shape[1], n_steps_in, net.D)
    require("h0", h0.shape[0], h0.shape[1], n, net.M, optional=True)
    require("dh0", dh0.shape[0], dh0.shape[1], n, net.M, optional=True)
    require("dx", dx.shape[0], dx.shape[1], n_steps_in, net.D, optional=True)
    require("carried states", carried.shape[0], carried.shape[1], n, net.M, optional=True)
    require("dropout masks of inputs", input_masks.shape[0], input_masks.shape[1], n, net.D,
            optional=True)
    require("dropout masks of states", masks.shape[0], masks.shape[1], n if plan.masked else 0,
            net.M, optional=True)
    require("weights", weights.shape[0], 1, n_targets, 1)
    require("targets", targets.shape[0], targets.shape[1], n_targets, net.K,
            optional=labels.shape[0] > 0)
    if targets.shape[0] == 0:
        require("labels", labels.shape[0], 1, n_targets, 1)
        require_labels(labels, weights, sequences, starts, stops, net)
    if solver != NONE:
        require("moment_1", moment_1.shape[0], 1, net.P, 1)
        require("moment_2", moment_2.shape[0], 1, net.P, 1)
    require("the penalised weights", min(max(n_weights, 0), net.P), 1, n_weights, 1)
    require("batch_size", max(batch_size, 1), 1, batch_size, 1)

    with nogil:
        mode = flush_denormals()
        while first < sequences.shape[0] and finite:
            if thread == 0:
                fits = plan.lay_out(&batch_order[0], &indices[0, 0], &sequences[first], &starts[0],
                                    &stops[0], min(batch_size, sequences.shape[0] - first))
                if not fits:
                    break
                parts = batch_order[PARTS]

            for phase in range(PACK, SUM + 1):
                if thread == 0:
                    if phase == SUM and parts == 1:
                        break
                    team.publish(
                        phase,
                        MATRICES if phase == PACK else parts if phase == EACH_PART else n_slices,
                        parts > 1,
                    )
                item = team.next_item(thread)
                while item >= 0:
                    if team.phase == PACK:
                        pack_parameters(&packed[0], &theta[0], net, item, True)
                    elif team.phase == EACH_PART:
                        shard(&gradients[item, 0], &losses[item, 0], to_dh0, to_dx,
                              &blocks[thread, 0], &indices[thread, 0], &sums[thread, 0],
                              &batch_order[0], item, &packed[0], &theta[0], &values[0, 0],
                              &starts[0], &stops[0], from_h0, from_input_masks, from_masks,
                              from_targets, from_labels, &weights[0], to_carried, carry, net, plan,
                              team, thread)
                    else:
                        add_shards(&gradients[0, 0], batch_order[PARTS], item * SLICE,
                                   min(P, (item + 1) * SLICE), P)
                    team.done()
                    item = team.next_item(thread)
                if thread > 0:
                    break
                team.join()
            if thread > 0:
                break

            if team.stopped:
                break

            first += batch_order[SIZE]
            loss = weight_sum = 0
            for s in range(parts):
                loss += losses[s, 0]
                weight_sum += losses[s, 1]
            if solver == NONE:
                totals[0] += loss
                totals[1] += weight_sum
                continue
            if weight_sum == 0:
                continue
            loss += penalise(gradient, theta, n_weights, alpha, weight_sum)

            # Adam squares the gradient: where that overflows, its entries would never move again.
            size = norm(gradient)
            clipped = <floating> min(size, max_grad_norm)
            finite = isfinite(loss) and isfinite(size) and isfinite(clipped * clipped)
            if not finite:
                break
            totals[2] += size
            if size > max_grad_norm:
                scale(gradient, max_grad_norm / size)
                totals[3] += 1

            n_steps += 1
            if solver == ADAMW:
                decay_weights(theta, n_weights, learning_rate * decay)
            if solver == ADAM or solver == ADAMW:
                adam_step(theta, moment_1, moment_2, gradient, learning_rate, beta_1, beta_2,
                          epsilon, step + n_steps)
            elif solver == RMSPROP:
                rmsprop_step(theta, moment_2, gradient, learning_rate, beta_2, epsilon)
            elif solver == ADAGRAD:
                adagrad_step(theta, moment_2, gradient, learning_rate, epsilon)
            else:
                sgd_step(theta, moment_1, gradient, learning_rate, momentum, nesterov)
            totals[0] += loss
            totals[1] += weight_sum
            totals[4] += 1
        if thread == 0:
            team.close_quietly()
        restore_mode(mode)
    if thread == 0:
        team.raise_signal()
    require_fit(fits)
    return finite
