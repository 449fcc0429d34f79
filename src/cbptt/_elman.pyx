"""The two recurrences of the lecture's network ("BPTT"; Elman 1990, Finding structure in time).

Everything that time does not couple is one product over all steps; only the loops over t remain.
Rows are packed: step t owns alive[t] rows, one behind the other, and its sequences are the first
alive[t] of step t - 1. Rows of M numbers lie L = padded(M) apart.

A product is computed by the package's kernels where its matrix is packed, and by BLAS elsewhere.
"""

from cython cimport floating
from libc.string cimport memcpy

from cbptt._blas cimport fill_rows, gemm
from cbptt._cut cimport Above, Steps
from cbptt._kernels cimport (
    IDENTITY, activate, backward_step, forward_step, multiply, padded, times_derivative
)
from cbptt._network cimport Layer, PackedLayer


cdef void elman_forward(
    floating* h,            # OUT   (N, M)
    floating* inner,        # OUT   (N, M)  m h_{t-1}, what W11 reads; or NULL: h_{t-1} itself
    floating* state,        # INOUT (B, M)  h before these steps; after them, also where one ended
    const floating* x,      # IN    (N, D), rows ldx apart
    const floating* mask,   # IN    (B, M)  m, of dropout in the recurrence; or NULL: ones
    const floating* theta,  # IN    (P,)
    const PackedLayer* packed,
    const Layer* layer,
    const Steps* steps,
    bint fold,              # whether W0 x_t joins the recurrent product, step by step
) noexcept nogil:
    """a_t = W0 x_t + W11 m h_{t-1} + b0,  h_t = f(a_t),  t = 1..T"""
    cdef:
        Py_ssize_t D = layer.D, M = layer.M, L = layer.L, ldx = layer.ldx, t, n_alive, n_next
        bint folded = packed.ih != NULL and fold
        const floating* bias_h = <const floating*> packed.bias
        const floating* hh = <const floating*> packed.hh
        floating* h_t = h
        const floating* h_prev = state
        const floating* x_t = x

    # a_t = W0 x_t + b0, all steps at once
    if packed.ih == NULL:
        fill_rows(h, bias_h, steps.N, L)
        gemm(h, L, x, ldx, theta + layer.weight_ih, D, steps.N, M, D, False, True, <floating> 1)
    elif not folded:
        forward_step(h, bias_h, 0, x, ldx, <const floating*> packed.ih, <const floating*> NULL,
                     <const floating*> NULL, steps.N, M, D, IDENTITY)

    for t in range(steps.T):
        n_alive = steps.alive[t]
        if mask != NULL:
            # the same mask at each step (Gal & Ghahramani 2016)
            multiply(inner, h_prev, mask, n_alive * L)
            h_prev = inner
            inner += n_alive * L

        # a_t += W11 h_{t-1}
        # h_t = f(a_t)
        if folded:
            # with a_t = W0 x_t + b0, while h_t is in registers
            forward_step(h_t, bias_h, 0, x_t, ldx, <const floating*> packed.ih, h_prev, hh,
                         n_alive, M, D, layer.f)
        elif hh != NULL:
            forward_step(h_t, h_t, L, x_t, ldx, <const floating*> NULL, h_prev, hh, n_alive, M, D,
                         layer.f)
        else:
            gemm(h_t, L, h_prev, L, theta + layer.weight_hh, M, n_alive, M, M, False, True,
                 <floating> 1)
            activate(h_t, n_alive * L, layer.f)

        n_next = steps.alive[t + 1] if t + 1 < steps.T else 0
        memcpy(state + n_next * L, h_t + n_next * L, (n_alive - n_next) * L * sizeof(floating))
        h_prev = h_t
        h_t += n_alive * L
        x_t += n_alive * ldx


cdef void elman_backward(
    floating* da,           # OUT   (N, M)  dL/da
    floating* carry,        # INOUT (B, M)  dL/da of the step behind these; of the first of these
    const Above* above,     # IN            dL/dh from above
    const floating* h,      # IN    (N, M)  from elman_forward
    const floating* mask,   # IN    (B, M)  as forward
    floating* dh_inner,     # scratch (B, M); or NULL without a mask
    const floating* theta,  # IN    (P,)
    const PackedLayer* packed,
    const Layer* layer,
    const Steps* steps,
) noexcept nogil:
    """dL/da_t = (dL/dh_t + dL/da_{t+1} W11 m) f'(a_t),  t = T..1"""
    cdef:
        Py_ssize_t M = layer.M, L = layer.L, K = above.K, LK = padded(K, sizeof(floating))
        Py_ssize_t t, n_alive, n_next = steps.n_after, row = steps.N, i
        bint last = above.last
        const floating* hh_back = <const floating*> packed.hh_back
        const floating* ho_back = <const floating*> above.ho_back
        const floating* dh = <const floating*> above.dh
        const floating* dz = <const floating*> above.dz
        floating* da_t
        const floating* da_next = carry
        const floating* dh_t
        const floating* dz_t

    for t in range(steps.T - 1, -1, -1):
        n_alive = steps.alive[t]
        row -= n_alive
        da_t = da + row * L

        # forward: h_t = f(a_t),  a2_t = W1 h_t
        # forward: a_{t+1} += W11 m h_t
        if n_next > 0:
            dz_t = NULL if last else dz + row * LK
            dh_t = NULL if last or ho_back != NULL else dh + row * L
            if mask != NULL:
                elman_close(dh_inner, da_next, mask, theta, packed, layer, n_next)
                for i in range(0 if dh_t == NULL else n_next * L):
                    dh_inner[i] += dh_t[i]
                backward_step(da_t, dh_inner, dz_t, NULL if last else ho_back, NULL, NULL,
                              h + row * L, n_next, M, K, layer.f)
            elif hh_back != NULL:
                backward_step(da_t, dh_t, dz_t, NULL if last else ho_back, da_next, hh_back,
                              h + row * L, n_next, M, K, layer.f)
            else:
                if dh_t != NULL and dh_t != da_t:
                    memcpy(da_t, dh_t, n_next * L * sizeof(floating))
                gemm(da_t, L, da_next, L, theta + layer.weight_hh, M, n_next, M, M, False, False,
                     <floating> (0 if last else 1))
                times_derivative(da_t, h + row * L, n_next * L, layer.f)

        # dL/da_{t+1} W11 is not required for a sequence whose last step is t
        if n_next < n_alive:
            i = n_next if last else row + n_next
            backward_step(da_t + n_next * L, NULL if ho_back != NULL else dh + i * L, dz + i * LK,
                          ho_back, NULL, NULL, h + (row + n_next) * L, n_alive - n_next, M, K,
                          layer.f)

        da_next = da_t
        n_next = n_alive

    memcpy(carry, da, n_next * L * sizeof(floating))


cdef void elman_close(
    floating* dstate,       # OUT (n, M)  dL/dh_t
    const floating* carry,  # IN  (n, M)  dL/da_{t+1}
    const floating* mask,   # IN  (n, M)  as forward
    const floating* theta,  # IN  (P,)
    const PackedLayer* packed,
    const Layer* layer,
    Py_ssize_t n,
) noexcept nogil:
    """What the step behind sends back to a state: dL/dh_t = dL/da_{t+1} W11 m"""
    cdef Py_ssize_t M = layer.M, L = layer.L
    # forward: a_{t+1} += W11 m h_t
    if packed.hh_back != NULL:
        backward_step(dstate, <const floating*> NULL, <const floating*> NULL,
                      <const floating*> NULL, carry, <const floating*> packed.hh_back,
                      <const floating*> NULL, n, M, 0, IDENTITY)
    else:
        gemm(dstate, L, carry, L, theta + layer.weight_hh, M, n, M, M, False, False,
             <floating> 0)
    if mask != NULL:
        multiply(dstate, <const floating*> dstate, mask, n * L)
