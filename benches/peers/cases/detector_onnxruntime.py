"""onnxruntime on the ONNX files that Volet runs, on the processor, with all its optimisations."""
from . import detectors
from .detectors import NMS
from .measure import WrongParameter

PARAMETERS = detectors.PARAMETERS
STRIDES = (8, 16, 32)


def at_size(params):
    """The model for one picture of this size. Files name the size that they were exported at; networks of convolutions run at any."""
    import onnx
    path, width, height = params['model'], params['width'], params['height']
    try:
        model = onnx.load(path)
    except Exception as error:  # protobuf has no common class for what a broken file may raise
        raise WrongParameter(f'--param model: {path} is no ONNX file: {error}') from None
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    if len(inputs) != 1 or len(inputs[0].type.tensor_type.shape.dim) != 4:
        raise WrongParameter(f'--param model: {path} does not take one picture')
    dims = inputs[0].type.tensor_type.shape.dim
    given = (dims[3].dim_value, dims[2].dim_value)
    network = detectors.network_of([output.name for output in model.graph.output], params)
    if given != (width, height):
        for dim, size in zip(dims, (1, 3, height, width)):
            dim.dim_value = size
        for output in model.graph.output:
            output.type.tensor_type.ClearField('shape')
        del model.graph.value_info[:]
    return network, inputs[0].name, model.SerializeToString()


class Yunet:
    """Reads boxes off YuNet's outputs as OpenCV's FaceDetectorYN does, a whole stride at a time."""

    def __init__(self, names, width, height, score):
        import numpy
        self.of, self.score = {name: at for at, name in enumerate(names)}, score
        self.cells = {}
        for stride in STRIDES:
            y, x = numpy.mgrid[0:height // stride, 0:width // stride]
            self.cells[stride] = numpy.stack((x.ravel(), y.ravel()), 1).astype(numpy.float32)

    def boxes(self, outputs):
        import cv2
        import numpy
        all_boxes, all_scores = [], []
        for stride, cells in self.cells.items():
            cls, obj, box = (outputs[self.of[f'{name}_{stride}']][0] for name in ('cls', 'obj', 'bbox'))
            scores = numpy.sqrt(numpy.clip(cls[:, 0], 0, 1) * numpy.clip(obj[:, 0], 0, 1))
            sure = scores >= self.score
            box, cells = box[sure], cells[sure]
            centre, size = (cells + box[:, :2]) * stride, numpy.exp(box[:, 2:]) * stride
            all_boxes.append(numpy.concatenate((centre - size / 2, size), 1))
            all_scores.append(scores[sure])
        boxes, scores = numpy.concatenate(all_boxes), numpy.concatenate(all_scores)
        return boxes[cv2.dnn.NMSBoxes(boxes, scores, self.score, NMS)] if len(boxes) else boxes


def run(_, params, report):
    paths = detectors.files(params)
    with report.loading():
        import onnxruntime
    import cv2
    cv2.setNumThreads(params['threads'])
    width, height = params['width'], params['height']
    network, input, model = at_size(params)

    def build():
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = params['threads'], 1
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(model, options, providers=['CPUExecutionProvider'])
        except Exception as error:  # onnxruntime's errors have no common class but this
            raise WrongParameter(f'--param model: onnxruntime does not run {params["model"]}: {error}') from None
        reader = Yunet([output.name for output in session.get_outputs()], width, height, params['score'])
        forward = lambda blob: session.run(None, {input: blob})
        return forward, lambda picture: len(reader.boxes(forward(detectors.blob(picture, network))))

    detectors.measure(params, report, network, paths, build)
