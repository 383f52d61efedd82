"""time_command.py COUNT WORD…: runs a command COUNT times, one after another, and prints the microseconds of each as JSON."""

import json
import os
import sys
import time

count, command = int(sys.argv[1]), sys.argv[2:]
times = []
for _ in range(count):
    before = time.perf_counter_ns()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status = os.waitpid(pid, 0)
    times.append((time.perf_counter_ns() - before) / 1000)
    if status:
        sys.exit(f"{' '.join(command)} ended with {status}")
print(json.dumps(times))
