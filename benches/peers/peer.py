#!/usr/bin/env python3
"""Runs one case of one peer once, and says what it cost: the border between `volet bench` and other people's programs.

  peer.py NAME versions                      one JSON object: {"peer", "version", "packages"}
  peer.py NAME CASE [--param KEY=VALUE ...]   JSON lines: {"case", "metric", "unit", "value", "params"}
  peer.py                                     which peers, cases and parameters there are

Standard output holds these lines and nothing else, and only when the case came to its end; what the peers themselves say goes
to standard error. Exit code 0: done. 1: the case failed. 2: wrong arguments. 3: the peer's packages are absent.

Knows the protocol and the names; what is measured is in `cases/`. Nothing here is imported from a peer.
"""
import importlib
import json
import os
import signal
import sys
import traceback
from importlib import metadata

FAILED, WRONG, ABSENT = 1, 2, 3

# Of each peer, the packages that it needs (the first gives its version) and the module of each case.
PEERS = {
    'deface': (('deface', 'opencv-python', 'imageio-ffmpeg'), {'video': 'video'}),
    'onnxruntime': (('onnxruntime', 'onnx', 'opencv-python', 'numpy'), {'detector': 'detector_onnxruntime'}),
    'opencv': (('opencv-python', 'numpy'), {'detector': 'detector_opencv'}),
    'flower': (('flwr', 'ray', 'torch', 'numpy'), {'rounds': 'rounds_flower'}),
    'pfl': (('pfl', 'torch', 'numpy'), {'rounds': 'rounds_pfl'}),
    'torch': (('torch', 'numpy'), {'rounds': 'rounds_torch', 'aggregate': 'aggregate'}),
    'numpy': (('numpy',), {'aggregate': 'aggregate'}),
    'dp_accounting': (('dp-accounting', 'numpy', 'scipy'), {'epsilon': 'epsilon'}),
}


class Stop(BaseException):
    """The end of this run: an exit code, and one line that says why. No `Exception`, so that no peer can catch it."""

    def __init__(self, code, why):
        super().__init__(why)
        self.code = code


def installed(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def versions(name):
    """What of a peer is installed; stops with `ABSENT` if something is missing."""
    packages = {package: installed(package) for package in PEERS[name][0]}
    missing = [package for package, version in packages.items() if version is None]
    if missing:
        raise Stop(ABSENT, f'{name} is not installed (missing: {", ".join(missing)}); run benches/peers/setup {name}')
    return {'peer': name, 'version': packages[PEERS[name][0][0]], 'packages': packages, 'python': sys.version.split()[0]}


def case_module(name, case):
    return importlib.import_module(f'cases.{PEERS[name][1][case]}')


def usage():
    lines = [__doc__.strip(), '']
    for name, (_, cases) in PEERS.items():
        for case in cases:
            lines.append(f'{name} {case}')
            for key, parameter in case_module(name, case).PARAMETERS.items():
                lines.append(f'    {key}={parameter.default_text():<12} {parameter.text}')
    return '\n'.join(lines)


def pairs(words):
    """`--param KEY=VALUE` pairs, as they were typed."""
    given, words = {}, list(words)
    while words:
        flag = words.pop(0)
        if flag.startswith('--param='):
            pair = flag.removeprefix('--param=')
        elif flag == '--param' and words:
            pair = words.pop(0)
        else:
            raise Stop(WRONG, f'{flag!r} is not understood; parameters are given as --param KEY=VALUE')
        key, equals, value = pair.partition('=')
        if not equals or not key:
            raise Stop(WRONG, f'--param {pair!r} has no "="; parameters are given as --param KEY=VALUE')
        if key in given:
            raise Stop(WRONG, f'--param {key} is given twice')
        given[key] = value
    return given


def parameters(known, given):
    """The case's parameters: those that were given, checked, and defaults for the others."""
    for key in given:
        if key not in known:
            raise Stop(WRONG, f'there is no parameter {key!r}; there are: {", ".join(known)}')
    values = {}
    for key, parameter in known.items():
        try:
            values[key] = parameter.read(given.get(key))
        except ValueError as error:
            raise Stop(WRONG, f'--param {key}: {error}') from None
    return values


def own_stdout():
    """Standard output for our lines alone: whoever writes to it from here on, child processes too, writes to standard error."""
    sys.stdout.flush()
    ours = os.fdopen(os.dup(1), 'w', encoding='utf-8')
    os.dup2(2, 1)
    return ours


def run(name, case, words):
    module = case_module(name, case)
    params = parameters(module.PARAMETERS, pairs(words))
    versions(name)
    from cases import measure
    try:
        measure.limit_threads(params['threads'])
        report = measure.Report(case, params)
        module.run(name, params, report)
    except measure.WrongParameter as error:
        raise Stop(WRONG, str(error)) from None
    except measure.Failure as error:
        raise Stop(FAILED, f'{name} {case}: {error}') from None
    except Exception as error:  # whatever a peer may raise
        traceback.print_exc()
        raise Stop(FAILED, f'{name} {case}: {type(error).__name__}: {error}') from None
    return report.end()


def told_to_stop(*_):
    raise Stop(FAILED, 'was told to stop')


def main(words):
    if not words or words[0] in ('-h', '--help'):
        print(usage())
        return
    name, *rest = words
    if name not in PEERS:
        raise Stop(WRONG, f'there is no peer {name!r}; there are: {", ".join(PEERS)}')
    cases = PEERS[name][1]
    if not rest or rest[0] not in ('versions', *cases):
        raise Stop(WRONG, f'{name} needs one of these words after it: versions, {", ".join(cases)}')
    if rest[0] == 'versions':
        if len(rest) > 1:
            raise Stop(WRONG, f'nothing is to follow "versions", but there is {rest[1]!r}')
        print(json.dumps(versions(name)))
        return
    out = own_stdout()
    for line in run(name, rest[0], rest[1:]):
        print(json.dumps(line, allow_nan=False), file=out)
    out.close()


if __name__ == '__main__':
    # So that what was started is ended, too.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, told_to_stop)
    try:
        main(sys.argv[1:])
    except Stop as stop:
        print(f'peer.py: {stop}', file=sys.stderr, flush=True)
        # Not sys.exit: a peer that failed may have left threads that never end.
        os._exit(stop.code)
