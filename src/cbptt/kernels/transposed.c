/* Products over the rows of a batch: C += A' B, as in the derivatives by the weights.
 *
 *     dL/dW11 = sum_t da_t h_{t-1}'     dL/dW0 = sum_t da_t x_t'     dL/dW1 = sum_t dz_t h_t'
 *
 * are small results of long sums. They are taken in chunks of rows that stay in the second-level
 * cache. Both sides of a chunk are first copied together in panels of 64 bytes of columns,
 * p[panel][row][PANEL], so that their rows do not compete for the same places in the first-level
 * cache; a panel serves as either side. Each chunk is summed on its own and then added, which also
 * keeps the rounding of a long sum small. */
#include "set.h"
#include "tile.h"

static ptrdiff_t minimum(ptrdiff_t a, ptrdiff_t b)
{
    return a < b ? a : b;
}

/* Rows `first` to `first + rows` of a chunk of `total` rows.
 *     p OUT (padded(m) * total,);  a IN (rows, m) rows lda apart, padded to whole panels */
void NAME(pack_columns)(real *restrict p, ptrdiff_t total, ptrdiff_t first, const real *restrict a,
                        ptrdiff_t lda, ptrdiff_t rows, ptrdiff_t m)
{
    p += first * PANEL;
    for (ptrdiff_t r = 0; r < rows; r++, a += lda, p += PANEL)
        for (ptrdiff_t j = 0; j < m; j += PANEL)
            memcpy(p + j * total, a + j, 64);
}

/* The same of [x, 1].  p OUT (padded(D + 1) * rows,);  x IN (rows, D) rows ldx apart */
void NAME(pack_inputs)(real *restrict p, const real *restrict x, ptrdiff_t ldx, ptrdiff_t rows,
                       ptrdiff_t D)
{
    const ptrdiff_t full = D / PANEL * PANEL;
    for (ptrdiff_t r = 0; r < rows; r++, x += ldx, p += PANEL) {
        real *tail = p + full * rows;
        for (ptrdiff_t j = 0; j < full; j += PANEL)
            memcpy(p + j * rows, x + j, 64);
        memset(tail, 0, 64);
        for (ptrdiff_t j = full; j < D; j++)
            tail[j - full] = x[j];
        tail[D - full] = 1;
    }
}

/* C = A' B, or C += A' B where add
 *     c INOUT (m, n) rows ldc apart;  a, b IN (rows, m), (rows, n) from pack_columns */
void NAME(add_transposed)(real *restrict c, ptrdiff_t ldc, const real *restrict a,
                          const real *restrict b, ptrdiff_t rows, ptrdiff_t m, ptrdiff_t n, int add)
{
    /* rows of C in a tile: a whole panel's columns of A, or an even part of them */
    const ptrdiff_t height = fewest_parts(PANEL, fewest_parts(PANEL, most_rows(1)));
    const ptrdiff_t n_panels = fewest_parts(n, PANEL);
    const ptrdiff_t n_groups = fewest_parts(n_panels, most_panels(minimum(height, m)));

    for (ptrdiff_t group = 0; group < n_groups; group++) {
        const ptrdiff_t panel = n_panels * group / n_groups;
        const ptrdiff_t panels = n_panels * (group + 1) / n_groups - panel;
        const ptrdiff_t j = panel * PANEL;
        const ptrdiff_t width = minimum(panels * PANEL, n - j);

        for (ptrdiff_t i = 0; i < m; i += PANEL) {
            const ptrdiff_t columns = minimum(PANEL, m - i);
            const ptrdiff_t n_tiles = fewest_parts(columns, height);
            for (ptrdiff_t t = 0; t < n_tiles; t++) {
                const ptrdiff_t first = columns * t / n_tiles;
                const ptrdiff_t R = columns * (t + 1) / n_tiles - first;
                const product ab = {a + i * rows + first, 1,   PANEL, b + j * rows,
                                    PANEL * rows,         rows};
                cbptt_tile *const tile = NAME(tiles)[R - 1][panels - 1];
                real *c_part = c + (i + first) * ldc + j;
                if (width == panels * PANEL) {
                    tile(c_part, ldc, add ? c_part : NULL, ldc, &ab, 1);
                } else {
                    /* The columns that pad the last panel have no place in C. */
                    real wide[REGISTERS * LANES];
                    tile(wide, panels * PANEL, NULL, 0, &ab, 1);
                    for (ptrdiff_t r = 0; r < R; r++)
                        for (ptrdiff_t q = 0; q < width; q++)
                            c_part[r * ldc + q] =
                                wide[r * panels * PANEL + q] + (add ? c_part[r * ldc + q] : 0);
                }
            }
        }
    }
}
