"""Pages of two megabytes, which Envoy's allocator would make of small ones while requests wait."""

from __future__ import annotations

import ctypes

_PR_SET_THP_DISABLE = 41
"""Source: https://man7.org/linux/man-pages/man2/PR_SET_THP_DISABLE.2const.html"""


def refuse_huge_pages() -> None:
    """Has the kernel give none to this process, nor to those that it starts.

    After memory has grown, the allocator's own thread copies pages together for a tenth of a second, in which nobody
    else's memory may change: requests waited for up to 40 ms. Without them nothing is slower (docs/performance.md).
    """
    ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)
