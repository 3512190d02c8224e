"""Talks to an `elfin worker` by the official tritonclient and prints what it saw as JSON.

Usage: client.py HOST:PORT MODEL REPOSITORY
"""

import json
import sys
from pathlib import Path

import numpy as np
import tritonclient.http as http
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2
from tritonclient.utils import InferenceServerException


def infer(client, model, image, binary):
    given = http.InferInput("image", image.shape, "UINT8")
    given.set_data_from_numpy(image, binary_data=binary)
    wanted = [http.InferRequestedOutput("restored", binary_data=binary)]
    return client.infer(model, [given], outputs=wanted, request_id="42")


def refused(call):
    try:
        call()
    except InferenceServerException as error:
        return {"status": error.status(), "message": error.message()}
    return None


def described(path):
    """A configuration, read strictly: an unknown field or enum value is an error."""
    config = text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())
    return {
        "folder": path.parent.name == config.name,
        "backend": config.backend,
        "max_batch_size": config.max_batch_size,
        "input": [[port.name, port.data_type, list(port.dims)] for port in config.input],
        "output": [port.name for port in config.output],
        "max_queue_size": config.dynamic_batching.default_queue_policy.max_queue_size,
        "override": config.dynamic_batching.default_queue_policy.allow_timeout_override,
    }


def main(url, model, repository):
    client = http.InferenceServerClient(url)
    image = np.random.default_rng(7).integers(0, 256, (1, 48, 64, 3), dtype=np.uint8)
    binary, plain = infer(client, model, image, True), infer(client, model, image, False)
    odd = image[:, :47]
    print(
        json.dumps(
            {
                "live": client.is_server_live(),
                "ready": client.is_server_ready(),
                "model_ready": client.is_model_ready(model),
                "missing_ready": client.is_model_ready("no-such-model"),
                "server": client.get_server_metadata(),
                "model": client.get_model_metadata(model),
                "index": client.get_model_repository_index(),
                "same": bool((binary.as_numpy("restored") == plain.as_numpy("restored")).all()),
                "shape": list(binary.as_numpy("restored").shape),
                "id": binary.get_response()["id"],
                "unknown": refused(lambda: infer(client, "no-such-model", image, True)),
                "odd": refused(lambda: infer(client, model, odd, True)),
                "configs": {path.parent.name: described(path) for path in Path(repository).glob("*/config.pbtxt")},
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
