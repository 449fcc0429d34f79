"""The recurrent layers of a part, chunk by chunk: forward, and back.

Everything that does not depend on the cell: where the states of a sequence begin, what is kept of
them, and what a chunk gets from the one before it and from the one behind it.
"""

from cython cimport floating
from libc.string cimport memcpy, memset

from cbptt._blas cimport add_rows, gemm
from cbptt._cut cimport Steps
from cbptt._elman cimport Above, elman_backward, elman_close, elman_forward
from cbptt._inputs cimport Inputs
from cbptt._network cimport Layer, Packed
from cbptt._packing cimport gather_rows, repeat_row
from cbptt._recurrence cimport add_recurrent_derivatives, finish_recurrent_derivatives


# ---- states --------------------------------------------------------------------------------------

cdef void start_states(
    Stack* stack,               # INOUT  state OUT (B, M), mask OUT (B, M)
    const floating* theta,      # IN     (P,)
    const Inputs* inputs,
    const Py_ssize_t* order,    # IN     (B,)
    const Layer* layer,
) noexcept nogil:
    """h_0: what is given for each sequence, or the state that is learned, or 0"""
    cdef Py_ssize_t B = stack.B, M = layer.M, L = layer.L
    cdef floating* state = <floating*> stack.state
    memset(state, 0, layer.S * B * L * sizeof(floating))
    if inputs.h0 != NULL:
        gather_rows(state, L, <const floating*> inputs.h0, M, order, B, M)
    elif layer.initial_state >= 0:
        repeat_row(state, L, theta + layer.initial_state, B, M)
    if stack.mask != NULL:
        memset(stack.mask, 0, B * L * sizeof(floating))
        gather_rows(<floating*> stack.mask, L, <const floating*> inputs.masks, M, order, B, M)


cdef floating* kept_before(
    const Stack* stack,
    const floating* kind,
    Py_ssize_t segment,
    const Layer* layer,
) noexcept nogil:
    return <floating*> stack.kept + segment * layer.S * stack.B * layer.L


cdef void keep_states(
    Stack* stack,               # INOUT  kept
    const floating* kind,       # of the precision
    Py_ssize_t segment,
    const Layer* layer,
) noexcept nogil:
    """Keep the states before a segment"""
    memcpy(kept_before(stack, kind, segment, layer), stack.state,
           layer.S * stack.B * layer.L * sizeof(floating))


cdef void restore_states(
    Stack* stack,               # INOUT  state
    const floating* kind,
    Py_ssize_t segment,
    const Layer* layer,
) noexcept nogil:
    """Return to the states before a segment"""
    memcpy(stack.state, kept_before(stack, kind, segment, layer),
           layer.S * stack.B * layer.L * sizeof(floating))


# ---- a chunk: forward, and back ------------------------------------------------------------------

cdef const floating* forward_chunk(
    Stack* stack,               # INOUT  x IN; h OUT; state INOUT
    const Steps* steps,
    Py_ssize_t at,              # rows of the segment before the chunk
    const floating* theta,      # IN     (P,)
    const Packed* packed,
    const Layer* layer,
) noexcept nogil:
    """Run the steps of a chunk, from the states before them to those after them; return h (N, M)"""
    cdef floating* h = <floating*> stack.tape.h + at * layer.L
    cdef floating* inner = NULL
    if stack.tape.inner != NULL:
        inner = <floating*> stack.tape.inner + at * layer.L
    elman_forward(h, inner, <floating*> stack.state,
                  <const floating*> stack.tape.x + at * layer.D, <const floating*> stack.mask,
                  theta, packed, layer, steps)
    return <const floating*> h


cdef void backward_chunk(
    floating* gradient,         # INOUT (P,)
    floating* dx,               # OUT (N, D)  dL/dx, may be the x of the chunk; or NULL
    Stack* stack,               # INOUT  carry, sums
    const Above* above,         # IN     dL/dh from above
    const Steps* steps,
    Py_ssize_t segment,
    Py_ssize_t at,              # rows of the segment before the chunk
    const floating* theta,      # IN     (P,)
    const Packed* packed,
    const Layer* layer,
) noexcept nogil:
    """dL/da_t of the steps of a chunk, and the derivatives by what they read"""
    cdef:
        Py_ssize_t D = layer.D, L = layer.L
        floating* da = <floating*> stack.da
        const floating* h = <const floating*> stack.tape.h + at * L
        const floating* x = <const floating*> stack.tape.x + at * D
        const floating* inner = NULL
        # the states of the step before
        const floating* h_before = kept_before(stack, h, segment, layer)
    if at > 0:
        h_before = h - steps.n_before * L
    if stack.tape.inner != NULL:
        inner = <const floating*> stack.tape.inner + at * L
    elman_backward(da, <floating*> stack.carry, above, h, <const floating*> stack.mask,
                   <floating*> stack.dh_inner, theta, packed, layer, steps)
    add_recurrent_derivatives(gradient, &stack.sums, <const floating*> da, h_before, h, inner, x,
                              layer, steps, steps.n_after > 0)
    if dx != NULL:
        # forward: a1_t += W0 x_t
        gemm(dx, D, <const floating*> da, L, theta + layer.weight_ih, D, steps.N, D, layer.M,
             False, False, <floating> 0)


cdef void finish_layers(
    floating* gradient,         # OUT (P,)
    Stack* stack,
    bint wanted,                # whether dL/dh_0 is wanted
    bint given,                 # whether h_0 is given, and so not learned
    const floating* theta,      # IN  (P,)
    const Packed* packed,
    const Layer* layer,
) noexcept nogil:
    """dL/dh_0, and the derivatives that were added up apart from the gradient"""
    cdef Py_ssize_t B = stack.B, M = layer.M, L = layer.L, i
    cdef bint learned = layer.initial_state >= 0 and not given
    cdef floating* dstate = <floating*> stack.dstate
    if wanted or learned:
        elman_close(dstate, <const floating*> stack.carry, <const floating*> stack.mask, theta,
                    packed, layer, B)
    if layer.initial_state >= 0:
        # forward: h_0 of each sequence is the same
        memset(stack.dinitial, 0, M * sizeof(double))
        if learned:
            add_rows(stack.dinitial, <const floating*> dstate, L, B, M)
        for i in range(M):
            gradient[layer.initial_state + i] = <floating> stack.dinitial[i]
    finish_recurrent_derivatives(gradient, &stack.sums, layer)
