"""One part of a batch: forward through all its steps, then back in chunks of them.

Chunks are small enough to stay in cache. On the way back each takes outputs and loss, the backward
recurrence, and its share of the five derivatives. Of a whole part only x and h are kept; or, with
checkpoints, only the states before each segment of chunks, and a segment is run forward once more
on the way back (Chen et al. 2016, Training deep nets with sublinear memory cost; Gruslys et al.
2016, Memory-efficient backpropagation through time). Prediction is the first half of the same walk,
with one chunk in a segment.

The loss and the gradient of a part are plain sums over its sequences.
"""

from cython cimport floating
from libc.string cimport memset

from cbptt._arena cimport Arena, take
from cbptt._cut cimport Batch, Extent, Steps, alive_of, cut, sequence_of, steps_of
from cbptt._elman cimport Above, folds
from cbptt._head cimport (
    Outputs, add_losses, back_to_states, finish_pooling, pool_steps, predict_rows,
    spread_steps
)
from cbptt._inputs cimport gather_inputs
from cbptt._kernels cimport padded
from cbptt._network cimport EVERY, LAST, MEAN, Head, Layer
from cbptt._packing cimport count_rows, scatter_rows
from cbptt._stack cimport (
    Stack, backward_chunk, finish_layers, forward_chunk, keep_states, restore_states,
    start_states
)
from cbptt._team cimport Team


cdef void place(
    Part* part,             # INOUT  in: what it reads, and its extent; out: its arrays
    Arena* arena,           # INOUT
    Py_ssize_t itemsize,    # bytes of a number
) noexcept nogil:
    """The one list of a part's arrays: run to count them, and again to place them"""
    cdef:
        const Extent* e = &part.extent
        const Layer* layer = part.layer
        const Head* head = part.head
        Stack* stack = &part.stack
        Outputs* outputs = &part.outputs
        Py_ssize_t D = layer.D, L = layer.L, LK = head.LK
        Py_ssize_t R = e.chunk if head.readout == EVERY else e.B
        bint masked = part.given.inputs.masks != NULL
    memset(stack, 0, sizeof(Stack))
    memset(outputs, 0, sizeof(Outputs))
    stack.B = e.B
    part.order = <Py_ssize_t*> take(arena, e.B, sizeof(Py_ssize_t))
    part.lengths = <Py_ssize_t*> take(arena, e.B, sizeof(Py_ssize_t))
    part.alive = <Py_ssize_t*> take(arena, e.T, sizeof(Py_ssize_t))
    part.rows = <Py_ssize_t*> take(arena, e.N, sizeof(Py_ssize_t))
    part.chunks = <Py_ssize_t*> take(arena, e.n_chunks + 1, sizeof(Py_ssize_t))
    part.segments = <Py_ssize_t*> take(arena, e.n_segments + 1, sizeof(Py_ssize_t))
    stack.state = take(arena, layer.S * e.B * L, itemsize)
    stack.tape.x = take(arena, e.segment * D, itemsize)
    stack.tape.h = take(arena, e.segment * L, itemsize)
    if masked:
        stack.mask = take(arena, e.B * L, itemsize)
        stack.tape.inner = take(arena, e.segment * L, itemsize)
    if head.readout == MEAN:
        outputs.sums = <double*> take(arena, e.B * L, sizeof(double))
    if head.pooled:
        outputs.pooled = take(arena, e.B * L, itemsize)
    outputs.z = take(arena, R * LK, itemsize)
    if not part.batch.backward:
        return

    stack.kept = take(arena, e.n_segments * layer.S * e.B * L, itemsize)
    outputs.weight = take(arena, R, itemsize)
    outputs.dz = take(arena, R * LK, itemsize)
    outputs.dbias_o = <double*> take(arena, head.K, sizeof(double))
    if head.readout != EVERY:
        outputs.dh = take(arena, e.B * L, itemsize)
    stack.da = take(arena, e.chunk * layer.G * L, itemsize)
    stack.carry = take(arena, layer.C * e.B * L, itemsize)
    if masked:
        stack.dh_inner = take(arena, e.B * L, itemsize)
    if part.wanted.dh0 != NULL or layer.initial_state >= 0:
        stack.dstate = take(arena, layer.S * e.B * L, itemsize)
        stack.dinitial = <double*> take(arena, layer.S * layer.M, sizeof(double))
    if layer.small:
        stack.sums.inputs = take(arena, e.chunk * padded(D + 1, itemsize), itemsize)
        stack.sums.dinputs = take(arena, (D + 1) * layer.G * L, itemsize)
        # used one after the other, so that they stay in cache
        stack.sums.left = outputs.left = take(
            arena, max(e.chunk * layer.G * L, R * LK), itemsize
        )
        stack.sums.right = outputs.right = take(arena, max(e.chunk, R) * L, itemsize)
    else:
        stack.sums.dbias_h = <double*> take(arena, layer.G * layer.M, sizeof(double))
        stack.sums.right = take(arena, e.chunk * L, itemsize)


cdef void lay_out(Part* part) noexcept nogil:
    """Which sequences a part has, where their steps stand, and how they are cut"""
    cdef Py_ssize_t i, s, t, first = 0
    cdef Extent* e = &part.extent
    cdef const Batch* batch = part.batch
    for i in range(e.B):
        s = sequence_of(batch, e.part, i)
        part.order[i] = batch.ids[s]
        part.lengths[i] = batch.stops[s] - batch.starts[s]
        part.rows[i] = batch.starts[s]
    for t in range(e.T):
        part.alive[t] = alive_of(batch, e.part, t)
        for i in range(part.alive[t]):
            part.rows[first + i] = part.rows[i] + t
        first += part.alive[t]
    cut(e, part.chunks, part.segments, part.batch, part.given.checkpoint)


# ---- forward -------------------------------------------------------------------------------------

cdef void observe_chunk(
    Part* part,             # INOUT  what is pooled
    const Steps* steps,
    Py_ssize_t row,         # rows of the part before the chunk
    const floating* h,      # IN     (N, M)  of the chunk
    const floating* theta,  # IN     (P,)
) noexcept nogil:
    """Take from a chunk's states what is wanted of them"""
    cdef const Wanted* wanted = part.wanted
    cdef Py_ssize_t L = part.layer.L, M = part.layer.M, t = wanted.carry - 1 - steps.first
    if part.head.pooled:
        pool_steps(&part.outputs, h, part.head, steps)
    if wanted.carried != NULL and 0 <= t < steps.T:
        scatter_rows(<floating*> wanted.carried, h + count_rows(steps.alive, 0, t) * L, L,
                     part.order, steps.alive[t], M)
    if wanted.hidden != NULL:
        scatter_rows(<floating*> wanted.hidden, h, L, part.rows + row, steps.N, M)
    if wanted.predictions != NULL and part.head.readout == EVERY:
        predict_rows(<floating*> wanted.predictions, &part.outputs, h, part.rows + row, theta,
                     part.packed, part.head, steps.N, wanted.activated)


cdef Py_ssize_t forward_segment(
    Part* part,             # INOUT
    Py_ssize_t s,           # which segment
    Py_ssize_t row,         # rows of the part before it
    bint again,             # whether its states have been computed and observed before
    const floating* theta,  # IN (P,)
    Team team,
    Py_ssize_t thread,
) noexcept nogil:
    """Run a segment's chunks forward; return how many rows it has"""
    cdef const Layer* layer = part.layer
    cdef Py_ssize_t c, at = 0
    cdef const floating* h
    cdef Steps steps
    for c in range(part.segments[s], part.segments[s + 1]):
        steps = steps_of(part.alive, part.chunks[c], part.chunks[c + 1], &part.extent)
        gather_inputs(<floating*> part.stack.tape.x + at * layer.D, &part.given.inputs, part.order,
                      part.rows + row + at, layer.D, &steps)
        h = forward_chunk(&part.stack, &steps, at, theta, part.packed, layer)
        if not again:
            observe_chunk(part, &steps, row + at, h, theta)
        at += steps.N
        team.listen(thread, 2. * steps.N * layer.M * (layer.M + layer.D))
        if team.stopped:
            break
    return at


cdef const floating* states_read(Part* part, const floating* kind) noexcept nogil:
    """(B, M) the states after the last steps, or all of a sequence as one"""
    cdef floating* pooled = <floating*> part.outputs.pooled
    if not part.head.pooled:
        return <const floating*> part.stack.state
    finish_pooling(pooled, &part.outputs, part.lengths, part.extent.B, part.head)
    return <const floating*> pooled


# ---- back ----------------------------------------------------------------------------------------

cdef double lose_chunk(
    Above* above,           # OUT     dL/dh of the chunk's steps
    floating* gradient,     # INOUT (P,)
    double* weight_sum,     # INOUT
    Part* part,             # INOUT
    const Steps* steps,
    Py_ssize_t row,         # rows of the part before the chunk
    const floating* h,      # IN (N, M)  of the chunk
    const floating* theta,  # IN (P,)
) noexcept nogil:
    """What the outputs send back to a chunk; return the loss of its steps, if each has one"""
    cdef const Head* head = part.head
    cdef floating* da = <floating*> part.stack.da
    cdef double loss = 0
    above.dh, above.dz, above.ho_back = da, part.outputs.dz, NULL
    above.K, above.last = head.K, head.readout == LAST
    # W1 joins the recurrent product, or dL/dh is one product for a chunk
    if head.small and not head.pooled and (above.last or folds(part.extent.B)):
        above.ho_back = part.packed.ho_back

    if head.readout == EVERY:
        loss = add_losses(gradient, weight_sum, &part.outputs, h, part.rows + row,
                          &part.given.targets, theta, part.packed, head, steps.N,
                          steps.n_after > 0)
        if above.ho_back == NULL:
            back_to_states(da, &part.outputs, theta, part.packed, head, steps.N)
    elif head.pooled:
        spread_steps(da, &part.outputs, h, part.lengths, head, steps)
    else:
        above.dh = part.outputs.dh
    return loss


cdef void backward_segment(
    floating* gradient,     # INOUT (P,)
    double* losses,         # INOUT (2,)
    Part* part,             # INOUT
    Py_ssize_t s,           # which segment
    Py_ssize_t row,         # rows of the part before it,
    Py_ssize_t at,          # and in it
    const floating* theta,  # IN (P,)
    Team team,
    Py_ssize_t thread,
) noexcept nogil:
    """Run a segment's chunks back"""
    cdef:
        const Layer* layer = part.layer
        Py_ssize_t D = layer.D, c
        floating* to_dx = <floating*> part.wanted.dx
        floating* dx = NULL
        const floating* h
        Above above
        Steps steps
    for c in range(part.segments[s + 1] - 1, part.segments[s] - 1, -1):
        if team.stopped:
            return
        steps = steps_of(part.alive, part.chunks[c], part.chunks[c + 1], &part.extent)
        at -= steps.N
        h = <const floating*> part.stack.tape.h + at * layer.L
        losses[0] += lose_chunk(&above, gradient, &losses[1], part, &steps, row + at, h, theta)
        if to_dx != NULL:  # the chunk's x is read for the last time
            dx = <floating*> part.stack.tape.x + at * D
        backward_chunk(gradient, dx, &part.stack, &above, &steps, s, at, theta, part.packed, layer)
        if to_dx != NULL:
            scatter_rows(to_dx, <const floating*> dx, D, part.rows + row + at, steps.N, D)
        team.listen(thread, 4. * steps.N * layer.M * (layer.M + D))


cdef void finish_part(
    floating* gradient,     # OUT (P,)
    Part* part,
    const floating* theta,  # IN (P,)
) noexcept nogil:
    """The derivatives that were added up apart from the gradient, and dL/dh_0"""
    cdef const Head* head = part.head
    cdef const Layer* layer = part.layer
    cdef floating* dh0 = <floating*> part.wanted.dh0
    cdef Py_ssize_t i
    finish_layers(gradient, &part.stack, dh0 != NULL, part.given.inputs.h0 != NULL, theta,
                  part.packed, layer)
    if dh0 != NULL:
        scatter_rows(dh0, <const floating*> part.stack.dstate, layer.L, part.order, part.extent.B,
                     layer.M)
    for i in range(head.K):
        gradient[head.bias_o + i] = <floating> part.outputs.dbias_o[i]


# ---- the whole walk ------------------------------------------------------------------------------

cdef void walk_forward(
    Part* part,             # INOUT
    const floating* theta,  # IN (P,)
    Team team,
    Py_ssize_t thread,
) noexcept nogil:
    """All segments forward, and what is wanted of each sequence then"""
    cdef:
        const Wanted* wanted = part.wanted
        const Layer* layer = part.layer
        Py_ssize_t B = part.extent.B, s, row = 0
    start_states(&part.stack, theta, &part.given.inputs, part.order, layer)
    for s in range(part.extent.n_segments):
        if part.stack.kept != NULL:
            keep_states(&part.stack, theta, s, layer)
        row += forward_segment(part, s, row, False, theta, team, thread)
        if team.stopped:
            return
    if wanted.final != NULL:
        scatter_rows(<floating*> wanted.final, <const floating*> part.stack.state, layer.L,
                     part.order, B, layer.M)
    if wanted.predictions != NULL and part.head.readout != EVERY:
        predict_rows(<floating*> wanted.predictions, &part.outputs, states_read(part, theta),
                     part.order, theta, part.packed, part.head, B, wanted.activated)


cdef void walk_back(
    floating* gradient,     # OUT (P,)
    double* losses,         # OUT (2,)
    Part* part,             # INOUT  from `walk_forward`
    const floating* theta,  # IN (P,)
    Team team,
    Py_ssize_t thread,
) noexcept nogil:
    """All segments back, each but the last forward once more"""
    cdef:
        const Head* head = part.head
        const Layer* layer = part.layer
        Py_ssize_t B = part.extent.B, last = part.extent.n_segments - 1
        Py_ssize_t row = part.extent.N, s, n
    losses[0] = losses[1] = 0
    memset(part.outputs.dbias_o, 0, head.K * sizeof(double))
    if part.stack.sums.dbias_h != NULL:
        memset(part.stack.sums.dbias_h, 0, layer.G * layer.M * sizeof(double))
    if head.readout != EVERY:
        losses[0] = add_losses(gradient, &losses[1], &part.outputs, states_read(part, theta),
                               part.order, &part.given.targets, theta, part.packed, head, B,
                               False)
        if head.pooled or not head.small:
            back_to_states(<floating*> part.outputs.dh, &part.outputs, theta, part.packed, head, B)

    for s in range(last, -1, -1):
        n = count_rows(part.alive, part.chunks[part.segments[s]],
                       part.chunks[part.segments[s + 1]])
        row -= n
        if s < last:
            restore_states(&part.stack, theta, s, layer)
            forward_segment(part, s, row, True, theta, team, thread)
        backward_segment(gradient, losses, part, s, row, n, theta, team, thread)
        if team.stopped:
            return
    finish_part(gradient, part, theta)


cdef void run_part(
    floating* gradient,     # OUT (P,)  sums over the part; or NULL: forward only
    double* losses,         # OUT (2,)  loss and weight
    Part* part,             # INOUT     placed
    const floating* theta,  # IN  (P,)
    Team team,
    Py_ssize_t thread,
) noexcept nogil:
    """Forward, and back; the results are undefined once the team has been stopped"""
    lay_out(part)
    walk_forward(part, theta, team, thread)
    if gradient != NULL and not team.stopped:
        walk_back(gradient, losses, part, theta, team, thread)
