"""Work memory: arrays side by side, in memory that grows to what a batch needs."""

cdef extern from "memory.h" nogil:
    enum:
        GUARD "CBPTT_GUARD"  # bytes behind each array; 0 unless the build checks them


cdef enum Mode:
    COUNT, HAND_OUT, COMPARE


cdef struct Arena:
    char* base           # where arrays lie, at a line's beginning
    Py_ssize_t size      # bytes there are
    Py_ssize_t used      # bytes that the arrays so far take
    Py_ssize_t n_arrays
    Py_ssize_t broken    # COMPARE: the first array whose guard was written to, from 1; or 0
    Mode mode


cdef struct Store:
    void* block          # as it was allocated
    char* base           # the first line in it
    Py_ssize_t size      # bytes from there


cdef Arena counting() noexcept nogil
cdef Arena arena_in(const Store* store) noexcept nogil
cdef Arena comparing(const Store* store) noexcept nogil
cdef void* take(Arena* arena, Py_ssize_t n, Py_ssize_t itemsize) noexcept nogil
cdef bint is_complete(const Arena* arena) noexcept nogil
cdef int require_whole(const Arena* arena) except -1
cdef bint reserve(Store* store, Py_ssize_t n_bytes) noexcept nogil
cdef void release(Store* store) noexcept nogil
