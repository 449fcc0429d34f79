/* What one instruction set and precision consists of: the entries of its table. */
#ifndef CBPTT_SET_H
#define CBPTT_SET_H

#include "kernels.h"
#include "real.h"

void NAME(activate)(real *restrict x, ptrdiff_t n, int f);
void NAME(derivative)(real *restrict d, const real *restrict h, ptrdiff_t n, int f);
void NAME(exponential)(real *restrict x, ptrdiff_t n);
void NAME(pack)(real *restrict p, const real *restrict w, ptrdiff_t K, ptrdiff_t M, int transpose,
                ptrdiff_t stride);
void NAME(step)(real *c, const real *s, ptrdiff_t lds, const real *a0, ptrdiff_t lda0,
                const real *p0, ptrdiff_t K0, const real *a1, ptrdiff_t lda1, const real *p1,
                ptrdiff_t K1, const real *h, ptrdiff_t n, ptrdiff_t M, int f);
void NAME(pack_columns)(real *restrict p, ptrdiff_t total, ptrdiff_t first, const real *restrict a,
                        ptrdiff_t lda, ptrdiff_t rows, ptrdiff_t m);
void NAME(pack_inputs)(real *restrict p, const real *restrict x, ptrdiff_t ldx, ptrdiff_t rows,
                       ptrdiff_t D);
void NAME(add_transposed)(real *restrict c, ptrdiff_t ldc, const real *restrict a,
                          const real *restrict b, ptrdiff_t rows, ptrdiff_t m, ptrdiff_t n,
                          int add);

void NAME(lstm_forward)(const cbptt_cell_forward *s);
void NAME(lstm_backward)(const cbptt_cell_backward *s);
void NAME(gru_forward)(const cbptt_cell_forward *s);
void NAME(gru_backward)(const cbptt_cell_backward *s);

#endif
