/* Gaps between the arrays of a block of work memory: with AddressSanitizer, touching one ends the
 * process; elsewhere there are none. */
#ifndef CBPTT_GUARD_H
#define CBPTT_GUARD_H

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
enum { CBPTT_GAP = 64 }; /* bytes */
#define cbptt_forbid(memory, size) ASAN_POISON_MEMORY_REGION(memory, size)
#else
enum { CBPTT_GAP = 0 };
#define cbptt_forbid(memory, size) ((void)(memory), (void)(size))
#endif

#endif
