"""Serves every model of a Triton model repository by a real Triton (nvidia-pytriton), ONNX Runtime in its Python backend.

Usage: serve.py REPOSITORY PORT. Prints READY. SIGTERM stops Triton too, which it would otherwise orphan.
"""

import pathlib
import signal
import sys
import tempfile

import numpy as np
import onnxruntime
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

DTYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}


def tensors(ports):
    sides = lambda shape: tuple(side if isinstance(side, int) else -1 for side in shape)
    return [Tensor(name=port.name, dtype=DTYPES[port.type], shape=sides(port.shape)) for port in ports]


def callback(session, outputs):
    def infer(requests):
        return [
            dict(zip(outputs, session.run(outputs, {name: np.ascontiguousarray(value) for name, value in request.items()})))
            for request in requests
        ]

    return infer


def main(repository, port):
    config = TritonConfig(http_address="127.0.0.1", http_port=port, allow_grpc=False, allow_metrics=False)
    # PyTriton names sockets after models, and a socket's path holds at most 107 bytes.
    workspace = pathlib.Path(tempfile.mkdtemp(prefix="t", dir="/tmp")) / "w"
    with Triton(config=config, workspace=workspace) as triton:
        for path in sorted(pathlib.Path(repository).glob("*/1/model.onnx")):
            session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
            outputs = [port.name for port in session.get_outputs()]
            triton.bind(
                model_name=path.parent.parent.name,
                infer_func=callback(session, outputs),
                inputs=tensors(session.get_inputs()),
                outputs=tensors(session.get_outputs()),
                config=ModelConfig(batching=False),
            )
        signal.signal(signal.SIGTERM, lambda *_: triton.stop())
        triton.run()
        print("READY", flush=True)
        triton.serve()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
