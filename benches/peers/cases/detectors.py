"""What the detector cases share: their parameters, the pictures, the networks' inputs and outputs, and how they are timed.

Pictures are scaled into the network's input with their shape kept, in the top left corner, the rest black, before any clock
runs. Of every network the time of the network alone is told; of YuNet, which OpenCV has a reader for, also that of all between
a picture of the right size and boxes.
"""
import os

from .measure import THREADS, Failure, Memory, Parameter, WrongParameter, span

PARAMETERS = {
    'model': Parameter(str, 'the ONNX file'),
    'width': Parameter(int, "of the network's input", low=32, high=8192),
    'height': Parameter(int, "of the network's input", low=32, high=8192),
    'images': Parameter(str, 'a folder of pictures'),
    'limit': Parameter(int, 'use at most this many of them, in the order of their names', default=16, low=1, high=10**6),
    'repeats': Parameter(int, 'how often each is searched, after one time that is not counted', default=3, low=1, high=10**5),
    'score': Parameter(float, 'the least score of a box', default=0.3, low=0, high=1),
    'threads': THREADS,
}
NMS = 0.45
KINDS = ('.jpg', '.jpeg', '.png', '.webp', '.bmp')

# Of each network: the name of its input, whether it sees blue first, and what a value v in 0..255 becomes: (v - mean) * scale.
NETWORKS = {
    'yunet': ('input', True, 0.0, 1.0),
    'centerface': ('input.1', False, 0.0, 1.0),
    'ultra-light': ('input', False, 127.0, 1 / 128),
    'volet': ('image', False, 127.5, 1 / 64),
}
# Its anchors are part of the file: at another size OpenCV runs it without a word and gives boxes that mean nothing.
ONLY = {'ultra-light': (320, 240)}


def network_of(outputs, params):
    """Which network has outputs of these names; stops if it is none that is known, or does not run at the size asked for."""
    names, size = set(outputs), (params['width'], params['height'])
    for name, some in (('yunet', {'cls_8', 'obj_8'}), ('centerface', {'537', '538'}), ('ultra-light', {'scores', 'boxes'}), ('volet', {'p8', 'p16'})):
        if some <= names:
            if ONLY.get(name, size) != size:
                raise WrongParameter(f'--param model: {params["model"]} runs at {ONLY[name][0]}x{ONLY[name][1]} only')
            return name
    raise WrongParameter(f'--param model: no network that is known here has the outputs {", ".join(sorted(names))}')


def files(params):
    """The pictures' paths; stops if there are none, or no model."""
    folder = params['images']
    if not os.path.isfile(params['model']):
        raise WrongParameter(f'--param model: there is no file {params["model"]}')
    if not os.path.isdir(folder):
        raise WrongParameter(f'--param images: there is no folder {folder}')
    names = sorted(name for name in os.listdir(folder) if name.lower().endswith(KINDS))[:params['limit']]
    if not names:
        raise WrongParameter(f'--param images: there is no picture in {folder}')
    return [os.path.join(folder, name) for name in names]


def pictures(paths, width, height):
    """Pictures at the input's size: rows, columns, and blue, green, red."""
    import cv2
    import numpy
    scaled = []
    for path in paths:
        picture = cv2.imread(path, cv2.IMREAD_COLOR)
        if picture is None:
            raise Failure(f'{path} is no picture that OpenCV reads')
        factor = min(width / picture.shape[1], height / picture.shape[0])
        size = (max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor)))
        input = numpy.zeros((height, width, 3), numpy.uint8)
        input[:size[1], :size[0]] = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
        scaled.append(input)
    return scaled


def blob(picture, network):
    """A picture as the network takes it: one picture, channel by channel, float32."""
    import cv2
    _, blue_first, mean, scale = NETWORKS[network]
    return cv2.dnn.blobFromImage(picture, scale, (picture.shape[1], picture.shape[0]), (mean, mean, mean), swapRB=not blue_first)


def timed(report, what, work, inputs, repeats):
    """Runs `work` over all inputs: once without a clock, then `repeats` times with one. Returns what the first pass gave."""
    first = [work(input) for input in inputs]
    with span() as taken:
        for _ in range(repeats):
            for input in inputs:
                work(input)
    report.add(f'{what}_wall', 's', taken.wall / (repeats * len(inputs)))
    report.add(f'{what}_cpu', 's', taken.cpu / (repeats * len(inputs)))
    return first


def measure(params, report, network, paths, build):
    """Times the network alone, on what `blob` makes of the pictures; then, for YuNet, all between picture and boxes.

    `build` makes the two: a function of a blob, and one of a picture that tells how many boxes there are.
    """
    report.note(network=network, pictures=len(paths))
    scaled = pictures(paths, params['width'], params['height'])
    blobs = [blob(picture, network) for picture in scaled]
    memory = Memory()
    with report.loading():
        forward, detect = build()
    timed(report, 'network', forward, blobs, params['repeats'])
    if network == 'yunet':
        boxes = timed(report, 'detect', detect, scaled, params['repeats'])
        report.add('boxes_per_picture', '1', sum(boxes) / len(boxes))
    report.add('memory_growth', 'B', memory.growth())
