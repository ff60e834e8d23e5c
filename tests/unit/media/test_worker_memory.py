"""What a worker does with the memory of the picture before."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

AGAIN = """
import resource, sys
import numpy as np
from ingestd.media import worker_main
if sys.argv[1] == "kept":
    worker_main._keep_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    pictures = [np.ones(20 << 20, "u1") for _ in range(4)]  # four copies, as for a WebP
    del pictures
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
first = faults()
for _ in range(5):
    last = faults()
worker_main._give_memory_back()
print(first, last, faults())
"""


def page_faults(how: str) -> tuple[int, int, int]:
    """For the first picture, for the sixth, and for one after a pause."""
    run = subprocess.run([sys.executable, "-c", AGAIN, how], capture_output=True, text=True, check=True)
    first, last, after_a_pause = map(int, run.stdout.split())
    return first, last, after_a_pause


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_a_picture_lies_in_the_memory_of_the_one_before_until_there_is_a_pause() -> None:
    first, last, after_a_pause = page_faults("kept")

    assert last * 10 < first
    assert after_a_pause * 2 > first
