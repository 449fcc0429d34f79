/* The recurrent product, with the matrix packed once per batch and the activation at its end.
 *
 * Both recurrences ask, at each step, for C = g(C + A P) with a square matrix P that stays the same
 * over all steps:
 *     forward    h_t  = f(z_t + h_{t-1} W')                P = W',  g = f
 *     backward   da_t = (dh_t + da_{t+1} W) * f'(a_t)      P = W,   g = times f'
 * BLAS would pack P again at every step, and its result would go through memory once more for g.
 *
 * Layout of a packed matrix: panels of 64 bytes of columns (PANEL numbers), and within a panel the
 * rows k = 0..M-1 one after the other, padded with zero columns:  p[panel][k][PANEL].
 *
 * Order of the loops: chunks of k, so that a panel's part stays in the first-level cache; in a
 * chunk the panels; in a panel the rows of C, in tiles of R rows by P panels that are held in
 * registers. The sum of an element of C runs over k in ascending order, whatever the tile it falls
 * in. */
#include "elementary.h"
#include "set.h"

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#define REGISTERS    24 /* for accumulators: the rest hold a row of the panel and a factor */
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

#define PANEL     ((ptrdiff_t)(64 / sizeof(real)))
#define VECTORS   (64 / VECTOR_BYTES) /* per row of a panel */
#define LANES     (VECTOR_BYTES / (int)sizeof(real))
#define MAX_TILE  6
#define MAX_DEPTH 384 /* of a chunk of k */

typedef real vector __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));

/* ---- packing ------------------------------------------------------------------------------ */

ptrdiff_t NAME(packed_size)(ptrdiff_t M)
{
    return (M + PANEL - 1) / PANEL * PANEL * M;
}

void NAME(pack)(real *restrict p, const real *restrict w, ptrdiff_t M, int transpose)
{
    const ptrdiff_t by_row = transpose ? 1 : M; /* steps in w that go with k, and with columns */
    const ptrdiff_t by_column = transpose ? M : 1;
    for (ptrdiff_t first = 0; first < M; first += PANEL) {
        const ptrdiff_t width = M - first < PANEL ? M - first : PANEL;
        for (ptrdiff_t k = 0; k < M; k++, p += PANEL) {
            const real *row = w + k * by_row + first * by_column;
            for (ptrdiff_t j = 0; j < width; j++)
                p[j] = row[j * by_column];
            for (ptrdiff_t j = width; j < PANEL; j++)
                p[j] = 0;
        }
    }
}

/* ---- C += A P for a tile of R rows by P panels, in registers --------------------------------- */

/* R and P are constants wherever this is inlined. */
static inline __attribute__((always_inline)) void tile(real *restrict c, ptrdiff_t ldc,
                                                       const real *restrict a, ptrdiff_t lda,
                                                       const real *restrict p, ptrdiff_t ldp,
                                                       ptrdiff_t depth, const int R, const int P)
{
    vector sum[MAX_TILE][MAX_TILE * VECTORS];
    for (int i = 0; i < R; i++)
        for (int v = 0; v < P * VECTORS; v++)
            sum[i][v] = *(const vector *)(c + i * ldc + v * LANES);

    for (ptrdiff_t k = 0; k < depth; k++) {
        vector row[MAX_TILE * VECTORS];
        for (int v = 0; v < P * VECTORS; v++)
            row[v] = *(const vector *)(p + v / VECTORS * ldp + k * PANEL + v % VECTORS * LANES);
        for (int i = 0; i < R; i++)
            for (int v = 0; v < P * VECTORS; v++)
                sum[i][v] += a[i * lda + k] * row[v];
    }

    for (int i = 0; i < R; i++)
        for (int v = 0; v < P * VECTORS; v++)
            *(vector *)(c + i * ldc + v * LANES) = sum[i][v];
}

typedef void tile_function(real *restrict c, ptrdiff_t ldc, const real *restrict a, ptrdiff_t lda,
                           const real *restrict p, ptrdiff_t ldp, ptrdiff_t depth);

#define TILE(R, P)                                                                                 \
    static void tile_##R##_##P(real *restrict c, ptrdiff_t ldc, const real *restrict a,            \
                               ptrdiff_t lda, const real *restrict p, ptrdiff_t ldp,               \
                               ptrdiff_t depth)                                                    \
    {                                                                                              \
        tile(c, ldc, a, lda, p, ldp, depth, R, P);                                                 \
    }
#define TILES(P) TILE(1, P) TILE(2, P) TILE(3, P) TILE(4, P) TILE(5, P) TILE(6, P)
TILES(1)
TILES(2) TILES(3) TILES(4) TILES(5) TILES(6)

#define FITS(R, P) (R * P * VECTORS <= REGISTERS ? tile_##R##_##P : NULL)
#define ROW(R)     {FITS(R, 1), FITS(R, 2), FITS(R, 3), FITS(R, 4), FITS(R, 5), FITS(R, 6)}
    static tile_function *const tiles[MAX_TILE][MAX_TILE] = {ROW(1), ROW(2), ROW(3),
                                                             ROW(4), ROW(5), ROW(6)};

/* ---- g, on a tile that has just been summed ------------------------------------------------- */

#define FOR_TILE(expression)                                                                       \
    for (ptrdiff_t i = 0; i < rows; i++)                                                           \
        for (ptrdiff_t first = 0; first < columns; first += PANEL) {                               \
            real *c_i = c + i * ldc + first;                                                       \
            const real *h_i = h == NULL ? c_i : h + i * ldh + first;                               \
            (void)h_i;                                                                             \
            for (ptrdiff_t j = 0; j < PANEL; j++)                                                  \
                c_i[j] = expression;                                                               \
        }

/* h_t = f(a_t) where h is NULL; da_t = dL/dh_t * f'(a_t), told from h = f(a_t), elsewhere. */
static void finish(real *c, ptrdiff_t ldc, const real *h, ptrdiff_t ldh, ptrdiff_t rows,
                   ptrdiff_t columns, int f)
{
    if (f == CBPTT_TANH && h == NULL)
        FOR_TILE(hyperbolic_tangent(c_i[j]))
    else if (f == CBPTT_TANH)
        FOR_TILE(tanh_derivative(c_i[j], h_i[j]))
    else if (f == CBPTT_RELU && h == NULL)
        FOR_TILE(relu(c_i[j]))
    else if (f == CBPTT_RELU)
        FOR_TILE(relu_derivative(c_i[j], h_i[j]))
    else if (f == CBPTT_LOGISTIC && h == NULL)
        FOR_TILE(logistic(c_i[j]))
    else if (f == CBPTT_LOGISTIC)
        FOR_TILE(logistic_derivative(c_i[j], h_i[j]))
}

/* ---- one step ------------------------------------------------------------------------------- */

static ptrdiff_t ceiling(ptrdiff_t a, ptrdiff_t b)
{
    return (a + b - 1) / b;
}

static void copy_tile(real *to, ptrdiff_t ld_to, const real *from, ptrdiff_t ld_from,
                      ptrdiff_t rows, ptrdiff_t columns)
{
    for (ptrdiff_t i = 0; i < rows; i++)
        memcpy(to + i * ld_to, from + i * ld_from, (size_t)columns * sizeof(real));
}

/* C = g(C + A P): g as in `finish`. */
static void step(real *restrict c, const real *restrict a, const real *restrict p,
                 const real *restrict h, ptrdiff_t n, ptrdiff_t M, int f)
{
    ptrdiff_t most_rows = MAX_TILE;
    while (tiles[most_rows - 1][0] == NULL)
        most_rows--;
    const ptrdiff_t n_tiles = ceiling(n, most_rows);
    const ptrdiff_t tile_rows = ceiling(n, n_tiles);
    ptrdiff_t most_panels = MAX_TILE;
    while (tiles[tile_rows - 1][most_panels - 1] == NULL)
        most_panels--;
    const ptrdiff_t n_panels = ceiling(M, PANEL);
    const ptrdiff_t n_groups = ceiling(n_panels, most_panels);
    const ptrdiff_t n_chunks = ceiling(M, MAX_DEPTH);

    for (ptrdiff_t chunk = 0; chunk < n_chunks; chunk++) {
        const ptrdiff_t k = M * chunk / n_chunks;
        const ptrdiff_t depth = M * (chunk + 1) / n_chunks - k;
        const int is_last = chunk == n_chunks - 1;

        for (ptrdiff_t group = 0; group < n_groups; group++) {
            const ptrdiff_t panel = n_panels * group / n_groups;
            const ptrdiff_t panels = n_panels * (group + 1) / n_groups - panel;
            const ptrdiff_t j = panel * PANEL;
            const ptrdiff_t columns = panels * PANEL;
            const ptrdiff_t within = M - j < columns ? M - j : columns;
            const real *p_part = p + panel * PANEL * M + k * PANEL;

            for (ptrdiff_t t = 0; t < n_tiles; t++) {
                const ptrdiff_t i = n * t / n_tiles;
                const ptrdiff_t rows = n * (t + 1) / n_tiles - i;
                tile_function *const add_product = tiles[rows - 1][panels - 1];
                const real *a_part = a + i * M + k;
                real *c_part = c + i * M + j;
                const real *h_part = h == NULL ? NULL : h + i * M + j;

                if (within == columns) {
                    add_product(c_part, M, a_part, M, p_part, PANEL * M, depth);
                    if (is_last)
                        finish(c_part, M, h_part, M, rows, columns, f);
                } else {
                    /* The columns that pad the last panel have no place in C. */
                    real c_padded[MAX_TILE * MAX_TILE * 64 / sizeof(real)] = {0};
                    real h_padded[MAX_TILE * MAX_TILE * 64 / sizeof(real)] = {0};
                    copy_tile(c_padded, columns, c_part, M, rows, within);
                    add_product(c_padded, columns, a_part, M, p_part, PANEL * M, depth);
                    if (is_last) {
                        if (h != NULL)
                            copy_tile(h_padded, columns, h_part, M, rows, within);
                        finish(c_padded, columns, h == NULL ? NULL : h_padded, columns, rows,
                               columns, f);
                    }
                    copy_tile(c_part, M, c_padded, columns, rows, within);
                }
            }
        }
    }
}

/* h_t = f(a_t + h_{t-1} W')
 * a INOUT (n, M) in: z_t, out: h_t;  h IN (n, M) h_{t-1};  p IN W' packed */
void NAME(forward_step)(real *restrict a, const real *restrict h, const real *restrict p,
                        ptrdiff_t n, ptrdiff_t M, int f)
{
    step(a, h, p, NULL, n, M, f);
}

/* da_t = (dL/dh_t + da_{t+1} W) * f'(a_t)
 * d INOUT (n, M) in: dL/dh_t, out: da_t;  e IN (n, M) da_{t+1};  h IN (n, M) h_t;  p IN W packed */
void NAME(backward_step)(real *restrict d, const real *restrict e, const real *restrict h,
                         const real *restrict p, ptrdiff_t n, ptrdiff_t M, int f)
{
    step(d, e, p, h, n, M, f);
}
