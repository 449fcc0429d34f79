/* The precision a kernel is compiled for (CBPTT_BITS = 32 or 64) and the names it takes. */
#ifndef CBPTT_REAL_H
#define CBPTT_REAL_H

#define CBPTT_JOIN_(stem, isa, bits) cbptt_##stem##_##isa##_f##bits
#define CBPTT_JOIN(stem, isa, bits)  CBPTT_JOIN_(stem, isa, bits)
/* NAME(tanh) is cbptt_tanh_avx2_f32, and so on. */
#define NAME(stem) CBPTT_JOIN(stem, CBPTT_ISA, CBPTT_BITS)

#if CBPTT_BITS == 32
typedef float real;
#else
typedef double real;
#endif

#endif
