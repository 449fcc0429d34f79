/* A step of the cells with gates. The sums of a few rows and one line of units, all gates of it,
 * are held in registers; the cell's arithmetic follows while they are in the first-level cache.
 *
 * Order of the loops: lines of units, so that their panels stay in cache; in a line the rows. */
#include "elementary.h"
#include "set.h"
#include "tile.h"

#define GATES 4 /* blocks of a row of gates */

/* Each function of a step waits for the one before it. So a few rows do not fill the processor,
 * unless twice as many lines of units are computed side by side, whose sums then fit. */
#define FEW_ROWS(n) (2 * GATES * (n) <= REGISTERS)

/* What is compiled for two numbers of lines. */
#define ALWAYS_INLINE inline __attribute__((always_inline))

/* Before the compiler looks for vectors, a loop of constant length would be unrolled. */
#define FOR_LINE _Pragma("GCC unroll 1") _Pragma("GCC ivdep") for (ptrdiff_t j = 0; j < PANEL; j++)

/* What the loops over tiles need of a batch of rows: tile t has the rows from n t / n_tiles on. */
#define FOR_TILES(n, most)                                                                         \
    for (ptrdiff_t t = 0, n_tiles = fewest_parts(n, most), i = 0, rows = n / n_tiles; t < n_tiles; \
         t++, i = n * t / n_tiles, rows = n * (t + 1) / n_tiles - i)

static ptrdiff_t padded(ptrdiff_t n)
{
    return fewest_parts(n, PANEL) * PANEL;
}

/* Panels that lie one behind the other, of a few rows: sums + A P + A' P' + ..
 *     out OUT (rows, panels * PANEL) rows ld apart;  sums IN, the same shape, rows lds apart, or
 * NULL */
static ALWAYS_INLINE void sum_panels(real *out, ptrdiff_t ld, const real *sums, ptrdiff_t lds,
                                     ptrdiff_t rows, ptrdiff_t panels, const product *products,
                                     int n_products)
{
    const ptrdiff_t n_calls = fewest_parts(panels, most_panels(rows));
    for (ptrdiff_t call = 0; call < n_calls; call++) {
        const ptrdiff_t first = panels * call / n_calls;
        const ptrdiff_t width = panels * (call + 1) / n_calls - first;
        cbptt_tile *const tile = NAME(tiles)[rows - 1][width - 1];
        product shifted[GATES];
        for (int p = 0; p < n_products; p++) {
            shifted[p] = products[p];
            shifted[p].b += first * products[p].b_panel;
        }
        tile(out + first * PANEL, ld, sums == NULL ? NULL : sums + first * PANEL, lds, shifted,
             n_products);
    }
}

/* ---- LSTM: forward -------------------------------------------------------------------------- */

/* c_t = f c_{t-1} + i g,  h_t = o tanh c_t,  of a line of units */
static ALWAYS_INLINE void finish_lstm(real *restrict gates, real *restrict c, real *restrict h,
                                      const real *restrict sums, const real *restrict c_prev,
                                      ptrdiff_t L)
{
    real i[PANEL], f[PANEL], g[PANEL], o[PANEL];
    FOR_LINE i[j] = logistic(sums[j]);
    FOR_LINE f[j] = logistic(sums[PANEL + j]);
    FOR_LINE g[j] = hyperbolic_tangent(sums[2 * PANEL + j]);
    FOR_LINE o[j] = logistic(sums[3 * PANEL + j]);
    FOR_LINE
    {
        gates[j] = i[j];
        gates[L + j] = f[j];
        gates[2 * L + j] = g[j];
        gates[3 * L + j] = o[j];
        c[j] = f[j] * c_prev[j] + i[j] * g[j];
    }
    FOR_LINE h[j] = o[j] * hyperbolic_tangent(c[j]);
}

/* A step, some lines of units at a time */
static ALWAYS_INLINE void lstm_step(const cbptt_cell_forward *s, const ptrdiff_t most)
{
    const ptrdiff_t M = s->M, D = s->D, L = padded(M), n_panels = L / PANEL;
    const real *x = s->x, *inner = s->inner, *c_prev = s->c_prev, *start = s->sums;
    const real *ih = s->ih, *hh = s->hh;
    real *gates = s->gates, *c = s->c, *h = s->h;

    for (ptrdiff_t line = 0; line < n_panels; line += most) {
        const ptrdiff_t lines = most == 1 || n_panels - line == 1 ? 1 : most;
        const ptrdiff_t j = line * PANEL, width = lines * GATES * PANEL;
        FOR_TILES(s->n, most_rows(GATES))
        {
            const product products[2] = {
                {inner + i * L, L, 1, hh + GATES * j * M, PANEL * M, M},
                {x + i * s->ldx, s->ldx, 1, ih + GATES * j * D, PANEL * D, D},
            };
            real sums[MAX_TILE * GATES * PANEL];
            sum_panels(sums, width, start + i * s->ld_sums + GATES * j, s->ld_sums, rows,
                       lines * GATES, products, D > 0 ? 2 : 1);
            for (ptrdiff_t r = 0; r < rows; r++)
                for (ptrdiff_t p = 0; p < lines; p++) {
                    const ptrdiff_t at = (i + r) * L + j + p * PANEL;
                    finish_lstm(gates + at + (GATES - 1) * (i + r) * L, c + at, h + at,
                                sums + r * width + p * GATES * PANEL, c_prev + at, L);
                }
        }
    }
}

/* i, f, o = logistic, g = tanh of W x_t + R m h_{t-1} + b */
void NAME(lstm_forward)(const cbptt_cell_forward *s)
{
    if (FEW_ROWS(s->n))
        lstm_step(s, 2);
    else
        lstm_step(s, 1);
}

/* ---- backward: dL/dh_t of some lines of units ----------------------------------------------- */

/* What the step behind sends back to h_t, and what comes from above
 *     dh OUT (rows, panels * PANEL), of the rows from i and the units from j on
 *     first, blocks: those of `next` that are deltas of the recurrent side
 *     direct: whether the state is passed on as it is, too: by z of a GRU */
static void gather_dh(real *restrict dh, const cbptt_cell_backward *s, ptrdiff_t i, ptrdiff_t rows,
                      ptrdiff_t j, ptrdiff_t panels, ptrdiff_t first, int blocks, int direct)
{
    const ptrdiff_t M = s->M, L = padded(M), width = panels * PANEL;
    const real *next = s->next, *back = s->back, *mask = s->mask, *above = s->dh;
    const real *running = s->running;

    /* forward: the sums of every gate += W m h_t */
    if (next == NULL) {
        memset(dh, 0, (size_t)(rows * width) * sizeof(real));
    } else {
        product products[GATES];
        for (int b = 0; b < blocks; b++)
            products[b] = (product){next + (GATES * i + first + b) * L,
                                    GATES * L,
                                    1,
                                    back + (b * L + j) * M,
                                    PANEL * M,
                                    M};
        sum_panels(dh, width, NULL, 0, rows, panels, products, blocks);
    }

    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t p = 0; p < panels; p++) {
            const ptrdiff_t at = (i + r) * L + j + p * PANEL;
            real *dh_r = dh + r * width + p * PANEL;
            if (mask != NULL)
                for (ptrdiff_t k = 0; k < PANEL; k++)
                    dh_r[k] *= mask[at + k];
            if (direct)
                for (ptrdiff_t k = 0; k < PANEL; k++)
                    dh_r[k] += running[at + k];
            if (above != NULL)
                for (ptrdiff_t k = 0; k < PANEL; k++)
                    dh_r[k] += above[at + k];
        }
}

/* Tiles of rows by panels, over all units; `unwind` is what the cell does with a line of a row. */
#define FOR_UNITS(s, first, blocks, direct, unwind)                                                \
    {                                                                                              \
        const ptrdiff_t n_panels = L / PANEL;                                                      \
        const ptrdiff_t most = most_rows(n_panels);                                                \
        const ptrdiff_t n_groups =                                                                 \
            fewest_parts(n_panels, most_panels(fewest_parts(s->n, fewest_parts(s->n, most))));     \
        for (ptrdiff_t group = 0; group < n_groups; group++) {                                     \
            const ptrdiff_t panel = n_panels * group / n_groups;                                   \
            const ptrdiff_t panels = n_panels * (group + 1) / n_groups - panel;                    \
            FOR_TILES(s->n, most)                                                                  \
            {                                                                                      \
                real dh[MAX_TILE * MAX_TILE * PANEL];                                              \
                gather_dh(dh, s, i, rows, panel * PANEL, panels, first, blocks, direct);           \
                for (ptrdiff_t r = 0; r < rows; r++)                                               \
                    for (ptrdiff_t p = 0; p < panels; p++) {                                       \
                        const ptrdiff_t at = (i + r) * L + (panel + p) * PANEL;                    \
                        real *line = gates + at + (GATES - 1) * (i + r) * L;                       \
                        const real *dh_r = dh + (r * panels + p) * PANEL;                          \
                        unwind;                                                                    \
                    }                                                                              \
            }                                                                                      \
        }                                                                                          \
    }

/* ---- LSTM: backward ------------------------------------------------------------------------- */

/* The deltas of a line of units, given dL/dh_t, and dL/dc_t but for what h_t adds */
static void unwind_lstm(real *restrict gates, real *restrict dc, const real *restrict dh,
                        const real *restrict c, const real *restrict c_prev, ptrdiff_t L)
{
    real tanh_c[PANEL];
    FOR_LINE tanh_c[j] = hyperbolic_tangent(c[j]);
    FOR_LINE
    {
        const real i = gates[j], f = gates[L + j], g = gates[2 * L + j], o = gates[3 * L + j];
        /* forward: h_t = o tanh c_t */
        const real dc_t = dc[j] + tanh_derivative(dh[j] * o, tanh_c[j]);
        gates[3 * L + j] = logistic_derivative(dh[j] * tanh_c[j], o);
        /* forward: c_t = f c_{t-1} + i g */
        gates[j] = logistic_derivative(dc_t * g, i);
        gates[L + j] = logistic_derivative(dc_t * c_prev[j], f);
        gates[2 * L + j] = tanh_derivative(dc_t * i, g);
        dc[j] = dc_t * f;
    }
}

void NAME(lstm_backward)(const cbptt_cell_backward *s)
{
    const ptrdiff_t L = padded(s->M);
    const real *c = s->c, *c_prev = s->c_prev;
    real *gates = s->gates, *dc = s->running;
    FOR_UNITS(s, 0, GATES, 0, unwind_lstm(line, dc + at, dh_r, c + at, c_prev + at, L))
}

/* ---- GRU: forward --------------------------------------------------------------------------- */

/* n = tanh(sums_n + r q),  h_t = (1 - z) n + z h_{t-1},  of a line of units */
static ALWAYS_INLINE void finish_gru(real *restrict gates, real *restrict h,
                                     const real *restrict rz, const real *restrict sums_n,
                                     const real *restrict q, const real *restrict h_prev,
                                     ptrdiff_t L)
{
    real r[PANEL], z[PANEL], n[PANEL];
    FOR_LINE r[j] = logistic(rz[j]);
    FOR_LINE z[j] = logistic(rz[PANEL + j]);
    FOR_LINE n[j] = hyperbolic_tangent(sums_n[j] + r[j] * q[j]);
    FOR_LINE
    {
        gates[j] = n[j];
        gates[L + j] = r[j];
        gates[2 * L + j] = z[j];
        gates[3 * L + j] = q[j];
        h[j] = n[j] + z[j] * (h_prev[j] - n[j]);
    }
}

/* A step, some lines of units at a time */
static ALWAYS_INLINE void gru_step(const cbptt_cell_forward *s, const ptrdiff_t most)
{
    const ptrdiff_t M = s->M, D = s->D, L = padded(M), n_panels = L / PANEL, ld = most * PANEL;
    const real *x = s->x, *inner = s->inner, *h_prev = s->h_prev;
    const real *start = s->sums, *start_n = s->sums_n, *start_q = s->bias_q;
    const real *ih = s->ih, *hh = s->hh, *ih_n = s->ih_n, *hh_q = s->hh_q;
    real *gates = s->gates, *h = s->h;

    for (ptrdiff_t line = 0; line < n_panels; line += most) {
        const ptrdiff_t lines = n_panels - line < most ? n_panels - line : most, j = line * PANEL;
        FOR_TILES(s->n, most_rows(GATES))
        {
            const real *x_i = x + i * s->ldx, *inner_i = inner + i * L;
            const product of_rz[2] = {{inner_i, L, 1, hh + 2 * j * M, PANEL * M, M},
                                      {x_i, s->ldx, 1, ih + 2 * j * D, PANEL * D, D}};
            const product of_n = {x_i, s->ldx, 1, ih_n + j * D, PANEL * D, D};
            const product of_q = {inner_i, L, 1, hh_q + j * M, PANEL * M, M};
            real rz[MAX_TILE * 4 * PANEL], sums_n[MAX_TILE * 2 * PANEL], q[MAX_TILE * 2 * PANEL];
            sum_panels(rz, 2 * ld, start + i * s->ld_sums + 2 * j, s->ld_sums, rows, 2 * lines,
                       of_rz, D > 0 ? 2 : 1);
            sum_panels(sums_n, ld, start_n + i * s->ld_sums_n + j, s->ld_sums_n, rows, lines, &of_n,
                       D > 0 ? 1 : 0);
            sum_panels(q, ld, start_q + j, 0, rows, lines, &of_q, 1);
            for (ptrdiff_t r = 0; r < rows; r++)
                for (ptrdiff_t p = 0; p < lines; p++) {
                    const ptrdiff_t at = (i + r) * L + j + p * PANEL;
                    finish_gru(gates + at + (GATES - 1) * (i + r) * L, h + at,
                               rz + 2 * r * ld + 2 * p * PANEL, sums_n + r * ld + p * PANEL,
                               q + r * ld + p * PANEL, h_prev + at, L);
                }
        }
    }
}

/* r, z = logistic of W x_t + R m h_{t-1} + b;  sums_n = W x_t + b;  q = R m h_{t-1} + b */
void NAME(gru_forward)(const cbptt_cell_forward *s)
{
    /* two lines have as many panels as an LSTM's gates */
    if (FEW_ROWS(s->n))
        gru_step(s, 4);
    else
        gru_step(s, 2);
}

/* ---- GRU: backward -------------------------------------------------------------------------- */

/* The deltas of a line of units, given dL/dh_t */
static void unwind_gru(real *restrict gates, real *restrict z_dh, const real *restrict dh,
                       const real *restrict h_prev, ptrdiff_t L)
{
    FOR_LINE
    {
        const real n = gates[j], r = gates[L + j], z = gates[2 * L + j], q = gates[3 * L + j];
        /* forward: h_t = (1 - z) n + z h_{t-1} */
        const real dn = tanh_derivative(dh[j] * (1 - z), n);
        gates[2 * L + j] = logistic_derivative(dh[j] * (h_prev[j] - n), z);
        z_dh[j] = dh[j] * z;
        /* forward: n = tanh(sums_n + r q) */
        gates[j] = dn;
        gates[L + j] = logistic_derivative(dn * q, r);
        gates[3 * L + j] = dn * r;
    }
}

void NAME(gru_backward)(const cbptt_cell_backward *s)
{
    const ptrdiff_t L = padded(s->M);
    const real *h_prev = s->h_prev;
    real *gates = s->gates, *z_dh = s->running;
    FOR_UNITS(s, 1, GATES - 1, 1, unwind_gru(line, z_dh + at, dh_r, h_prev + at, L))
}
