/* The three derivatives of the hidden layer, of a long run of rows at once.
 *
 *     dL/dW11 = sum_t da_t h_{t-1}'     dL/dW0 = sum_t da_t x_t'     dL/db0 = sum_t da_t
 *
 * are da' [h_prev, x, 1]: small results of long sums that share their left side. Rows are taken in
 * chunks that stay in the second-level cache. In a chunk, da is copied together once, in the
 * columns of each tile, and the right side in panels of 64 bytes, so that their rows do not compete
 * for the same places in the first-level cache. Each chunk is summed on its own and then added,
 * which also keeps the rounding of a long sum small. */
#include "set.h"
#include "tile.h"

#include <string.h>

#define CHUNK 256 /* rows */

static ptrdiff_t minimum(ptrdiff_t a, ptrdiff_t b)
{
    return a < b ? a : b;
}

ptrdiff_t NAME(derivatives_scratch)(ptrdiff_t M, ptrdiff_t D)
{
    return CHUNK * M + (CHUNK + M) * (D + 1);
}

#define COPY_COLUMNS(HEIGHT)                                                                       \
    case HEIGHT:                                                                                   \
        for (ptrdiff_t r = 0; r < rows; r++, p += HEIGHT)                                          \
            memcpy(p, a + r * m + i, HEIGHT * sizeof(real));                                       \
        break;

/* p[tile][r][column of the tile] = A.  p OUT (rows * m,);  a IN (rows, m) */
static void pack_tiles(real *restrict p, const real *restrict a, ptrdiff_t rows, ptrdiff_t m)
{
    const ptrdiff_t n_tiles = fewest_parts(m, most_rows());
    for (ptrdiff_t t = 0; t < n_tiles; t++) {
        const ptrdiff_t i = m * t / n_tiles;
        switch (m * (t + 1) / n_tiles - i) { /* a copy of constant size is a few moves */
            COPY_COLUMNS(6)
            COPY_COLUMNS(5)
            COPY_COLUMNS(4)
            COPY_COLUMNS(3)
            COPY_COLUMNS(2)
            COPY_COLUMNS(1)
        }
    }
}

/* C += A' B for a chunk.  c INOUT (m, n);  a IN from pack_tiles;  b IN (rows, n) */
static void add_chunk(real *restrict c, const real *restrict a, const real *restrict b,
                      ptrdiff_t rows, ptrdiff_t m, ptrdiff_t n)
{
    const ptrdiff_t n_tiles = fewest_parts(m, most_rows());
    real panel[CHUNK * 64 / sizeof(real)];

    for (ptrdiff_t j = 0; j < n; j += PANEL) {
        const ptrdiff_t width = minimum(PANEL, n - j);
        if (width == PANEL) {
            for (ptrdiff_t r = 0; r < rows; r++)
                memcpy(panel + r * PANEL, b + r * n + j, 64);
        } else {
            memset(panel, 0, (size_t)rows * 64);
            for (ptrdiff_t r = 0; r < rows; r++)
                for (ptrdiff_t k = 0; k < width; k++)
                    panel[r * PANEL + k] = b[r * n + j + k];
        }

        for (ptrdiff_t t = 0; t < n_tiles; t++) {
            const ptrdiff_t i = m * t / n_tiles;
            const ptrdiff_t height = m * (t + 1) / n_tiles - i;
            cbptt_tile *const tile = NAME(tiles)[height - 1][0];
            const real *a_tile = a + i * rows;
            real *c_tile = c + i * n + j;
            if (width == PANEL) {
                tile(c_tile, n, a_tile, 1, height, panel, 0, PANEL, rows);
            } else {
                real wide[MAX_TILE * 64 / sizeof(real)] = {0};
                tile(wide, PANEL, a_tile, 1, height, panel, 0, PANEL, rows);
                for (ptrdiff_t r = 0; r < height; r++)
                    for (ptrdiff_t k = 0; k < width; k++)
                        c_tile[r * n + k] += wide[r * PANEL + k];
            }
        }
    }
}

/* dhh OUT (M, M);  dih OUT (M, D);  db OUT (M,);  scratch (derivatives_scratch(M, D),)
 * da IN (N, M);  h_prev IN (N, M);  x IN (N, D) */
void NAME(derivatives)(real *restrict dhh, real *restrict dih, real *restrict db,
                       real *restrict scratch, const real *restrict da, const real *restrict h_prev,
                       const real *restrict x, ptrdiff_t N, ptrdiff_t M, ptrdiff_t D)
{
    real *tiles = scratch;
    real *x_1 = tiles + CHUNK * M;       /* (rows, D + 1)  [x, 1] */
    real *dih_b = x_1 + CHUNK * (D + 1); /* (M, D + 1)     [dL/dW0, dL/db0] */
    memset(dhh, 0, (size_t)(M * M) * sizeof(real));
    memset(dih_b, 0, (size_t)(M * (D + 1)) * sizeof(real));

    for (ptrdiff_t first = 0; first < N; first += CHUNK) {
        const ptrdiff_t rows = minimum(CHUNK, N - first);
        for (ptrdiff_t r = 0; r < rows; r++) {
            memcpy(x_1 + r * (D + 1), x + (first + r) * D, (size_t)D * sizeof(real));
            x_1[r * (D + 1) + D] = 1;
        }
        pack_tiles(tiles, da + first * M, rows, M);
        add_chunk(dhh, tiles, h_prev + first * M, rows, M, M);
        add_chunk(dih_b, tiles, x_1, rows, M, D + 1);
    }
    for (ptrdiff_t i = 0; i < M; i++) {
        memcpy(dih + i * D, dih_b + i * (D + 1), (size_t)D * sizeof(real));
        db[i] = dih_b[i * (D + 1) + D];
    }
}
