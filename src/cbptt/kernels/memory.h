/* Memory for work, and the guards between its arrays.
 *
 * In a checked build (CBPTT_CHECKED) a line of known bytes lies behind each array, which is
 * compared afterwards; with AddressSanitizer touching one ends the process. Elsewhere there is
 * nothing between arrays. */
#ifndef CBPTT_MEMORY_H
#define CBPTT_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

enum { CBPTT_LINE = 64 }; /* bytes of a line of the cache, at which every array begins */

#ifdef __SANITIZE_ADDRESS__

#include <sanitizer/asan_interface.h>
enum { CBPTT_GUARD = CBPTT_LINE };
#define cbptt_mark(memory, size)      ASAN_POISON_MEMORY_REGION(memory, size)
#define cbptt_unmark(memory, size)    ASAN_UNPOISON_MEMORY_REGION(memory, size)
#define cbptt_is_marked(memory, size) ((void)(memory), (void)(size), 1)

#elif defined(CBPTT_CHECKED)

enum { CBPTT_GUARD = CBPTT_LINE, CBPTT_MARK = 0xC5 };
#define cbptt_mark(memory, size)   memset(memory, CBPTT_MARK, size)
#define cbptt_unmark(memory, size) ((void)(memory), (void)(size))
static inline int cbptt_is_marked(const void *memory, size_t size)
{
    const unsigned char *bytes = memory;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != CBPTT_MARK)
            return 0;
    return 1;
}

#else

enum { CBPTT_GUARD = 0 };
#define cbptt_mark(memory, size)      ((void)(memory), (void)(size))
#define cbptt_unmark(memory, size)    ((void)(memory), (void)(size))
#define cbptt_is_marked(memory, size) ((void)(memory), (void)(size), 1)

#endif

/* `size` bytes to be given back to `free`, or NULL. Large blocks lie in huge pages where the system
 * has them, as NumPy's do. */
static inline void *cbptt_allocate(size_t size)
{
    void *block = malloc(size);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (block != NULL && size >= (size_t)1 << 22) {
        const uintptr_t first = ((uintptr_t)block + 4095) / 4096 * 4096;
        madvise((void *)first, size - (first - (uintptr_t)block), MADV_HUGEPAGE);
    }
#endif
    return block;
}

#endif
