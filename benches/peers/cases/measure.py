"""Clocks, memory and threads of a case, and the lines that it reports. Knows no peer."""
import contextlib
import math
import os
import time


class WrongParameter(Exception):
    """Parameters that are fine one by one but not here: exit code 2."""


class Failure(Exception):
    """The case could not come to its end: exit code 1."""


class Parameter:
    """A parameter of a case: its kind (`int`, `float`, `str`, or a tuple of words), bounds, and default; none means required."""

    def __init__(self, kind, text, default=None, low=None, high=None, required=True):
        self.kind, self.text, self.default, self.low, self.high = kind, text, default, low, high
        self.required = required and default is None

    def default_text(self):
        if self.default is not None:
            return str(self.default)
        return '(needed)' if self.required else '(none)'

    def read(self, given):
        if given is None:
            if self.required:
                raise ValueError(f'is needed: {self.text}')
            return self.default
        if isinstance(self.kind, tuple):
            if given not in self.kind:
                raise ValueError(f'{given!r} is none of {", ".join(self.kind)}')
            return given
        if self.kind is str:
            if not given:
                raise ValueError('is empty')
            return given
        try:
            value = self.kind(given)
        except ValueError:
            raise ValueError(f'{given!r} is no {"whole " if self.kind is int else ""}number') from None
        if not math.isfinite(value) or (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            low, high = ('' if bound is None else f'{bound:g}' for bound in (self.low, self.high))
            raise ValueError(f'{given} is not between {low or "anything"} and {high or "anything"}')
        return value


THREADS = Parameter(int, 'how many threads, and as many processors', default=1, low=1, high=1024)


# The processors that we may use, before `limit_threads`.
ALLOWED = sorted(os.sched_getaffinity(0))


def limit_threads(count):
    """Keeps this process and its children to `count` processors and tells the libraries, before they are loaded."""
    if count > len(ALLOWED):
        raise WrongParameter(f'--param threads: {count} threads, but this process may use {len(ALLOWED)} processors')
    os.sched_setaffinity(0, ALLOWED[:count])
    for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS', 'NUMEXPR_NUM_THREADS', 'OPENCV_FOR_THREADS_NUM'):
        os.environ[name] = str(count)


class Span:
    """Seconds that something took: on the wall, and of all processors by this process."""

    wall = cpu = 0.0


@contextlib.contextmanager
def span():
    taken, wall, cpu = Span(), time.perf_counter(), time.process_time()
    try:
        yield taken
    finally:
        taken.wall, taken.cpu = time.perf_counter() - wall, time.process_time() - cpu


def _status(process, key):
    """A figure in bytes of /proc/PROCESS/status."""
    with open(f'/proc/{process}/status', encoding='utf-8', errors='replace') as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key + ':'))


class Memory:
    """How much memory this process holds, and by how much that grows at most from here on."""

    def __init__(self):
        # Makes the kernel forget the largest size so far.
        with open('/proc/self/clear_refs', 'w', encoding='ascii') as refs:
            refs.write('5')
        self.before = _status('self', 'VmRSS')

    @staticmethod
    def peak():
        return _status('self', 'VmHWM')

    def growth(self):
        return max(0, self.peak() - self.before)


class Report:
    """The lines of one run."""

    def __init__(self, case, params):
        self._case, self._lines, self._load = case, [], Span()
        self._params = {key: value for key, value in params.items() if value is not None}

    def note(self, **more):
        """Adds to the parameters of all lines that follow."""
        self._params.update(more)

    @contextlib.contextmanager
    def loading(self):
        """Around what a peer costs before it works: imports, models, set-up. All such times are added up."""
        with span() as taken:
            yield
        self._load.wall += taken.wall
        self._load.cpu += taken.cpu

    def load_more(self, wall, cpu):
        """Adds to the time of loading what was measured otherwise."""
        self._load.wall += wall
        self._load.cpu += cpu

    def add(self, metric, unit, value, **more):
        value = value if isinstance(value, int) else float(value)
        if not math.isfinite(value):
            raise Failure(f'{metric} came out as {value}')
        self._lines.append({'case': self._case, 'metric': metric, 'unit': unit, 'value': value, 'params': {**self._params, **more}})

    def end(self):
        """All lines, those of loading last."""
        self.add('load_wall', 's', self._load.wall)
        self.add('load_cpu', 's', self._load.cpu)
        return self._lines
