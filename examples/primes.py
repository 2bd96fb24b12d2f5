#!/usr/bin/env python3
"""Counts primes, twice: alone, and with two processes that share the work."""
import multiprocessing
import os
import sys


def primes(lo, hi):
    return sum(all(n % d for d in range(2, int(n**0.5) + 1)) for n in range(max(lo, 2), hi))


if __name__ == "__main__":
    limit = int(sys.argv[1]) if len(sys.argv) > 1 else 20000
    print(f"Python {sys.version.split()[0]}, pid {os.getpid()}, on a kernel of our own")
    print(f"{primes(0, limit)} primes below {limit}")
    half = limit // 2
    with multiprocessing.Pool(2) as pool:
        parts = pool.starmap(primes, [(0, half), (half, limit)])
    print(f"{parts[0]} + {parts[1]} = {sum(parts)}, counted by two processes")
