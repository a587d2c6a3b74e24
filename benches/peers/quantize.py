#!/usr/bin/env python3
"""Writes a copy of the built-in detector whose convolutions count in 8-bit integers, to time it: models/examples/net_speed.

  quantize.py PICTURES OUT.onnx      with the packages that `setup` installs for onnxruntime and OpenCV

Static quantisation as onnxruntime does it (QLinearConv, a scale for each channel of the weights), calibrated with 40 pictures of a folder.
Knows the built-in model's file and how its input is scaled; measures nothing.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

MODEL = Path(__file__).parents[2] / "models/weights/volet-1.onnx"
PICTURES = 40
# As models/weights/volet-1.toml has them.
MEAN, SCALE = 127.5, 0.015625


class Pictures(CalibrationDataReader):
    """Pictures of a folder as inputs of the network: 1x3xHxW, RGB."""

    def __init__(self, folder: Path):
        given = onnx.load(MODEL).graph.input[0]
        self.name = given.name
        self.height, self.width = (side.dim_value for side in given.type.tensor_type.shape.dim[2:])
        files = sorted(file for file in folder.rglob("*") if file.suffix in (".jpg", ".png"))[:PICTURES]
        if not files:
            sys.exit(f"{folder}: no .jpg or .png to calibrate with")
        self.files = iter(files)

    def get_next(self):
        file = next(self.files, None)
        if file is None:
            return None
        picture = cv2.resize(cv2.imread(str(file)), (self.width, self.height))
        rgb = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.float32)
        return {self.name: (rgb.transpose(2, 0, 1)[None] - MEAN) * SCALE}


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    quantize_static(
        MODEL,
        sys.argv[2],
        Pictures(Path(sys.argv[1])),
        quant_format=QuantFormat.QOperator,
        per_channel=True,
        op_types_to_quantize=["Conv"],
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
