"""Runs onnx.checker, with strict shape inference, over emitted models, and lists their operators.

    node --conditions=@elfin/source test/conformance/emit-all.ts DIR
    python test/conformance/check_onnx.py DIR/*.onnx
"""

import sys
from collections import Counter

import onnx

failed = 0
for path in sys.argv[1:]:
    model = onnx.load(path)
    try:
        onnx.checker.check_model(model, full_check=True)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        verdict = "clean"
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        failed += 1
        verdict = f"FAILED: {error}"
    foreign = {node.domain for node in model.graph.node} - {""}
    if foreign:
        failed += 1
        verdict = f"FAILED: operators outside the standard: {foreign}"
    kinds = len(Counter(node.op_type for node in model.graph.node))
    print(f"{path}: {verdict} (opset {model.opset_import[0].version}, {len(model.graph.node)} nodes of {kinds} kinds)")
if not sys.argv[1:]:
    sys.exit("Name the models to check.")
print(f"{len(sys.argv) - 1 - failed} clean, {failed} failed")
sys.exit(1 if failed else 0)
