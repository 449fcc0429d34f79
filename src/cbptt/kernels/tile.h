/* The register tile that every product of ours is made of. */
#ifndef CBPTT_TILE_H
#define CBPTT_TILE_H

#include "real.h"

#include <stddef.h>
#include <string.h>

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#define REGISTERS    24 /* for sums; the rest hold a row of the panel and a factor */
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
#define REGISTERS    12
#elif defined(__aarch64__)
#define VECTOR_BYTES 16
#define REGISTERS    24
#else
#define VECTOR_BYTES 16
#define REGISTERS    12
#endif

#define PANEL    ((ptrdiff_t)(64 / sizeof(real))) /* columns that one line of the cache holds */
#define VECTORS  (64 / VECTOR_BYTES)              /* per line */
#define LANES    (VECTOR_BYTES / (int)sizeof(real))
#define MAX_TILE 8 /* rows, and panels, of a tile at the most */

/* The factors of one product: A (rows, depth) and B (depth, columns).
 *
 *     A[i, k] = a[i * a_row + k * a_step]
 *     B[k, j] = b[j / PANEL * b_panel + k * PANEL + j % PANEL] */
typedef struct {
    const real *a;
    ptrdiff_t a_row, a_step;
    const real *b;
    ptrdiff_t b_panel;
    ptrdiff_t depth;
} product;

/* C = S + A B + A' B' + ..  for a tile of R rows by P panels of columns, with the sums in
 * registers:
 *
 *     C[i, j] = S[i, j] + sum over products, over k < depth, of A[i, k] B[k, j]
 *
 *     c OUT (R, P * PANEL)   rows ldc apart
 *     s IN  (R, P * PANEL)   rows lds apart (0: the same row for all); may be c; NULL: zeros */
typedef void cbptt_tile(real *c, ptrdiff_t ldc, const real *s, ptrdiff_t lds,
                        const product *products, int n_products);

/* tiles[R - 1][P - 1]; NULL where the sums would not fit into the registers. */
extern cbptt_tile *const NAME(tiles)[MAX_TILE][MAX_TILE];

/* How n things fall into the fewest parts of at most `most`: part i begins at n * i / parts. */
static inline ptrdiff_t fewest_parts(ptrdiff_t n, ptrdiff_t most)
{
    return (n + most - 1) / most;
}

/* The most rows of a tile, for a number of panels: a wide C is better cut into wide tiles,
 * which read A less often. */
static inline ptrdiff_t most_rows(ptrdiff_t n_panels)
{
    const ptrdiff_t wide = VECTORS > 1 ? 1 : n_panels < 4 ? n_panels : 4;
    const ptrdiff_t fit = REGISTERS / (VECTORS * wide);
    return fit < MAX_TILE ? fit : MAX_TILE;
}

/* The most panels of a tile, for a number of rows. */
static inline ptrdiff_t most_panels(ptrdiff_t rows)
{
    const ptrdiff_t fit = REGISTERS / (VECTORS * rows);
    return fit < MAX_TILE ? fit : MAX_TILE;
}

#endif
