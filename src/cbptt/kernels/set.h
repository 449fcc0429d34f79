/* What one instruction set and precision consists of: the entries of its table. */
#ifndef CBPTT_SET_H
#define CBPTT_SET_H

#include "kernels.h"
#include "real.h"

void NAME(activate)(real *restrict x, ptrdiff_t n, int f);
void NAME(derivative)(real *restrict d, const real *restrict h, ptrdiff_t n, int f);
void NAME(exponential)(real *restrict x, ptrdiff_t n);
ptrdiff_t NAME(packed_size)(ptrdiff_t K, ptrdiff_t M);
void NAME(pack)(real *restrict p, const real *restrict w, ptrdiff_t K, ptrdiff_t M, int transpose);
void NAME(forward_step)(real *restrict a, const real *restrict h, const real *restrict x,
                        const real *restrict b, const real *restrict p, const real *restrict p0,
                        ptrdiff_t n, ptrdiff_t M, ptrdiff_t D, int f);
void NAME(backward_step)(real *restrict d, const real *restrict e, const real *restrict h,
                         const real *restrict p, ptrdiff_t n, ptrdiff_t M, int f);
ptrdiff_t NAME(derivatives_scratch)(ptrdiff_t M, ptrdiff_t D);
void NAME(derivatives)(real *restrict dhh, real *restrict dih, real *restrict db,
                       real *restrict scratch, const real *restrict da, const real *restrict h_prev,
                       const real *restrict x, ptrdiff_t N, ptrdiff_t M, ptrdiff_t D);

#endif
