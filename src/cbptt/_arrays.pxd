"""The arrays of a task: compared with the network once, at the boundary, and kept."""

from cython cimport floating

from cbptt._network cimport Network
from cbptt._part cimport Given, Wanted


cdef class Arrays:
    cdef:
        Network net
        Given given
        Wanted wanted
        dict kept               # keeps what `given` and `wanted` point to
        bint busy               # a batch is running


cdef int require(
    str name,
    Py_ssize_t rows,
    Py_ssize_t columns,
    Py_ssize_t expected_rows,
    Py_ssize_t expected_columns,
    bint optional=*,
) except -1

cdef int require_idle(Arrays arrays) except -1

cdef int require_given(Arrays arrays, Py_ssize_t itemsize) except -1

cdef int require_labels(
    const floating* weights, Arrays arrays, const Py_ssize_t* ids, Py_ssize_t B
) except -1
