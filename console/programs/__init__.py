"""START: programs that we run: each with a deadline, docker through one door, all of what it said kept."""
