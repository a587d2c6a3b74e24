"""OpenCV's own networks (`cv2.dnn`) on the ONNX files that Volet runs, and its `FaceDetectorYN` for YuNet."""
from . import detectors
from .detectors import NMS
from .measure import Failure, WrongParameter

PARAMETERS = detectors.PARAMETERS
TOP = 5000


def run(_, params, report):
    paths = detectors.files(params)
    with report.loading():
        import cv2
    cv2.setNumThreads(params['threads'])
    path, size = params['model'], (params['width'], params['height'])

    def read():
        try:
            return cv2.dnn.readNetFromONNX(path)
        except cv2.error as error:
            raise WrongParameter(f'--param model: OpenCV does not read {path}: {error}') from None

    outputs = list(read().getUnconnectedOutLayersNames())
    network = detectors.network_of(outputs, params)

    def build():
        net = read()
        finder = cv2.FaceDetectorYN.create(path, '', size, params['score'], NMS, TOP) if network == 'yunet' else None

        def forward(blob):
            net.setInput(blob)
            return net.forward(outputs)

        def detect(picture):
            faces = finder.detect(picture)[1]
            return 0 if faces is None else len(faces)
        return forward, detect

    try:
        detectors.measure(params, report, network, paths, build)
    except cv2.error as error:
        raise Failure(f'OpenCV does not run {path} at {size[0]}x{size[1]}: {error}') from None
