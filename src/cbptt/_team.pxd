"""Threads that share out numbered items of work."""

from cpython.pythread cimport PyThread_type_lock


cdef class Team:
    cdef:
        readonly Py_ssize_t n_threads
        readonly object task        # whose items they share
        long long ticket            # the phase's number << 32 | the next item
        Py_ssize_t n_items
        Py_ssize_t n_done
        int phase
        readonly int closed         # whether there is nothing to come for any more
        int stopped                 # whether a signal's handler has raised
        double work                 # of the leader's since it listened
        int* asleep                 # (n_threads,)
        int* present                # (n_threads,) whether a helper of the number is there
        PyThread_type_lock* beds    # (n_threads,)

    cdef bint enter(self, Py_ssize_t thread) noexcept
    cdef void leave(self, Py_ssize_t thread) noexcept
    cdef void publish(self, int phase, Py_ssize_t n_items, bint wake) noexcept nogil
    cdef Py_ssize_t claim(self) noexcept nogil
    cdef void done(self) noexcept nogil
    cdef void join(self) noexcept nogil
    cdef Py_ssize_t next_item(self, Py_ssize_t thread) noexcept nogil
    cdef void close_quietly(self) noexcept nogil
    cdef void listen(self, Py_ssize_t thread, double work) noexcept nogil
    cdef int raise_signal(self) except -1
    cdef void _sleep(self, Py_ssize_t thread) noexcept nogil
    cdef void _wake(self, Py_ssize_t thread) noexcept nogil
    cdef bint _may_go_on(self, Py_ssize_t thread) noexcept nogil
