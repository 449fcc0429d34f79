/* The table of plain C kernels. One source is compiled per instruction set and precision;
 * cbptt_choose picks the set once, when the module that owns the table is imported.
 *
 * Kernels allocate nothing, print nothing and cannot fail. Arrays are row-major and contiguous, and
 * arrays of one call do not overlap where nothing else is said. For `real` in (float, double):
 *
 *   activate(x, n, f)              x := f(x)                             x INOUT (n,)
 *   derivative(d, h, n, f)         d := d * f'(a), given h = f(a)        d INOUT (n,), h IN (n,)
 *   exponential(x, n)              x := exp(x)                           x INOUT (n,)
 *
 * padded(n) is n rounded up to whole lines of 64 bytes. Rows of n numbers lie so far apart where
 * nothing else is said; what pads them is read, but reaches no result.
 *
 *   pack(p, w, K, M, transpose, stride)    p := W (K, M), or W' where transpose and W is (M, K)
 *                                           p OUT (K * padded(M),), every stride-th panel of p
 *   step(c, s, lds, a0, lda0, p0, K0, a1, lda1, p1, K1, h, n, M, f)
 *       c := f(s + a0 P0 + a1 P1)          where h is NULL               c OUT (n, M)
 *       c := (s + a0 P0 + a1 P1) * f'(a)   where h = f(a)                h IN (n, M)
 *       s IN (n, M) rows lds apart, may be c, or NULL: zeros;  a0 IN (n, K0) rows lda0 apart;
 *       p0: P0 packed
 *
 *   pack_columns(p, total, first, a, lda, rows, m)    rows of a chunk     p OUT, a IN (rows, m)
 *   pack_inputs(p, x, ldx, rows, D)                   the same of [x, 1]  x IN (rows, D)
 *   add_transposed(c, ldc, a, b, rows, m, n, add)
 *       c := a' b, or c += a' b where add, a and b packed
 *                                      c INOUT (m, n) rows ldc apart, a IN (rows, m), b (rows, n)
 *
 *   lstm_forward, lstm_backward, gru_forward, gru_backward    a step of a cell, see cells.h
 */
#ifndef CBPTT_KERNELS_H
#define CBPTT_KERNELS_H

#include "cells.h"

#include <stddef.h>

/* Codes of the elementwise functions f. */
enum { CBPTT_IDENTITY, CBPTT_LOGISTIC, CBPTT_TANH, CBPTT_RELU };

#define CBPTT_TABLE(real)                                                                          \
    struct {                                                                                       \
        void (*activate)(real * x, ptrdiff_t n, int f);                                            \
        void (*derivative)(real * d, const real *h, ptrdiff_t n, int f);                           \
        void (*exponential)(real * x, ptrdiff_t n);                                                \
        void (*pack)(real * p, const real *w, ptrdiff_t K, ptrdiff_t M, int transpose,             \
                     ptrdiff_t stride);                                                            \
        void (*step)(real * c, const real *s, ptrdiff_t lds, const real *a0, ptrdiff_t lda0,       \
                     const real *p0, ptrdiff_t K0, const real *a1, ptrdiff_t lda1, const real *p1, \
                     ptrdiff_t K1, const real *h, ptrdiff_t n, ptrdiff_t M, int f);                \
        void (*pack_columns)(real * p, ptrdiff_t total, ptrdiff_t first, const real *a,            \
                             ptrdiff_t lda, ptrdiff_t rows, ptrdiff_t m);                          \
        void (*pack_inputs)(real * p, const real *x, ptrdiff_t ldx, ptrdiff_t rows, ptrdiff_t D);  \
        void (*add_transposed)(real * c, ptrdiff_t ldc, const real *a, const real *b,              \
                               ptrdiff_t rows, ptrdiff_t m, ptrdiff_t n, int add);                 \
        void (*lstm_forward)(const cbptt_cell_forward *step);                                      \
        void (*lstm_backward)(const cbptt_cell_backward *step);                                    \
        void (*gru_forward)(const cbptt_cell_forward *step);                                       \
        void (*gru_backward)(const cbptt_cell_backward *step);                                     \
    }

typedef CBPTT_TABLE(float) cbptt_table_f32;
typedef CBPTT_TABLE(double) cbptt_table_f64;

typedef struct {
    const char *isa;
    const cbptt_table_f32 *f32;
    const cbptt_table_f64 *f64;
} cbptt_kernels;

/* The widest set that this processor runs, or the named one; NULL where the name is unknown or
 * the processor lacks it. */
const cbptt_kernels *cbptt_choose(const char *isa);

/* Let this thread take numbers too small to be normal as zeros, which are as fast as others, and
 * return the mode it was in; give the mode back. Where the processor has no such mode, nothing. */
unsigned long long cbptt_flush_denormals(void);
void cbptt_restore_mode(unsigned long long mode);

#endif
