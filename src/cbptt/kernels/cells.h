/* One step of a cell with gates: what its kernels read and write, in either precision.
 *
 * Rows of M numbers lie L = padded(M) apart. A row of gates has four blocks of L numbers: i, f, g,
 * o of an LSTM; n, r, z, q of a GRU, whose q is W_hn h_{t-1} + b_hn. In the backward pass each gate
 * becomes the delta of its sum, in place. A GRU's input side has the deltas of the first three
 * blocks, its recurrent side those of the last three.
 *
 * Packed matrices: an LSTM's have the panels i f g o of the first line of units, then those of the
 * second, and so on; a GRU's have the panels r z, r z, .. and apart from them those of n, or of q.
 * For the backward pass the matrix of each gate is packed by itself. */
#ifndef CBPTT_CELLS_H
#define CBPTT_CELLS_H

#include <stddef.h>

typedef struct {
    void *gates;         /* OUT (n, 4 M) */
    void *h;             /* OUT (n, M) */
    void *c;             /* OUT (n, M)  LSTM */
    const void *c_prev;  /* IN  (n, M)  LSTM */
    const void *h_prev;  /* IN  (n, M)  GRU */
    const void *inner;   /* IN  (n, M)  what the recurrent product reads: m h_{t-1} */
    const void *x;       /* IN  (n, D) rows ldx apart */
    ptrdiff_t ldx, D;    /* D 0: `sums` hold W x_t already */
    const void *sums;    /* IN  where the sums begin, in the order of the panels, rows ld_sums */
    ptrdiff_t ld_sums;   /*     apart; 0: the bias, the same for all rows */
    const void *sums_n;  /* IN  the same of n  GRU */
    ptrdiff_t ld_sums_n; /* */
    const void *bias_q;  /* IN  (M,)           GRU */
    const void *ih, *hh; /* IN  packed */
    const void *ih_n;    /* IN  packed         GRU */
    const void *hh_q;    /* IN  packed         GRU */
    ptrdiff_t n, M;
} cbptt_cell_forward;

typedef struct {
    void *gates;        /* INOUT (n, 4 M)  in: the gates; out: their deltas */
    void *running;      /* INOUT (n, M)    LSTM: dL/dc;  GRU: z dL/dh */
    const void *dh;     /* IN    (n, M)    dL/dh_t from above; NULL: zeros */
    const void *next;   /* IN    (n, 4 M)  the deltas of the step behind; NULL: there is none */
    const void *mask;   /* IN    (n, M)    m; NULL: ones */
    const void *back;   /* IN    packed */
    const void *c;      /* IN    (n, M)    LSTM */
    const void *c_prev; /* IN    (n, M)    LSTM */
    const void *h_prev; /* IN    (n, M)    GRU */
    ptrdiff_t n, M;
} cbptt_cell_backward;

#endif
