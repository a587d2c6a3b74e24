"""Processor time and memory of this process and all its descendants, alive or waited for, from /proc."""
import os

TICKS = os.sysconf('SC_CLK_TCK')


def _stat(process):
    """Parent, and processor seconds of a process and of those children that it has waited for; None once it is gone."""
    try:
        with open(f'/proc/{process}/stat', encoding='utf-8', errors='replace') as stat:
            # The name, in parentheses, may hold anything.
            fields = stat.read().rpartition(')')[2].split()
    except OSError:
        return None
    return int(fields[1]), sum(map(int, fields[11:15])) / TICKS


def _family():
    """Processor seconds of each living process of the family, by its number."""
    stats = {int(name): _stat(name) for name in os.listdir('/proc') if name.isdigit()}
    stats = {process: stat for process, stat in stats.items() if stat}
    family, more = set(), {os.getpid()}
    while more:
        family |= more
        more = {process for process, (parent, _) in stats.items() if parent in family} - family
    return {process: stats[process][1] for process in family if process in stats}


def cpu():
    """Processor seconds of the family so far."""
    return sum(_family().values())


def memory():
    """Bytes of memory that the family holds, what processes share counted once, and how many processes there are."""
    total, family = 0, _family()
    for process in family:
        try:
            with open(f'/proc/{process}/smaps_rollup', encoding='ascii') as lines:
                total += next(int(line.split()[1]) * 1024 for line in lines if line.startswith('Pss:'))
        except (OSError, StopIteration):
            continue
    return total, len(family)


def pin(processors):
    """Keeps the family, each of its threads, to these processors."""
    for process in _family():
        try:
            for thread in os.listdir(f'/proc/{process}/task'):
                os.sched_setaffinity(int(thread), processors)
        except OSError:
            continue  # it has just ended
