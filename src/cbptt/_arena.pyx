"""Work memory that counts itself.

What a part of a batch needs is written down once, as a function that takes its arrays from an
arena. The function is run on an arena that only counts, and again on memory of that many bytes; in
a build that checks it is run a third time, to compare the guards behind the arrays. So no size is
computed in one place and used in another.
"""

from libc.stdint cimport uintptr_t
from libc.stdlib cimport free

cdef extern from "memory.h" nogil:
    enum:
        LINE "CBPTT_LINE"
    void* allocate "cbptt_allocate"(size_t size)
    void mark "cbptt_mark"(void* memory, size_t size)
    void unmark "cbptt_unmark"(void* memory, size_t size)
    bint is_marked "cbptt_is_marked"(const void* memory, size_t size)

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX

# Whether there are guards between the arrays of this build.
CHECKED = GUARD > 0


cdef Arena counting() noexcept nogil:
    """An arena that hands out nothing and counts the bytes"""
    return Arena(base=NULL, size=0, used=0, n_arrays=0, broken=0, mode=COUNT)


cdef Arena arena_in(const Store* store) noexcept nogil:
    """An arena that hands out the memory of a store, from its beginning"""
    unmark(store.base, store.size)
    return Arena(base=store.base, size=store.size, used=0, n_arrays=0, broken=0, mode=HAND_OUT)


cdef Arena comparing(const Store* store) noexcept nogil:
    """An arena that compares the guards behind arrays that were handed out"""
    return Arena(base=store.base, size=store.size, used=0, n_arrays=0, broken=0, mode=COMPARE)


cdef void* take(Arena* arena, Py_ssize_t n, Py_ssize_t itemsize) noexcept nogil:
    """Return the place of n items, at a line's beginning; NULL where there is none for them"""
    cdef Py_ssize_t first = arena.used, end
    if n > (PY_SSIZE_T_MAX // 4 - first) // itemsize:
        arena.used = PY_SSIZE_T_MAX // 4  # more than there can be; and so is what follows
        return NULL
    end = first + n * itemsize
    arena.used = (end + LINE - 1) // LINE * LINE + GUARD
    arena.n_arrays += 1
    if arena.mode == COUNT or arena.used > arena.size:
        return NULL
    if arena.mode == HAND_OUT:
        mark(arena.base + end, arena.used - end)
    elif arena.broken == 0 and not is_marked(arena.base + end, arena.used - end):
        arena.broken = arena.n_arrays
    return arena.base + first


cdef bint is_complete(const Arena* arena) noexcept nogil:
    """Whether there was memory for all arrays"""
    return arena.used <= arena.size


cdef int require_whole(const Arena* arena) except -1:
    """Raise if a guard was found that was written to"""
    if arena.broken:
        raise SystemError(
            f"cbptt wrote beyond array {arena.broken} of its work memory; please report how"
        )
    return 0


cdef bint reserve(Store* store, Py_ssize_t n_bytes) noexcept nogil:
    """Grow a store to at least n_bytes, without keeping its contents; False: there is no memory"""
    if n_bytes <= store.size:
        return True
    release(store)
    store.block = allocate(n_bytes + LINE)
    if store.block == NULL:
        return False
    store.base = <char*> ((<uintptr_t> store.block + LINE - 1) // LINE * LINE)
    store.size = n_bytes
    return True


cdef void release(Store* store) noexcept nogil:
    """Free the memory of a store"""
    unmark(store.base, store.size)
    free(store.block)
    store.block, store.base, store.size = NULL, NULL, 0
