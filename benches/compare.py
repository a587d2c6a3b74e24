#!/usr/bin/env python3
"""Volet beside deface on one clip: processor time, peak memory, leak rate. Interleaved runs, medians.

  compare.py CLIP [--truth TRUTH.json --score score_leak.py] [--runs 3] [--volet PATH] [--hmin 16] [--peer 'deface ...']
             -- VOLET-REDACT-FLAGS...

A peer is a command with {in} and {out}; the default is `deface {in} -o {out}`. Its covered regions are read off its
output (pixels that differ from the input), since it has no way to tell. Needs Python 3 and numpy; opencv for the peer's
leak rate.
"""
import argparse, json, os, resource, shutil, statistics, subprocess, sys, tempfile, time


def measure(command):
    """Processor seconds, wall seconds and peak resident bytes of one run."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command} failed: {process.stderr.read().decode()[-2000:]}")
    return usage.ru_utime + usage.ru_stime, time.time() - start, usage.ru_maxrss * 1024


def frames_of(clip):
    out = subprocess.check_output(['ffprobe', '-v', 'error', '-count_packets', '-select_streams', 'v:0', '-show_entries',
                                   'stream=nb_read_packets,width,height', '-of', 'json', clip])
    stream = json.loads(out)['streams'][0]
    return int(stream['nb_read_packets']), stream['width'], stream['height']


def masks_of(before, after, folder):
    """Writes masks of what `after` changed, as PNGs by frame."""
    import cv2, numpy as np
    a, b, k = cv2.VideoCapture(before), cv2.VideoCapture(after), 0
    while True:
        (ok_a, x), (ok_b, y) = a.read(), b.read()
        if not (ok_a and ok_b):
            return k
        d = np.abs(x.astype(np.int16) - y).max(2)
        # Coding noise is small and everywhere; a mask is large and dense.
        m = (cv2.blur((d > 24).astype(np.float32), (9, 9)) > .25).astype(np.uint8) * 255
        cv2.imwrite(os.path.join(folder, f'{k:06d}.png'), cv2.dilate(m, np.ones((5, 5), np.uint8)))
        k += 1


def leak(score, truth, redaction, hmin):
    out = subprocess.check_output([sys.executable, score, truth, redaction, '--hmin', str(hmin)])
    o = json.loads(out)
    return dict(leak_rate=o['ellipse']['leak_rate'], leak_rate_box=o['box']['leak_rate'], track_leak=o['ellipse']['track_leak'],
                over_redaction=o['over_redaction'])


def main():
    own = sys.argv[1:]
    flags = own[own.index('--') + 1:] if '--' in own else []
    own = own[:own.index('--')] if '--' in own else own
    p = argparse.ArgumentParser(); p.add_argument('clip'); p.add_argument('--truth'); p.add_argument('--score')
    p.add_argument('--runs', type=int, default=3); p.add_argument('--volet', default='target/release/volet')
    p.add_argument('--hmin', type=float, default=16); p.add_argument('--peer', action='append', default=[])
    a = p.parse_args(own)
    frames, width, height = frames_of(a.clip)
    result = dict(clip=os.path.basename(a.clip), frames=frames, size=f'{width}x{height}', flags=flags, rows={})
    with tempfile.TemporaryDirectory() as tmp:
        regions, peer_out = os.path.join(tmp, 'regions.json'), os.path.join(tmp, 'peer.mp4')
        commands = {'volet': [a.volet, 'redact', a.clip, '--out', os.path.join(tmp, 'out'), '--regions', regions] + flags}
        for peer in a.peer:
            commands[peer] = [w.format(**{'in': a.clip, 'out': peer_out}) for w in peer.split()]
        samples = {name: [] for name in commands}
        for _ in range(a.runs):
            for name, command in commands.items():
                shutil.rmtree(os.path.join(tmp, 'out'), ignore_errors=True)
                samples[name].append(measure(command))
        for name in commands:
            cpu, wall, memory = (statistics.median(s[i] for s in samples[name]) for i in range(3))
            row = dict(frames_per_cpu_second=round(frames / cpu, 2), wall_s=round(wall, 2), peak_mb=round(memory / 1e6, 1))
            if a.truth and a.score:
                if name == 'volet':
                    row.update(leak(a.score, a.truth, regions, a.hmin))
                else:
                    measure(commands[name])
                    folder = os.path.join(tmp, 'masks'); os.makedirs(folder, exist_ok=True)
                    masks_of(a.clip, peer_out, folder)
                    row.update(leak(a.score, a.truth, folder, a.hmin)); shutil.rmtree(folder)
            result['rows'][name] = row
    print(json.dumps(result, indent=1))


main()
