#!/usr/bin/env python3
"""Volet beside deface on one clip: processor time, peak memory, leak rate. Interleaved runs, medians.

  compare.py CLIP [--truth TRUTH.json --score score_leak.py] [--runs 3] [--volet PATH] [--hmin 16] [--peer 'deface ...'] [--deface-leak]
             -- VOLET-REDACT-FLAGS...

A peer is a command with {in} and {out}, for example `--peer 'deface {in} -o {out}'`, and is measured for speed and
memory. `--deface-leak` also computes what deface (default, and tuned: `-t .1 --boxes`) covers, with the deface package
of the running Python. Needs Python 3 and numpy.
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


def deface_regions(clip, threshold, shape, out):
    """What deface covers, by its own detector and its own enlargement (1.6 times each side at its mask scale of 1.3)."""
    import cv2
    from deface.centerface import CenterFace
    from deface.deface import scale_bb
    find, film, k, regions = CenterFace(), cv2.VideoCapture(clip), 0, []
    while True:
        ok, frame = film.read()
        if not ok:
            break
        k += 1
        for d in find(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), threshold=threshold)[0]:
            x1, y1, x2, y2 = (int(v) for v in scale_bb(*d[:4].astype(int), 1.3))
            regions.append(dict(image_id=k, bbox=[x1, y1, x2 - x1, y2 - y1], shape=shape))
    json.dump(regions, open(out, 'w'))


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
    p.add_argument('--deface-leak', action='store_true')
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
            if a.truth and a.score and name == 'volet':
                row.update(leak(a.score, a.truth, regions, a.hmin))
            result['rows'][name] = row
        if a.deface_leak:
            for name, threshold, shape in (('deface, default', .2, 'ellipse'), ('deface -t .1 --boxes', .1, 'rect')):
                deface_regions(a.clip, threshold, shape, regions)
                result['rows'].setdefault(name, {}).update(leak(a.score, a.truth, regions, a.hmin))
    print(json.dumps(result, indent=1))


main()
