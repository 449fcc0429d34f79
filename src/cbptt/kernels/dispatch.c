/* Which instruction sets were compiled, and which of them this processor runs; its mode of taking
 * numbers too small to be normal. */
#include "kernels.h"

#include <string.h>

#define DECLARE(isa)                                                                               \
    extern const cbptt_table_f32 cbptt_table_##isa##_f32;                                          \
    extern const cbptt_table_f64 cbptt_table_##isa##_f64;
#define KERNELS(isa) {#isa, &cbptt_table_##isa##_f32, &cbptt_table_##isa##_f64}

#ifdef CBPTT_HAVE_AVX512
DECLARE(avx512)
#endif
#ifdef CBPTT_HAVE_AVX2
DECLARE(avx2)
#endif
DECLARE(base)

/* Widest first. */
static const cbptt_kernels compiled[] = {
#ifdef CBPTT_HAVE_AVX512
    KERNELS(avx512),
#endif
#ifdef CBPTT_HAVE_AVX2
    KERNELS(avx2),
#endif
    KERNELS(base),
};

static int runs_here(const char *isa)
{
#ifdef CBPTT_HAVE_AVX512
    if (strcmp(isa, "avx512") == 0)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
#endif
#ifdef CBPTT_HAVE_AVX2
    if (strcmp(isa, "avx2") == 0)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return strcmp(isa, "base") == 0;
}

const cbptt_kernels *cbptt_choose(const char *isa)
{
    for (size_t i = 0; i < sizeof compiled / sizeof compiled[0]; i++)
        if ((isa == NULL || strcmp(isa, compiled[i].isa) == 0) && runs_here(compiled[i].isa))
            return &compiled[i];
    return NULL;
}

/* ---- denormals ------------------------------------------------------------------------------ */

#if defined(__x86_64__) || defined(__SSE__)
#include <xmmintrin.h>

#define FLUSH_TO_ZERO      (1u << 15)
#define DENORMALS_ARE_ZERO (1u << 6)

unsigned long long cbptt_flush_denormals(void)
{
    const unsigned mode = _mm_getcsr();
    _mm_setcsr(mode | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO);
    return mode;
}

void cbptt_restore_mode(unsigned long long mode)
{
    _mm_setcsr((unsigned)mode);
}

#elif defined(__aarch64__)

#define FLUSH_TO_ZERO (1ull << 24) /* inputs and results */

unsigned long long cbptt_flush_denormals(void)
{
    unsigned long long mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    __asm__ volatile("msr fpcr, %0" : : "r"(mode | FLUSH_TO_ZERO));
    return mode;
}

void cbptt_restore_mode(unsigned long long mode)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(mode));
}

#else

unsigned long long cbptt_flush_denormals(void)
{
    return 0;
}

void cbptt_restore_mode(unsigned long long mode)
{
    (void)mode;
}

#endif
