"""time_command.py COUNT PAUSE WORD…: runs a command COUNT times, PAUSE milliseconds apart, and prints the microseconds of each as JSON."""

import json
import os
import sys
import time

count, pause, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
times = []
for _ in range(count):
    before = time.perf_counter_ns()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status = os.waitpid(pid, 0)
    times.append((time.perf_counter_ns() - before) / 1000)
    if status:
        sys.exit(f"{' '.join(command)} ended with {status}")
    time.sleep(pause / 1000)
print(json.dumps(times))
