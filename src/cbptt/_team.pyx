"""Threads that share numbered items of work, without the GIL and without spinning.

One thread leads: it publishes a phase of n items, takes part in it and joins it. The others wait
for items of any phase, until the team is closed. Items are claimed one by one, so that a thread
whose core is busy with another program claims fewer. A helper that never starts delays no one: the
leader waits only for claimed items. Idle threads sleep on a lock of Python's, which is a semaphore
or a condition variable of the system.

The leader also checks for signals, so that Ctrl-C takes effect within a mini-batch. If a handler
raises, the team is stopped: the other threads see it and leave their items half done.
"""

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.pythread cimport (
    WAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock,
    PyThread_release_lock, PyThread_type_lock,
)

cdef extern from *:
    """
    #define cbptt_load(p) __atomic_load_n(p, __ATOMIC_SEQ_CST)
    #define cbptt_store(p, v) __atomic_store_n(p, v, __ATOMIC_SEQ_CST)
    #define cbptt_exchange(p, v) __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST)
    #define cbptt_add(p, v) __atomic_add_fetch(p, v, __ATOMIC_SEQ_CST)
    #define cbptt_advance(p, v) \
        __atomic_compare_exchange_n(p, v, *(v) + 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
    """
    long long load_ticket "cbptt_load"(long long*) noexcept nogil
    void store_ticket "cbptt_store"(long long*, long long) noexcept nogil
    bint advance "cbptt_advance"(long long*, long long*) noexcept nogil
    Py_ssize_t load_size "cbptt_load"(Py_ssize_t*) noexcept nogil
    void store_size "cbptt_store"(Py_ssize_t*, Py_ssize_t) noexcept nogil
    Py_ssize_t add_size "cbptt_add"(Py_ssize_t*, Py_ssize_t) noexcept nogil
    int load_flag "cbptt_load"(int*) noexcept nogil
    void store_flag "cbptt_store"(int*, int) noexcept nogil
    int exchange_flag "cbptt_exchange"(int*, int) noexcept nogil

cdef extern from "Python.h":
    int PyErr_CheckSignals() noexcept
    int acquire_for "PyThread_acquire_lock_timed"(
        PyThread_type_lock, long long microseconds, int interruptible) noexcept nogil

cdef:
    double WORK_BETWEEN_CHECKS = 5e8             # operations, some milliseconds
    long long MICROSECONDS_BETWEEN_CHECKS = 50_000

cdef long long ITEM = (<long long> 1 << 32) - 1  # the part of a ticket that is the item's number


cdef class Team:
    """Threads that share out items; thread 0 leads.

    Parameters
    ----------
    n_threads : int, the leader included
    task : object, default=None
        Whose items they share.
    """

    def __cinit__(self, Py_ssize_t n_threads, task=None):
        cdef Py_ssize_t thread
        if n_threads < 1:
            raise ValueError(f"Team got n_threads={n_threads}; expected at least 1.")
        self.n_threads, self.task = n_threads, task
        self.asleep = <int*> PyMem_Calloc(n_threads, sizeof(int))
        self.present = <int*> PyMem_Calloc(n_threads, sizeof(int))
        self.beds = <PyThread_type_lock*> PyMem_Calloc(n_threads, sizeof(PyThread_type_lock))
        if self.asleep == NULL or self.present == NULL or self.beds == NULL:
            raise MemoryError
        for thread in range(n_threads):
            self.beds[thread] = PyThread_allocate_lock()
            if self.beds[thread] == NULL:
                raise MemoryError
            PyThread_acquire_lock(self.beds[thread], WAIT_LOCK)

    def __dealloc__(self):
        cdef Py_ssize_t thread
        if self.beds != NULL:
            for thread in range(self.n_threads):
                if self.beds[thread] != NULL:
                    PyThread_release_lock(self.beds[thread])
                    PyThread_free_lock(self.beds[thread])
        PyMem_Free(self.beds)
        PyMem_Free(self.present)
        PyMem_Free(self.asleep)

    def close(self):
        """Release every thread that waits for items, or starts later."""
        with nogil:
            self.close_quietly()

    # ---- the leader -------------------------------------------------------------------------

    cdef void publish(self, int phase, Py_ssize_t n_items, bint wake) noexcept nogil:
        """Offer the items 0..n_items - 1; all of an earlier phase are done.

        Without wake, sleeping threads are not woken: for items that take too little time.
        """
        cdef Py_ssize_t thread
        cdef long long number = (load_ticket(&self.ticket) >> 32) + 1
        # First a ticket that no item is claimed with, whatever n_items.
        store_ticket(&self.ticket, number << 32 | ITEM)
        store_flag(&self.phase, phase)
        store_size(&self.n_done, 0)
        store_size(&self.n_items, n_items)
        store_ticket(&self.ticket, number << 32)
        for thread in range(1, self.n_threads if wake else 1):
            self._wake(thread)

    cdef void join(self) noexcept nogil:
        """Wait until all items are done; none is left to be claimed."""
        while not self._may_go_on(0):
            self._sleep(0)
            self.listen(0, WORK_BETWEEN_CHECKS)

    cdef void close_quietly(self) noexcept nogil:
        cdef Py_ssize_t thread
        store_flag(&self.closed, 1)
        for thread in range(1, self.n_threads):
            self._wake(thread)

    cdef int raise_signal(self) except -1:
        """Raise what a signal's handler raised while the team was at work."""
        return -1 if self.stopped else 0

    # ---- the helpers ------------------------------------------------------------------------

    cdef bint enter(self, Py_ssize_t thread) noexcept:
        """Let a helper in; False: there is no such number, or one of it is there already."""
        return 0 < thread < self.n_threads and not exchange_flag(&self.present[thread], 1)

    cdef void leave(self, Py_ssize_t thread) noexcept:
        store_flag(&self.present[thread], 0)

    # ---- everyone ---------------------------------------------------------------------------

    cdef void listen(self, Py_ssize_t thread, double work) noexcept nogil:
        """Let the handlers of signals run, after every WORK_BETWEEN_CHECKS operations.

        What one raises stays set in the leader's thread state, until `raise_signal`.
        """
        if thread > 0 or self.stopped:
            return
        self.work += work
        if self.work >= WORK_BETWEEN_CHECKS:
            self.work = 0
            with gil:
                if PyErr_CheckSignals() != 0:
                    store_flag(&self.stopped, 1)

    cdef Py_ssize_t claim(self) noexcept nogil:
        """Return an item that is now the caller's, or -1 where none is left."""
        cdef long long ticket = load_ticket(&self.ticket)
        cdef Py_ssize_t item
        while True:
            # Should n_items be another phase's by now, then the ticket has changed as well.
            item = <Py_ssize_t> (ticket & ITEM)
            if item >= load_size(&self.n_items):
                return -1
            if advance(&self.ticket, &ticket):
                return item

    cdef void done(self) noexcept nogil:
        """Say that a claimed item is done; the last one wakes the leader."""
        if add_size(&self.n_done, 1) == load_size(&self.n_items):
            self._wake(0)

    cdef Py_ssize_t next_item(self, Py_ssize_t thread) noexcept nogil:
        """Return an item that is now the caller's, or -1.

        For the leader -1 means that none is left in this phase, for the others, who wait for one
        of whatever phase, that the team is closed.
        """
        cdef Py_ssize_t item = self.claim()
        while item < 0 and thread > 0 and not load_flag(&self.closed):
            self._sleep(thread)
            item = self.claim()
        return item

    # ---- sleep: a thread waits for a lock that it holds, and is woken by its release -------------

    cdef bint _may_go_on(self, Py_ssize_t thread) noexcept nogil:
        if thread == 0:
            return load_size(&self.n_done) == load_size(&self.n_items)
        return load_flag(&self.closed) or (
            (load_ticket(&self.ticket) & ITEM) < load_size(&self.n_items)
        )

    cdef void _sleep(self, Py_ssize_t thread) noexcept nogil:
        """Sleep until woken, unless what is waited for came while going to bed."""
        store_flag(&self.asleep[thread], 1)
        if self._may_go_on(thread) and exchange_flag(&self.asleep[thread], 0):
            return
        if thread > 0:
            PyThread_acquire_lock(self.beds[thread], WAIT_LOCK)
        elif not acquire_for(self.beds[0], MICROSECONDS_BETWEEN_CHECKS, 0):
            # No thread woke the leader in time; one that is about to has released the bed.
            if not exchange_flag(&self.asleep[0], 0):
                PyThread_acquire_lock(self.beds[0], WAIT_LOCK)

    cdef void _wake(self, Py_ssize_t thread) noexcept nogil:
        if exchange_flag(&self.asleep[thread], 0):
            PyThread_release_lock(self.beds[thread])
