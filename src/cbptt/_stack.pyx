"""The recurrent layers of a part, in one direction or in two.

Everything that does not depend on the cell: where the states of a sequence begin, what is kept of
them, what a layer reads, and what it sends to the layer below.

Layers are run one after the other over a segment, chunk by chunk. With two directions a segment is
the whole part: the second direction is the same recurrence over the steps of each sequence in
reverse, whose packed rows are those of `mirror`; and what a layer puts out at a step is h of both
directions at it, side by side (Schuster & Paliwal 1997).
"""

from cython cimport floating
from libc.string cimport memcpy, memset

from cbptt._arena cimport Arena, take
from cbptt._blas cimport add_rows
from cbptt._cut cimport Above, Layout, Steps, steps_of
from cbptt._inputs cimport Inputs, mask_rows
from cbptt._kernels cimport padded
from cbptt._network cimport BLOCKS, EVERY, GRU, LSTM, RNN, Layer, Network, Packed
from cbptt._packing cimport add_scattered, gather_rows, repeat_row, scatter_rows
from cbptt._recurrence cimport (
    Track, Workspace, add_recurrent_derivatives, finish_recurrent_derivatives, input_derivatives,
    kept_before, recur_back, recur_close, recur_forward
)
from cbptt._team cimport Team


# Fewer rows of a step than these are not worth reading W for at each step.
cdef Py_ssize_t FOLDED_ROWS = 6


cdef bint folds(const Layer* layer, const Steps* steps) noexcept nogil:
    """Whether the product with the inputs joins the recurrent one, step by step"""
    return layer.folded and steps.alive[0] >= FOLDED_ROWS


# ---- memory --------------------------------------------------------------------------------------

cdef bint copies_inputs(const Layer* layer, bint lowest, const Inputs* inputs) noexcept nogil:
    """Whether a layer has its inputs for itself, and does not read them where they were put out"""
    return lowest or layer.reverse or inputs.input_masks != NULL


cdef void place_track(
    Track* track,               # OUT
    Arena* arena,               # INOUT
    Network net,
    Py_ssize_t i,
    const Layout* layout,
    const Inputs* inputs,
    bint backward,
    bint dstate,
) noexcept nogil:
    cdef:
        const Layer* layer = &net.layers[i]
        bint lowest = i < net.n_directions, top = i >= net.n_tracks - net.n_directions
        Py_ssize_t B = layout.extent.B, L = layer.L, size = net.itemsize
        Py_ssize_t rows = layout.extent.segment, n_kept = layout.extent.n_segments
    memset(track, 0, sizeof(Track))
    # of two directions, gates may be computed again, as all states are kept
    track.recompute = net.n_directions == 2 and (not backward or inputs.checkpoint > 0)
    if copies_inputs(layer, lowest, inputs):
        track.tape.x = take(arena, rows * layer.ldx, size)
    track.tape.h = take(arena, rows * L, size)
    if layer.cell == LSTM:
        track.tape.c = take(arena, rows * L, size)
    if layer.cell != RNN:
        track.tape.gates = take(
            arena, (layout.extent.chunk if track.recompute else rows) * BLOCKS * L, size
        )
    if inputs.masks != NULL:
        track.mask = take(arena, B * L, size)
        track.tape.inner = take(arena, rows * L, size)
    track.state = take(arena, layer.S * B * L, size)
    if not backward:
        return
    track.kept = take(arena, n_kept * layer.S * B * L, size)
    track.carry = take(arena, layer.C * B * L, size)
    if not top or net.n_directions == 2:
        track.dh = take(arena, rows * L, size)
    if top and net.n_directions == 2:
        track.dlast = take(arena, B * L, size)
    if dstate or layer.initial_state >= 0:
        track.dstate = take(arena, layer.S * B * L, size)
        track.dinitial = <double*> take(arena, layer.S * layer.M, sizeof(double))
    if layer.small:
        track.dinputs = take(arena, (layer.D + 1) * layer.G * L, size)
    else:
        track.dbias_h = <double*> take(arena, layer.G * layer.M, sizeof(double))
    if layer.cell == GRU:
        track.dbias_hn = <double*> take(arena, layer.M, sizeof(double))


cdef void place_stack(
    Stack* stack,               # INOUT  in: what it reads; out: its arrays
    Arena* arena,               # INOUT
    Network net,
    bint backward,
    bint dstate,                # whether dL/dstate_0 is wanted
) noexcept nogil:
    """The one list of the layers' arrays"""
    cdef:
        const Layout* layout = stack.layout
        const Inputs* inputs = stack.inputs
        Py_ssize_t chunk = layout.extent.chunk, rows = layout.extent.segment, B = layout.extent.B
        Py_ssize_t size = net.itemsize, i, k, widest = 0, widest_x = 0, widest_da = 0
        const Layer* layer
        Py_ssize_t read = chunk if net.head.readout == EVERY else B     # rows at a time
        bint small = not net.uses_blas, gated = net.layers[0].cell != RNN
        Workspace* work = &stack.work
        Track counted
        void* y
    memset(work, 0, sizeof(Workspace))
    stack.ys, stack.dy, stack.dx = NULL, NULL, NULL
    stack.tracks = <Track*> take(arena, net.n_tracks, sizeof(Track))
    for i in range(net.n_tracks):
        layer = &net.layers[i]
        place_track(&counted if stack.tracks == NULL else &stack.tracks[i], arena, net, i, layout,
                    inputs, backward, dstate)
        widest = max(widest, layer.L)
        widest_da = max(widest_da, layer.W * layer.L)
        widest_x = max(widest_x, padded(layer.D + 1, size))
    if net.n_directions == 2:
        stack.ys = <void**> take(arena, net.n_layers, sizeof(void*))
        for k in range(net.n_layers):
            y = take(arena, rows * padded(2 * net.layers[2 * k].M, size), size)
            if stack.ys != NULL:
                stack.ys[k] = y
        if backward:
            stack.dy = take(arena, rows * padded(2 * widest, size), size)
            stack.dx = take(arena, chunk * padded(widest_x, size), size)
    if not backward:
        if gated:
            work.sums = take(arena, chunk * widest_da, size)
        return
    work.da = take(arena, chunk * widest, size)
    if not gated and inputs.masks != NULL:
        work.dh_inner = take(arena, B * widest, size)
    if gated or small:
        # the sums of a forward step, and the sides of a product of a layer or of the head, are
        # needed one after the other
        work.left = work.sums = take(arena, max(chunk * widest_da, read * net.head.LK), size)
    if small:
        work.inputs = take(arena, chunk * widest_x, size)
    work.right = take(arena, max(chunk * widest, read * net.head.L if small else 0), size)


# ---- states --------------------------------------------------------------------------------------

cdef void start_states(
    Stack* stack,               # INOUT  states and masks OUT
    const floating* theta,      # IN     (P,)
    Network net,
) noexcept nogil:
    """h_0 and c_0: what is given for each sequence, or what is learned, or 0"""
    cdef const Inputs* inputs = stack.inputs
    cdef const Layout* layout = stack.layout
    cdef Py_ssize_t B = layout.extent.B, i, s, M, L
    cdef const Layer* layer
    cdef Track* track
    cdef floating* state
    for i in range(net.n_tracks):
        layer, track = &net.layers[i], &stack.tracks[i]
        M, L = layer.M, layer.L
        memset(track.state, 0, layer.S * B * L * sizeof(floating))
        for s in range(layer.S):
            state = <floating*> track.state + s * B * L
            if inputs.h0 != NULL:
                gather_rows(state, L, <const floating*> inputs.h0 + layer.state + s * M,
                            net.state_width, layout.order, B, M)
            elif layer.initial_state >= 0:
                repeat_row(state, L, theta + layer.initial_state + s * M, B, M)
        if track.mask != NULL:
            memset(track.mask, 0, B * L * sizeof(floating))
            gather_rows(<floating*> track.mask, L, <const floating*> inputs.masks + layer.mask,
                        net.unit_width, layout.order, B, M)


cdef void keep_states(
    Stack* stack,               # INOUT  kept
    const floating* kind,       # of the precision
    Py_ssize_t segment,
    Network net,
) noexcept nogil:
    """Keep the states before a segment"""
    cdef const Layout* layout = stack.layout
    cdef Py_ssize_t B = layout.extent.B, i
    cdef const Layer* layer
    for i in range(net.n_tracks):
        layer = &net.layers[i]
        memcpy(kept_before(&stack.tracks[i], kind, segment, layer, B), stack.tracks[i].state,
               layer.S * B * layer.L * sizeof(floating))


cdef void restore_states(
    Stack* stack,               # INOUT  state
    const floating* kind,
    Py_ssize_t segment,
    Network net,
) noexcept nogil:
    """Return to the states before a segment"""
    cdef const Layout* layout = stack.layout
    cdef Py_ssize_t B = layout.extent.B, i
    cdef const Layer* layer
    for i in range(net.n_tracks):
        layer = &net.layers[i]
        memcpy(stack.tracks[i].state, kept_before(&stack.tracks[i], kind, segment, layer, B),
               layer.S * B * layer.L * sizeof(floating))


cdef void take_states(
    floating* states,           # OUT (n, state_width)
    const Stack* stack,
    bint derivatives,           # dL/dstate_0, and not the states
    Network net,
) noexcept nogil:
    """Leave the states of the sequences where the caller wants them"""
    cdef const Layout* layout = stack.layout
    cdef Py_ssize_t B = layout.extent.B, i, s
    cdef const Layer* layer
    cdef const floating* state
    for i in range(net.n_tracks):
        layer = &net.layers[i]
        state = <const floating*> stack.tracks[i].state
        if derivatives:
            state = <const floating*> stack.tracks[i].dstate
        for s in range(layer.S):
            scatter_rows(states + layer.state + s * layer.M, net.state_width,
                         state + s * B * layer.L, layer.L, layout.order, B, layer.M)


# ---- forward -------------------------------------------------------------------------------------

cdef void read_inputs(
    Stack* stack,               # INOUT  the track's x
    const floating* kind,
    Py_ssize_t i,               # which track
    Py_ssize_t row,             # rows of the part before the chunk,
    Py_ssize_t at,              # and of the segment
    const Steps* steps,
    Network net,
) noexcept nogil:
    """Let a chunk's inputs be where the track reads them"""
    cdef const Inputs* inputs = stack.inputs
    cdef const Layout* layout = stack.layout
    cdef:
        const Layer* layer = &net.layers[i]
        Track* track = &stack.tracks[i]
        bint lowest = i < net.n_directions
        Py_ssize_t D = layer.D, ldx = layer.ldx, r
        const floating* masks = <const floating*> inputs.input_masks
        const floating* y
        floating* x
    if not lowest:
        y = below(stack, kind, i, net)
        if not copies_inputs(layer, lowest, inputs):
            track.tape.x = <void*> y
            return
    x = <floating*> track.tape.x + at * ldx
    if lowest and not layer.reverse:
        gather_rows(x, ldx, <const floating*> inputs.values, D, layout.rows + row, steps.N, D)
    elif lowest:
        for r in range(steps.N):
            memcpy(x + r * ldx, <const floating*> inputs.values
                   + layout.rows[layout.mirror[row + r]] * D, D * sizeof(floating))
    elif layer.reverse:
        gather_rows(x, ldx, y, ldx, layout.mirror + row, steps.N, D)
    else:
        memcpy(x, y + at * ldx, steps.N * ldx * sizeof(floating))
    if masks != NULL:
        mask_rows(x, <const floating*> x, masks + layer.input_mask, net.input_width, layout.order,
                  steps, ldx, D)


cdef const floating* below(
    const Stack* stack, const floating* kind, Py_ssize_t i, Network net
) noexcept nogil:
    """(segment, D) what the layer below a track puts out"""
    if net.n_directions == 2:
        return <const floating*> stack.ys[i // 2 - 1]
    return <const floating*> stack.tracks[i - 1].tape.h


cdef floating* top_rows(const Stack* stack, const floating* kind, Network net) noexcept nogil:
    """(segment, M) what the uppermost layer puts out"""
    if net.n_directions == 2:
        return <floating*> stack.ys[net.n_layers - 1]
    return <floating*> stack.tracks[net.n_tracks - 1].tape.h


cdef void join_directions(
    Stack* stack,               # INOUT  ys[k] OUT
    const floating* kind,
    Py_ssize_t k,
    Network net,
) noexcept nogil:
    """y_t = [h_t of the one direction, h_t of the other]"""
    cdef const Layout* layout = stack.layout
    cdef Py_ssize_t M = net.layers[2 * k].M, L = net.layers[2 * k].L, r
    cdef Py_ssize_t ld = padded(2 * M, sizeof(floating)), N = layout.extent.N
    cdef const floating* ahead = <const floating*> stack.tracks[2 * k].tape.h
    cdef const floating* back = <const floating*> stack.tracks[2 * k + 1].tape.h
    cdef floating* y = <floating*> stack.ys[k]
    for r in range(N):
        memcpy(y + r * ld, ahead + r * L, M * sizeof(floating))
    gather_rows(y + M, ld, back, L, layout.mirror, N, M)


cdef void forward_layers(
    Stack* stack,               # INOUT  tapes, states
    Py_ssize_t segment,
    Py_ssize_t row,             # rows of the part before the segment
    const floating* theta,      # IN (P,)
    Network net,
    Team team,
    Py_ssize_t thread,
) noexcept nogil:
    """Run a segment through all layers, from the states before it to those after it"""
    cdef const Packed* packed = stack.packed
    cdef const Layout* layout = stack.layout
    cdef:
        const Layer* layer
        Py_ssize_t i, c, at
        Steps steps
    for i in range(net.n_tracks):
        layer = &net.layers[i]
        at = 0
        for c in range(layout.segments[segment], layout.segments[segment + 1]):
            steps = steps_of(layout, c)
            read_inputs(stack, theta, i, row + at, at, &steps, net)
            recur_forward(&stack.tracks[i], &stack.work, at, theta, &packed.layers[i], layer,
                          &steps, folds(layer, &steps))
            at += steps.N
            team.listen(thread, 2. * steps.N * layer.G * layer.M * (layer.M + layer.D))
            if team.stopped:
                return
        if layer.reverse:
            join_directions(stack, theta, i // 2, net)


cdef void last_states(
    floating* last,             # OUT (B, 2 M)
    const Stack* stack,
    Py_ssize_t B,
    Network net,
) noexcept nogil:
    """h after the last step of the one direction, and after the first step, of the other"""
    cdef Py_ssize_t i, d, ld = net.head.L
    cdef const Layer* layer
    cdef const floating* state
    for d in range(2):
        i = net.n_tracks - 2 + d
        layer = &net.layers[i]
        state = <const floating*> stack.tracks[i].state
        for i in range(B):
            memcpy(last + i * ld + d * layer.M, state + i * layer.L, layer.M * sizeof(floating))


# ---- back ----------------------------------------------------------------------------------------

cdef void start_derivatives(
    Stack* stack,               # INOUT
    const floating* kind,
    Network net,
) noexcept nogil:
    """The sums that every chunk adds to"""
    cdef Py_ssize_t i
    cdef const Layer* layer
    for i in range(net.n_tracks):
        layer = &net.layers[i]
        if stack.tracks[i].dbias_h != NULL:
            memset(stack.tracks[i].dbias_h, 0, layer.G * layer.M * sizeof(double))
        if stack.tracks[i].dbias_hn != NULL:
            memset(stack.tracks[i].dbias_hn, 0, layer.M * sizeof(double))


cdef void split_derivatives(
    Stack* stack,               # INOUT  dh of the layer's tracks OUT
    const floating* kind,
    Py_ssize_t k,
    const floating* dlast,      # IN (B, 2 M)  of the last steps, if only these are read; or NULL
    Network net,
) noexcept nogil:
    """dL/dh of each direction, of dL/dy"""
    cdef const Layout* layout = stack.layout
    cdef Py_ssize_t M = net.layers[2 * k].M, L = net.layers[2 * k].L, r
    cdef Py_ssize_t ld = padded(2 * M, sizeof(floating))
    cdef Track* ahead = &stack.tracks[2 * k]
    cdef Track* back = &stack.tracks[2 * k + 1]
    cdef const floating* dy = <const floating*> stack.dy
    # forward: y_t = [h_t of the one direction, h_t of the other]
    if dlast != NULL:
        for r in range(layout.extent.B):
            memcpy(<floating*> ahead.dlast + r * L, dlast + r * ld, M * sizeof(floating))
            memcpy(<floating*> back.dlast + r * L, dlast + r * ld + M, M * sizeof(floating))
        return
    for r in range(layout.extent.N):
        memcpy(<floating*> ahead.dh + r * L, dy + r * ld, M * sizeof(floating))
    gather_rows(<floating*> back.dh, L, dy + M, ld, layout.mirror, layout.extent.N, M)


cdef void run_again(
    Stack* stack,               # INOUT  the gates of the chunk
    Py_ssize_t i,
    const Steps* steps,
    Py_ssize_t at,
    const floating* theta,
    Network net,
) noexcept nogil:
    """Compute the gates of a chunk again, from the states before it"""
    cdef const Packed* packed = stack.packed
    cdef:
        const Layer* layer = &net.layers[i]
        Track* track = &stack.tracks[i]
        Py_ssize_t L = layer.L, B = steps.B, n = steps.n_before * layer.L * sizeof(floating)
        Py_ssize_t before = (at - steps.n_before) * L
        floating* state = <floating*> track.state
    if at == 0:
        memcpy(state, kept_before(track, theta, 0, layer, B),
               layer.S * B * L * sizeof(floating))
    else:
        memcpy(state, <const floating*> track.tape.h + before, n)
        if layer.cell == LSTM:
            memcpy(state + B * L, <const floating*> track.tape.c + before, n)
    recur_forward(track, &stack.work, at, theta, &packed.layers[i], layer, steps,
                  folds(layer, steps))


cdef void send_down(
    Stack* stack,               # INOUT  dL/dh, or dL/dy, of the layer below
    floating* to_dx,            # OUT (steps, D)  dL/dx of the lowest layer; or NULL
    Py_ssize_t i,
    const floating* da,         # IN  (N, W M)
    const Steps* steps,
    Py_ssize_t row,
    Py_ssize_t at,
    const floating* theta,
    Network net,
) noexcept nogil:
    """dL/dx of a chunk, to the layer below or to the caller"""
    cdef const Packed* packed = stack.packed
    cdef const Inputs* inputs = stack.inputs
    cdef const Layout* layout = stack.layout
    cdef:
        const Layer* layer = &net.layers[i]
        bint lowest = i < net.n_directions
        Py_ssize_t D = layer.D, ldx = layer.ldx, N = steps.N, r
        const floating* masks = <const floating*> inputs.input_masks
        floating* dx
    if lowest and to_dx == NULL:
        return
    if lowest:  # its x is read for the last time
        dx = <floating*> stack.tracks[i].tape.x + at * ldx
    elif net.n_directions == 2:
        dx = <floating*> stack.dx
    else:
        dx = <floating*> stack.tracks[i - 1].dh + at * ldx
    input_derivatives(dx, da, theta, &packed.layers[i], layer, N)
    if masks != NULL:
        # forward: x_t := m x_t
        mask_rows(dx, <const floating*> dx, masks + layer.input_mask, net.input_width,
                  layout.order, steps, ldx, D)
    if lowest and not layer.reverse:
        scatter_rows(to_dx, D, <const floating*> dx, ldx, layout.rows + row, N, D)
    elif lowest:
        for r in range(N):
            add_scattered(to_dx, D, <const floating*> dx + r * ldx, ldx,
                          layout.rows + layout.mirror[row + r], 1, D)
    elif layer.reverse:
        add_scattered(<floating*> stack.dy, ldx, <const floating*> dx, ldx, layout.mirror + row, N,
                      D)
    elif net.n_directions == 2:
        memcpy(<floating*> stack.dy + at * ldx, dx, N * ldx * sizeof(floating))


cdef void backward_chunk(
    floating* gradient,         # INOUT (P,)
    floating* dx,               # OUT (steps, D)  dL/dx of the lowest layer; or NULL
    Stack* stack,               # INOUT
    Py_ssize_t i,               # which track
    const Above* above,         # IN  dL/dh from above; NULL: from the layer above
    const Steps* steps,
    Py_ssize_t segment,
    Py_ssize_t row,             # rows of the part before the chunk,
    Py_ssize_t at,              # and of the segment
    const floating* theta,      # IN (P,)
    Network net,
) noexcept nogil:
    """dL/da_t of the steps of a chunk, and the derivatives by what they read"""
    cdef const Packed* packed = stack.packed
    cdef:
        const Layer* layer = &net.layers[i]
        Track* track = &stack.tracks[i]
        floating* da
    if track.recompute and layer.cell != RNN:
        run_again(stack, i, steps, at, theta, net)
    da = recur_back(track, &stack.work, at, segment, above, theta, &packed.layers[i], layer, steps)
    add_recurrent_derivatives(gradient, track, &stack.work, at, segment, <const floating*> da,
                              layer, steps)
    send_down(stack, dx, i, <const floating*> da, steps, row, at, theta, net)


cdef void finish_layers(
    floating* gradient,         # OUT (P,)
    Stack* stack,
    bint wanted,                # whether dL/dstate_0 is wanted
    bint given,                 # whether states are given, and so not learned
    const floating* theta,      # IN  (P,)
    Network net,
) noexcept nogil:
    """dL/dstate_0, and the derivatives that were added up apart from the gradient"""
    cdef const Packed* packed = stack.packed
    cdef const Layout* layout = stack.layout
    cdef Py_ssize_t B = layout.extent.B, i, j, s, M, L
    cdef const Layer* layer
    cdef Track* track
    cdef bint learned
    for i in range(net.n_tracks):
        layer, track = &net.layers[i], &stack.tracks[i]
        M, L = layer.M, layer.L
        learned = layer.initial_state >= 0 and not given
        if wanted or learned:
            recur_close(track, theta, &packed.layers[i], layer, B)
        if layer.initial_state >= 0:
            # forward: the first state of each sequence is the same
            memset(track.dinitial, 0, layer.S * M * sizeof(double))
            for s in range(layer.S if learned else 0):
                add_rows(track.dinitial + s * M, <const floating*> track.dstate + s * B * L, L, B,
                         M)
            for j in range(layer.S * M):
                gradient[layer.initial_state + j] = <floating> track.dinitial[j]
        finish_recurrent_derivatives(gradient, track, layer)
