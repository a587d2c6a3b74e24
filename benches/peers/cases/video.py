"""deface: a video in, a redacted video out, by its command as a user types it; a process of its own.

Its start is part of the run, as it is of a user's wait; `load_wall` and `load_cpu` are those of a run that does nothing else.
"""
import os
import shutil
import subprocess
import sys
import time

from .measure import THREADS, Failure, Parameter, WrongParameter

PARAMETERS = {
    'file': Parameter(str, 'the video'),
    'out': Parameter(str, 'where the redacted video goes; it is replaced'),
    'backend': Parameter(('opencv', 'onnxrt', 'auto'), 'what runs its network: opencv, as `pip install deface` leaves it, onnxrt or auto', default='opencv'),
    'thresh': Parameter(float, "its detector's threshold", default=0.2, low=0, high=1),
    'boxes': Parameter(('no', 'yes'), 'cover boxes instead of ellipses', default='no'),
    'scale': Parameter(str, 'search at this size, as in 640x360', required=False),
    'threads': THREADS,
}


class Cost:
    """What a process and its children took. Memory is that of the one process among them which held most."""

    def __init__(self, command):
        start = time.perf_counter()
        # Its standard output and standard error are ours: standard error.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        self.wall, self.cpu, self.memory = time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
        if process.returncode:
            raise Failure(f'{" ".join(command)} ended with {process.returncode}')


def frames_of(path):
    import imageio_ffmpeg
    try:
        return imageio_ffmpeg.count_frames_and_secs(path)[0]
    except (RuntimeError, OSError, ValueError) as error:
        raise Failure(f'{path} is no video that ffmpeg reads: {str(error).strip().splitlines()[-1]}') from None


def run(_, params, report):
    source, out = params['file'], params['out']
    if not os.path.isfile(source):
        raise WrongParameter(f'--param file: there is no file {source}')
    if os.path.exists(out) and os.path.samefile(source, out):
        raise WrongParameter('--param out: is the input; name another file')
    if not os.path.isdir(os.path.dirname(os.path.abspath(out))):
        raise WrongParameter(f'--param out: the folder of {out} does not exist')
    frames = frames_of(source)
    if os.path.exists(out):
        os.remove(out)
    own = os.path.join(os.path.dirname(sys.executable), 'deface')
    program = [own] if os.path.exists(own) else [shutil.which('deface') or 'deface']
    start = Cost(program + ['--version'])
    command = program + [source, '-o', out, '--backend', params['backend'], '--thresh', str(params['thresh'])]
    command += ['--boxes'] if params['boxes'] == 'yes' else []
    command += ['--scale', params['scale']] if params['scale'] else []
    whole = Cost(command)
    # deface says what went wrong and ends with 0 all the same.
    written = frames_of(out) if os.path.exists(out) else 0
    if written != frames:
        raise Failure(f'{frames} frames went in and {written} came out')
    report.note(frames=frames)
    report.load_more(start.wall, start.cpu)
    report.add('wall', 's', whole.wall)
    report.add('cpu', 's', whole.cpu)
    report.add('wall_per_frame', 's', whole.wall / frames)
    report.add('cpu_per_frame', 's', whole.cpu / frames)
    report.add('frames_per_cpu_second', '1/s', frames / whole.cpu)
    report.add('peak_memory', 'B', whole.memory)
