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
from cbptt._cut cimport (
    Above, Batch, Extent, Layout, Steps, alive_of, cut, rows_of, sequence_of, steps_of
)
from cbptt._head cimport (
    Outputs, add_losses, back_to_states, finish_pooling, pool_steps, predict_rows, spread_steps
)
from cbptt._network cimport EVERY, LAST, LSTM, MEAN, Head, Layer, Network
from cbptt._packing cimport count_rows, scatter_rows
from cbptt._stack cimport (
    backward_chunk, finish_layers, forward_layers, keep_states, last_states, place_stack,
    restore_states, split_derivatives, start_derivatives, start_states, take_states, top_rows
)
from cbptt._team cimport Team


# Fewer rows of a step than these are not worth reading W1 for at each step.
cdef Py_ssize_t FUSED_ROWS = 6


cdef void place(
    Part* part,             # INOUT  in: what it reads, and its extent; out: its arrays
    Arena* arena,           # INOUT
    Network net,
) noexcept nogil:
    """The one list of a part's arrays: run to count them, and again to place them"""
    cdef:
        Layout* layout = &part.layout
        const Extent* e = &layout.extent
        const Head* head = &net.head
        Outputs* outputs = &part.outputs
        Py_ssize_t size = net.itemsize
        Py_ssize_t R = e.chunk if head.readout == EVERY else e.B
        bint two = net.n_directions == 2, backward = part.batch.backward
    layout.order = <Py_ssize_t*> take(arena, e.B, sizeof(Py_ssize_t))
    layout.lengths = <Py_ssize_t*> take(arena, e.B, sizeof(Py_ssize_t))
    layout.alive = <Py_ssize_t*> take(arena, e.T, sizeof(Py_ssize_t))
    layout.rows = <Py_ssize_t*> take(arena, e.N, sizeof(Py_ssize_t))
    layout.begins = layout.mirror = NULL
    if two:
        layout.begins = <Py_ssize_t*> take(arena, e.T, sizeof(Py_ssize_t))
        layout.mirror = <Py_ssize_t*> take(arena, e.N, sizeof(Py_ssize_t))
    layout.chunks = <Py_ssize_t*> take(arena, e.n_chunks + 1, sizeof(Py_ssize_t))
    layout.segments = <Py_ssize_t*> take(arena, e.n_segments + 1, sizeof(Py_ssize_t))

    part.stack.packed, part.stack.inputs = part.packed, &part.given.inputs
    part.stack.layout = layout
    place_stack(&part.stack, arena, net, backward, part.wanted.dh0 != NULL)

    memset(outputs, 0, sizeof(Outputs))
    if head.readout == MEAN:
        outputs.sums = <double*> take(arena, e.B * head.L, sizeof(double))
    if head.pooled or (two and head.readout == LAST):
        outputs.pooled = take(arena, e.B * head.L, size)
    outputs.z = take(arena, R * head.LK, size)
    if not backward:
        return
    outputs.weight = take(arena, R, size)
    outputs.dz = take(arena, R * head.LK, size)
    outputs.dbias_o = <double*> take(arena, head.K, sizeof(double))
    if head.readout != EVERY:
        outputs.dh = take(arena, e.B * head.L, size)
    outputs.left, outputs.right = part.stack.work.left, part.stack.work.right


cdef void lay_out(Part* part) noexcept nogil:
    """Which sequences a part has, where their steps stand, and how they are cut"""
    cdef:
        Layout* layout = &part.layout
        Extent* e = &layout.extent
        const Batch* batch = part.batch
        Py_ssize_t i, s, t, first = 0
    for i in range(e.B):
        s = sequence_of(batch, e.part, i)
        layout.order[i] = batch.ids[s]
        layout.lengths[i] = batch.stops[s] - batch.starts[s]
        layout.rows[i] = batch.starts[s]
    for t in range(e.T):
        layout.alive[t] = alive_of(batch, e.part, t)
        for i in range(layout.alive[t]):
            layout.rows[first + i] = layout.rows[i] + t
        if layout.begins != NULL:
            layout.begins[t] = first
        first += layout.alive[t]
    if layout.mirror != NULL:
        for t in range(e.T):
            for i in range(layout.alive[t]):
                layout.mirror[layout.begins[t] + i] = layout.begins[layout.lengths[i] - 1 - t] + i
    cut(e, layout.chunks, layout.segments, batch, layout.mirror != NULL,
        part.given.inputs.checkpoint)


# ---- forward -------------------------------------------------------------------------------------

cdef void take_carried(
    Part* part,
    const Steps* steps,
    Py_ssize_t at,          # rows of the segment before the chunk
    const floating* kind,
    Network net,
) noexcept nogil:
    """Leave the states after `carry` steps where the caller wants them, if they are in a chunk"""
    cdef:
        Py_ssize_t t = part.wanted.carry - 1 - steps.first, i, row
        floating* carried = <floating*> part.wanted.carried
        const Layer* layer
    if carried == NULL or not 0 <= t < steps.T:
        return
    row = at + count_rows(steps.alive, 0, t)
    for i in range(net.n_tracks):
        layer = &net.layers[i]
        scatter_rows(carried + layer.state, net.state_width,
                     <const floating*> part.stack.tracks[i].tape.h + row * layer.L, layer.L,
                     part.layout.order, steps.alive[t], layer.M)
        if layer.cell == LSTM:
            scatter_rows(carried + layer.state + layer.M, net.state_width,
                         <const floating*> part.stack.tracks[i].tape.c + row * layer.L, layer.L,
                         part.layout.order, steps.alive[t], layer.M)


cdef void observe_segment(
    Part* part,             # INOUT  what is pooled
    Py_ssize_t s,           # which segment
    Py_ssize_t row,         # rows of the part before it
    const floating* theta,  # IN (P,)
    Network net,
) noexcept nogil:
    """Take from a segment's states what is wanted of them"""
    cdef:
        const Wanted* wanted = part.wanted
        const Head* head = &net.head
        const Layout* layout = &part.layout
        Py_ssize_t c, at = 0
        const floating* h
        Steps steps
    for c in range(layout.segments[s], layout.segments[s + 1]):
        steps = steps_of(layout, c)
        h = top_rows(&part.stack, theta, net) + at * head.L
        if head.pooled:
            pool_steps(&part.outputs, h, head, &steps)
        take_carried(part, &steps, at, theta, net)
        if wanted.hidden != NULL:
            scatter_rows(<floating*> wanted.hidden, head.M, h, head.L, layout.rows + row + at,
                         steps.N, head.M)
        if wanted.predictions != NULL and head.readout == EVERY:
            predict_rows(<floating*> wanted.predictions, &part.outputs, h,
                         layout.rows + row + at, theta, part.packed, head, steps.N,
                         wanted.activated)
        at += steps.N


cdef const floating* states_read(Part* part, const floating* kind, Network net) noexcept nogil:
    """(B, M) the states after the last steps, or all of a sequence as one"""
    cdef floating* pooled = <floating*> part.outputs.pooled
    cdef Py_ssize_t B = part.layout.extent.B
    if net.head.pooled:
        finish_pooling(pooled, &part.outputs, part.layout.lengths, B, &net.head)
    elif net.n_directions == 2:
        last_states(pooled, &part.stack, B, net)
    else:
        return <const floating*> part.stack.tracks[net.n_tracks - 1].state
    return <const floating*> pooled


# ---- back ----------------------------------------------------------------------------------------

cdef double lose_chunk(
    Above* above,           # OUT     dL/dh of the chunk's steps
    floating* gradient,     # INOUT (P,)
    double* weight_sum,     # INOUT
    Part* part,             # INOUT
    const Steps* steps,
    Py_ssize_t row,         # rows of the part before the chunk,
    Py_ssize_t at,          # and of the segment
    const floating* theta,  # IN (P,)
    Network net,
) noexcept nogil:
    """What the outputs send back to a chunk; return the loss of its steps, if each has one"""
    cdef:
        const Head* head = &net.head
        const floating* h = top_rows(&part.stack, theta, net) + at * head.L
        floating* dh = <floating*> part.stack.work.da
        double loss = 0
    if net.n_directions == 2:
        dh = <floating*> part.stack.dy + at * head.L
    above.dh, above.dz, above.ho_back = dh, part.outputs.dz, NULL
    above.K, above.last = head.K, head.readout == LAST
    # W1 joins the recurrent product, or dL/dh is one product for a chunk
    if head.fused and (above.last or part.layout.extent.B >= FUSED_ROWS):
        above.ho_back = part.packed.ho_back

    if head.readout == EVERY:
        loss = add_losses(gradient, weight_sum, &part.outputs, h, part.layout.rows + row,
                          &part.given.targets, theta, part.packed, head, steps.N,
                          steps.n_after > 0)
        if above.ho_back == NULL:
            back_to_states(dh, &part.outputs, theta, part.packed, head, steps.N)
    elif head.pooled:
        spread_steps(dh, &part.outputs, h, part.layout.lengths, head, steps)
    else:
        above.dh = part.outputs.dh
    return loss


cdef void backward_track(
    floating* gradient,     # INOUT (P,)
    double* losses,         # INOUT (2,)
    Part* part,             # INOUT
    Py_ssize_t i,           # which track
    Py_ssize_t s,           # which segment
    Py_ssize_t row,         # rows of the part before it
    const floating* theta,  # IN (P,)
    Network net,
    Team team,
    Py_ssize_t thread,
) noexcept nogil:
    """Run a segment's chunks of a layer in one direction back"""
    cdef:
        const Layer* layer = &net.layers[i]
        const Layout* layout = &part.layout
        Py_ssize_t c, at = rows_of(layout, s)
        const floating* dh = <const floating*> part.stack.tracks[i].dh
        Above above
        Steps steps
    memset(&above, 0, sizeof(Above))
    above.K = net.head.K
    for c in range(layout.segments[s + 1] - 1, layout.segments[s] - 1, -1):
        if team.stopped:
            return
        steps = steps_of(layout, c)
        at -= steps.N
        above.dz = part.outputs.dz
        if dh == NULL:
            losses[0] += lose_chunk(&above, gradient, &losses[1], part, &steps, row + at, at,
                                    theta, net)
        elif part.stack.tracks[i].dlast != NULL and net.head.readout == LAST:
            above.dh, above.last = part.stack.tracks[i].dlast, True
        else:
            above.dh = dh + at * layer.L
        backward_chunk(gradient, <floating*> part.wanted.dx, &part.stack, i, &above, &steps, s,
                       row + at, at, theta, net)
        team.listen(thread, 4. * steps.N * layer.G * layer.M * (layer.M + layer.D))


cdef void backward_segment(
    floating* gradient,     # INOUT (P,)
    double* losses,         # INOUT (2,)
    Part* part,             # INOUT
    Py_ssize_t s,           # which segment
    Py_ssize_t row,         # rows of the part before it
    const floating* theta,  # IN (P,)
    Network net,
    Team team,
    Py_ssize_t thread,
) noexcept nogil:
    """Run a segment back through all layers, the uppermost first"""
    cdef:
        const Layout* layout = &part.layout
        bint last = net.head.readout == LAST
        Py_ssize_t k, c, d, at = rows_of(layout, s)
        Above above
        Steps steps
    if net.n_directions == 2 and not last:
        for c in range(layout.segments[s + 1] - 1, layout.segments[s] - 1, -1):
            steps = steps_of(layout, c)
            at -= steps.N
            losses[0] += lose_chunk(&above, gradient, &losses[1], part, &steps, row + at, at,
                                    theta, net)
    for k in range(net.n_layers - 1, -1, -1):
        if net.n_directions == 2:
            split_derivatives(
                &part.stack, theta, k,
                <const floating*> part.outputs.dh if last and k == net.n_layers - 1 else NULL, net,
            )
        for d in range(net.n_directions):
            backward_track(gradient, losses, part, k * net.n_directions + d, s, row, theta, net,
                           team, thread)


# ---- the whole walk ------------------------------------------------------------------------------

cdef void walk_forward(
    Part* part,             # INOUT
    const floating* theta,  # IN (P,)
    Network net,
    Team team,
    Py_ssize_t thread,
) noexcept nogil:
    """All segments forward, and what is wanted of each sequence then"""
    cdef const Wanted* wanted = part.wanted
    cdef Py_ssize_t s, row = 0
    start_states(&part.stack, theta, net)
    for s in range(part.layout.extent.n_segments):
        if part.batch.backward:
            keep_states(&part.stack, theta, s, net)
        forward_layers(&part.stack, s, row, theta, net, team, thread)
        if team.stopped:
            return
        observe_segment(part, s, row, theta, net)
        row += rows_of(&part.layout, s)
    if wanted.final != NULL:
        take_states(<floating*> wanted.final, &part.stack, False, net)
    if wanted.predictions != NULL and net.head.readout != EVERY:
        predict_rows(<floating*> wanted.predictions, &part.outputs, states_read(part, theta, net),
                     part.layout.order, theta, part.packed, &net.head, part.layout.extent.B,
                     wanted.activated)


cdef void walk_back(
    floating* gradient,     # OUT (P,)
    double* losses,         # OUT (2,)
    Part* part,             # INOUT  from `walk_forward`
    const floating* theta,  # IN (P,)
    Network net,
    Team team,
    Py_ssize_t thread,
) noexcept nogil:
    """All segments back, each but the last forward once more"""
    cdef:
        const Head* head = &net.head
        Layout* layout = &part.layout
        Py_ssize_t B = layout.extent.B, last = layout.extent.n_segments - 1
        Py_ssize_t row = layout.extent.N, s, i
        bint wanted = part.wanted.dh0 != NULL
    losses[0] = losses[1] = 0
    memset(part.outputs.dbias_o, 0, head.K * sizeof(double))
    start_derivatives(&part.stack, theta, net)
    if head.readout != EVERY:
        losses[0] = add_losses(gradient, &losses[1], &part.outputs, states_read(part, theta, net),
                               layout.order, &part.given.targets, theta, part.packed, head, B,
                               False)
        if not (head.fused and head.readout == LAST):
            back_to_states(<floating*> part.outputs.dh, &part.outputs, theta, part.packed, head, B)

    for s in range(last, -1, -1):
        row -= rows_of(layout, s)
        if s < last:
            restore_states(&part.stack, theta, s, net)
            forward_layers(&part.stack, s, row, theta, net, team, thread)
        backward_segment(gradient, losses, part, s, row, theta, net, team, thread)
        if team.stopped:
            return
    finish_layers(gradient, &part.stack, wanted, part.given.inputs.h0 != NULL, theta, net)
    if wanted:
        take_states(<floating*> part.wanted.dh0, &part.stack, True, net)
    for i in range(head.K):
        gradient[head.bias_o + i] = <floating> part.outputs.dbias_o[i]


cdef void run_part(
    floating* gradient,     # OUT (P,)  sums over the part; or NULL: forward only
    double* losses,         # OUT (2,)  loss and weight
    Part* part,             # INOUT     placed
    const floating* theta,  # IN  (P,)
    Network net,
    Team team,
    Py_ssize_t thread,
) noexcept nogil:
    """Forward, and back; the results are undefined once the team has been stopped"""
    lay_out(part)
    walk_forward(part, theta, net, team, thread)
    if gradient != NULL and not team.stopped:
        walk_back(gradient, losses, part, theta, net, team, thread)
