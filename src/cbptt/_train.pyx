"""Batches of sequences: predictions, gradients, and an update after each.

A batch is sorted once and cut into parts, by a rule that does not know who computes them; its loss
and gradient are the sums of its parts', added in their order. So results are the same bits for any
number of threads. A batch has three phases, in each of which the threads of a team share numbered
items: pack the parameters, run the parts, add their gradients slice by slice.

Arrays are compared when a task gets them, see `_arrays`, and the sequences of a batch before it
runs. Nothing below compares again, where all runs without the GIL.
"""

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cython cimport floating
from libc.math cimport isfinite
from libc.string cimport memset

from cbptt._arena cimport (
    Arena, Store, arena_in, comparing, counting, is_complete, release, reserve, take
)
from cbptt._arrays cimport Arrays, require, require_given, require_idle, require_labels
from cbptt._cut cimport Batch, limit_of, measure, parts_of
from cbptt._inputs cimport Inputs
from cbptt._kernels cimport flush_denormals, restore_mode
from cbptt._network cimport BACKWARD, FORWARD, Network, Packed, pack_parameters, place_packed
from cbptt._optimizers cimport Outcome, Update, update_parameters
from cbptt._packing cimport (
    are_within, copy_sequences, count_steps, longest, sort_by_length
)
from cbptt._part cimport Given, Part, place, run_part
from cbptt._team cimport Team

cdef enum Phase:
    PACK, RUN, ADD

cdef enum Failure:
    NONE, NO_MEMORY, OVERRUN, INCOMPLETE, CHANGED

# Entries of theta that are added up over the parts at a time.
cdef Py_ssize_t SLICE = 1 << 16


# ---- work memory ---------------------------------------------------------------------------------

cdef class Memory:
    """Work memory of batches, for one call at a time; it grows where a batch needs more.

    Parameters
    ----------
    n_threads : int
        The most threads that may take part.
    """

    cdef:
        readonly Py_ssize_t n_threads
        Store sequences     # of which sequences a batch has
        Store shared        # of the whole batch
        Store* own          # (n_threads,)  of the part that a thread computes
        bint busy

    def __cinit__(self, Py_ssize_t n_threads):
        if n_threads < 1:
            raise ValueError(f"Memory got n_threads={n_threads}; expected at least 1.")
        self.own = <Store*> PyMem_Calloc(n_threads, sizeof(Store))
        if self.own == NULL:
            raise MemoryError
        self.n_threads = n_threads

    def __dealloc__(self):
        cdef Py_ssize_t thread
        release(&self.sequences)
        release(&self.shared)
        if self.own != NULL:
            for thread in range(self.n_threads):
                release(&self.own[thread])
        PyMem_Free(self.own)

    @property
    def nbytes(self):
        """Bytes that are allocated."""
        cdef Py_ssize_t thread, total = self.sequences.size + self.shared.size
        for thread in range(self.n_threads):
            total += self.own[thread].size
        return total


# ---- one batch -----------------------------------------------------------------------------------

cdef struct Whole:              # what belongs to a batch, and not to one of its parts
    Batch batch
    Py_ssize_t* places          # (T,)  scratch of the sort
    Packed packed
    void* gradients             # (n_parts - 1, P)  of the parts behind the first
    double* losses              # (n_parts, 2)      loss and weight of each


cdef void place_sequences(Batch* batch, Arena* arena) noexcept nogil:
    """The list of what is known of a batch before it is sorted"""
    batch.ids = <Py_ssize_t*> take(arena, batch.B, sizeof(Py_ssize_t))
    batch.starts = <Py_ssize_t*> take(arena, batch.B, sizeof(Py_ssize_t))
    batch.stops = <Py_ssize_t*> take(arena, batch.B, sizeof(Py_ssize_t))


cdef void place_whole(Whole* whole, Arena* arena, Network net) noexcept nogil:
    """The one list of a batch's arrays: run to count them, and again to place them"""
    cdef Batch* batch = &whole.batch
    batch.order = <Py_ssize_t*> take(arena, batch.B, sizeof(Py_ssize_t))
    batch.alive = <Py_ssize_t*> take(arena, batch.T, sizeof(Py_ssize_t))
    whole.places = <Py_ssize_t*> take(arena, batch.T, sizeof(Py_ssize_t))
    place_packed(&whole.packed, arena, net, BACKWARD if batch.backward else FORWARD)
    if batch.backward:
        whole.losses = <double*> take(arena, 2 * batch.n_parts, sizeof(double))
        whole.gradients = take(arena, (batch.n_parts - 1) * net.P, net.itemsize)


cdef class Task(Arrays):
    """Runs batches of some sequences through a network.

    Parameters
    ----------
    network : Network
    memory : Memory
    checkpoint : int, default=0
        Keep the states before every segment of this many steps for the backward pass, instead of
        all; 0 keeps all.

    Notes
    -----
    `cbptt._arrays.set_inputs` and what else is needed come before the first batch.
    """

    cdef:
        Memory memory
        Whole whole             # the batch at hand
        void* gradient          # (P,)  of its first part, and then of it; or NULL: forward only
        const void* theta       # (P,)
        int failure

    def __cinit__(self, Network network, Memory memory, Py_ssize_t checkpoint=0):
        if checkpoint < 0:
            raise ValueError(f"Task got checkpoint={checkpoint}; expected at least 0.")
        self.memory = memory
        self.given.inputs.checkpoint = checkpoint

    def help(self, Team team, Py_ssize_t thread):
        """Take part in the batches that another thread of a team leads, until it is closed.

        Parameters
        ----------
        team : Team
        thread : int from 1 up, no two helpers with the same

        Raises
        ------
        ValueError
            For a team of another task, or a number that is taken or that the team does not have.
        """
        cdef unsigned long long mode
        if (team.task is not self or team.n_threads > self.memory.n_threads
                or not team.enter(thread)):
            raise ValueError(f"cbptt's compiled code got helper {thread} of a team without it.")
        with nogil:
            mode = flush_denormals()
            if self.net.itemsize == sizeof(float):
                work(<const float*> NULL, self, team, thread)
            else:
                work(<const double*> NULL, self, team, thread)
            restore_mode(mode)
        team.leave(thread)


cdef void do_part(
    const floating* kind, Task task, Py_ssize_t item, Team team, Py_ssize_t thread
) noexcept nogil:
    """Run one part in the memory of a thread, which is counted for this part first"""
    cdef:
        Whole* whole = &task.whole
        Store* store = &task.memory.own[thread]
        bint backward = whole.batch.backward
        floating* gradient = NULL
        double* losses = NULL
        Arena arena = counting()
        Part part
    part.batch, part.packed = &whole.batch, &whole.packed
    part.given, part.wanted = &task.given, &task.wanted
    part.layout.extent = measure(&whole.batch, item, task.net.n_directions == 2,
                                 task.given.inputs.checkpoint)
    place(&part, &arena, task.net)
    if not reserve(store, arena.used):
        task.failure = NO_MEMORY
        return
    arena = arena_in(store)
    place(&part, &arena, task.net)
    if not is_complete(&arena):
        task.failure = INCOMPLETE
        return
    if backward:
        losses = whole.losses + 2 * item
        gradient = <floating*> task.gradient
        if item > 0:
            gradient = <floating*> whole.gradients + (item - 1) * task.net.P
    run_part(gradient, losses, &part, <const floating*> task.theta, task.net, team, thread)
    arena = comparing(store)
    place(&part, &arena, task.net)
    if arena.broken:
        task.failure = OVERRUN


cdef void add_parts(const floating* kind, Task task, Py_ssize_t item) noexcept nogil:
    """A slice of the gradient: the sum of all parts', in their order"""
    cdef:
        Py_ssize_t P = task.net.P, part, i
        floating* gradient = <floating*> task.gradient
        const floating* other
    for part in range(task.whole.batch.n_parts - 1):
        other = <const floating*> task.whole.gradients + part * P
        for i in range(item * SLICE, min(P, (item + 1) * SLICE)):
            gradient[i] += other[i]


cdef void work(
    const floating* kind, Task task, Team team, Py_ssize_t thread
) noexcept nogil:
    """Claim items and do them: the leader until the phase has none, the others in all phases"""
    cdef Py_ssize_t item = team.next_item(thread)
    while item >= 0:
        if team.phase == PACK:
            pack_parameters(&task.whole.packed, <const floating*> task.theta, task.net, item)
        elif team.phase == RUN:
            do_part(kind, task, item, team, thread)
        else:
            add_parts(kind, task, item)
        team.done()
        item = team.next_item(thread)


cdef bint lay_out(
    Task task,
    const Py_ssize_t* ids,      # IN  (B,)
    Py_ssize_t B,
    bint backward,
) noexcept nogil:
    """Read a batch once, sort it, cut it into parts, and place its arrays; False: it failed"""
    cdef:
        Whole* whole = &task.whole
        Batch* batch = &whole.batch
        const Inputs* inputs = &task.given.inputs
        Store* store = &task.memory.sequences
        Arena arena = counting()
    batch.B, batch.backward = B, backward
    place_sequences(batch, &arena)
    if not reserve(store, arena.used):
        task.failure = NO_MEMORY
        return False
    arena = arena_in(store)
    place_sequences(batch, &arena)
    if not copy_sequences(batch.ids, batch.starts, batch.stops, ids, B, inputs.starts,
                          inputs.stops, inputs.n, inputs.n_steps):
        task.failure = CHANGED
        return False

    batch.T = longest(batch.starts, batch.stops, B)
    batch.N = count_steps(batch.starts, batch.stops, B)
    batch.n_parts = parts_of(B, batch.N, task.net, backward)
    store = &task.memory.shared
    arena = counting()
    place_whole(whole, &arena, task.net)
    if not reserve(store, arena.used):
        task.failure = NO_MEMORY
        return False
    arena = arena_in(store)
    place_whole(whole, &arena, task.net)
    if not is_complete(&arena):
        task.failure = INCOMPLETE
        return False
    sort_by_length(batch.order, batch.alive, whole.places, batch.starts, batch.stops, B, batch.T)
    batch.limit = limit_of(batch, task.net)
    return True


cdef bint lead(
    const floating* kind,
    Task task,
    Team team,
    const Py_ssize_t* ids,      # IN  (B,)
    Py_ssize_t B,
    bint backward,
) noexcept nogil:
    """Run one batch, as the leader; False: it was stopped, or failed"""
    cdef Py_ssize_t n_parts, n_items, P = task.net.P
    cdef int phase
    cdef Arena arena
    if not lay_out(task, ids, B, backward):
        return False
    n_parts = task.whole.batch.n_parts
    for phase in range(PACK, ADD + 1):
        if phase == ADD and (not backward or n_parts == 1):
            break
        n_items = n_parts
        if phase != RUN:
            n_items = task.net.n_items if phase == PACK else (P + SLICE - 1) // SLICE
        team.publish(phase, n_items, n_parts > 1)
        work(kind, task, team, 0)
        team.join()
        if team.stopped or task.failure != NONE:
            return False
    arena = comparing(&task.memory.shared)
    place_whole(&task.whole, &arena, task.net)
    if arena.broken:
        task.failure = OVERRUN
    arena = comparing(&task.memory.sequences)
    place_sequences(&task.whole.batch, &arena)
    if arena.broken:
        task.failure = OVERRUN
    return task.failure == NONE


# ---- calls ---------------------------------------------------------------------------------------

cdef int require_batch(
    Task task, Team team, const Py_ssize_t[::1] ids, Py_ssize_t n_theta, Py_ssize_t itemsize,
    bint backward,
) except -1:
    """Sequences that lie in the inputs, with a class wherever there is a weight"""
    cdef Given* given = &task.given
    cdef Py_ssize_t n = given.inputs.n, n_steps = given.inputs.n_steps
    require_idle(task)
    require_given(task, itemsize)
    if task.memory.busy:
        raise RuntimeError(
            "cbptt's compiled code got work memory that another thread is using; expected one for "
            "each thread."
        )
    require("theta", n_theta, itemsize, task.net.P, task.net.itemsize)
    if team.task is not task or team.stopped:
        raise ValueError("cbptt's compiled code got a team of another task, or a stopped one.")
    if team.n_threads > task.memory.n_threads:
        raise ValueError(
            f"cbptt's compiled code got a team of {team.n_threads} threads; expected at most "
            f"{task.memory.n_threads}, as the work memory has."
        )
    if ids.shape[0] == 0:
        return 0
    if not are_within(&ids[0], ids.shape[0], given.inputs.starts, given.inputs.stops, n, n_steps):
        raise ValueError(
            f"cbptt's compiled code got sequences that do not lie in their {n_steps} steps; "
            f"expected ids below {n}, and offsets that rise from 0 to {n_steps}."
        )
    if not backward:
        return 0
    if given.targets.weights == NULL or (
            given.targets.values == NULL and given.targets.labels == NULL):
        raise ValueError("cbptt's compiled code got a task without targets.")
    if given.targets.values == NULL:
        if itemsize == sizeof(float):
            require_labels(<const float*> given.targets.weights, task, &ids[0], ids.shape[0])
        else:
            require_labels(<const double*> given.targets.weights, task, &ids[0], ids.shape[0])
    return 0


cdef int begin(Task task, void* gradient, const void* theta) except -1:
    task.busy = task.memory.busy = True
    task.gradient, task.theta, task.failure = gradient, theta, NONE
    return 0


cdef int finish(Task task, Team team) except -1:
    """Leave the task as it was before, and raise what went wrong"""
    task.busy = task.memory.busy = False
    task.gradient, task.theta = NULL, NULL
    team.raise_signal()
    if task.failure == NO_MEMORY:
        raise MemoryError("cbptt could not allocate the work memory of a batch")
    if task.failure == CHANGED:
        raise ValueError("cbptt's compiled code got sequences that were changed while it ran.")
    if task.failure != NONE:
        raise SystemError("cbptt wrote outside of its work memory; please report how")
    return 0


def predict(Team team, Task task, const floating[::1] theta, const Py_ssize_t[::1] ids):
    """Run sequences forward, as the leader of a team; results go where `want_predictions` says.

    Parameters
    ----------
    team : Team
    task : Task
    theta : (P,)
    ids : (m,) which sequences

    Raises
    ------
    ValueError
        For arrays that do not belong together.
    MemoryError
    KeyboardInterrupt, or what else a signal's handler raises
    """
    cdef unsigned long long mode
    require_batch(task, team, ids, theta.shape[0], sizeof(floating), False)
    if ids.shape[0] == 0:
        return
    begin(task, NULL, &theta[0])
    with nogil:
        mode = flush_denormals()
        lead(&theta[0], task, team, &ids[0], ids.shape[0], False)
        team.close_quietly()
        restore_mode(mode)
    finish(task, team)


def compute_gradient(
    Team team,
    Task task,
    floating[::1] gradient,
    const floating[::1] theta,
    const Py_ssize_t[::1] ids,
):
    """Compute the loss and its gradient, summed over one batch, as the leader of a team.

    Parameters
    ----------
    team : Team
    task : Task
    gradient : (P,) overwritten
    theta : (P,)
    ids : (m,) which sequences

    Returns
    -------
    loss_sum, weight_sum : float, float

    Raises
    ------
    As `predict`.
    """
    cdef unsigned long long mode
    cdef double loss = 0, weight_sum = 0
    cdef Py_ssize_t part
    require_batch(task, team, ids, theta.shape[0], sizeof(floating), True)
    require("gradient", gradient.shape[0], 1, task.net.P, 1)
    if ids.shape[0] == 0:
        memset(&gradient[0], 0, gradient.shape[0] * sizeof(floating))
        return 0., 0.
    begin(task, &gradient[0], &theta[0])
    with nogil:
        mode = flush_denormals()
        if lead(&theta[0], task, team, &ids[0], ids.shape[0], True):
            for part in range(task.whole.batch.n_parts):
                loss += task.whole.losses[2 * part]
                weight_sum += task.whole.losses[2 * part + 1]
        team.close_quietly()
        restore_mode(mode)
    finish(task, team)
    return loss, weight_sum


def train(
    Team team,
    Task task,
    floating[::1] theta,
    floating[::1] moment_1,
    floating[::1] moment_2,
    floating[::1] gradient,
    double[::1] totals,
    const Py_ssize_t[::1] ids,
    Py_ssize_t batch_size,
    Update update,
    double learning_rate,
    Py_ssize_t n_updates,
):
    """Update theta once per mini-batch of `ids`, as the leader of a team.

    Parameters
    ----------
    team : Team
    task : Task
    theta, moment_1, moment_2 : (P,) changed in place
    gradient : (P,) overwritten
    totals : (5,) to which is added, one mini-batch after the other, so that sums do not depend on
        how many a call takes: the loss with its penalty, the weights, the gradient's norm before
        clipping, 1 where it was clipped, 1 for each update.
    ids : (m,) which sequences
    batch_size : int
        Sequences of a mini-batch; the last one may have fewer.
    update : Update
    learning_rate : float
    n_updates : int
        Updates before these.

    Returns
    -------
    finite : bool
        Where a loss or a gradient is not finite, its update is not made, finite is False, and
        training ends.

    Raises
    ------
    As `predict`; the update of the mini-batch at work is not made.
    """
    cdef:
        Py_ssize_t first = 0, n, part, P = theta.shape[0]
        double loss, weight_sum
        bint finite = True
        unsigned long long mode
        Outcome outcome
    require_batch(task, team, ids, P, sizeof(floating), True)
    require("gradient", gradient.shape[0], 1, P, 1)
    require("moment_1", moment_1.shape[0], 1, P, 1)
    require("moment_2", moment_2.shape[0], 1, P, 1)
    require("totals", totals.shape[0], 1, 5, 1)
    require("the penalised weights", min(update.n_weights, P), 1, update.n_weights, 1)
    require("batch_size", max(batch_size, 1), 1, batch_size, 1)
    if ids.shape[0] == 0:
        return True
    begin(task, &gradient[0], &theta[0])
    with nogil:
        mode = flush_denormals()
        while first < ids.shape[0] and finite:
            n = min(batch_size, ids.shape[0] - first)
            if not lead(<const floating*> &theta[0], task, team, &ids[first], n, True):
                break
            first += n
            loss = weight_sum = 0
            for part in range(task.whole.batch.n_parts):
                loss += task.whole.losses[2 * part]
                weight_sum += task.whole.losses[2 * part + 1]
            if weight_sum == 0:
                continue
            finite = isfinite(loss)
            if not finite:
                break
            n_updates += 1
            outcome = update_parameters(theta, moment_1, moment_2, gradient, weight_sum, update,
                                        learning_rate, n_updates)
            finite = outcome.finite
            if finite:
                totals[0] += loss + outcome.penalty
                totals[1] += weight_sum
                totals[2] += outcome.norm
                totals[3] += outcome.clipped
                totals[4] += 1
        team.close_quietly()
        restore_mode(mode)
    finish(task, team)
    return finite
