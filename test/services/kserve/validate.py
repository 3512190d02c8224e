"""Holds a manifest on standard input against KServe's published OpenAPI types: every name known, every value of its type.

Prints a JSON list of what is wrong, as `path: reason`; empty where nothing is.
"""

import importlib.util
import json
import re
import sys
import types

import kubernetes.client.models
import yaml

# The package itself imports a whole model server; its types need none of that.
package = types.ModuleType("kserve")
package.__path__ = list(importlib.util.find_spec("kserve").submodule_search_locations)
sys.modules["kserve"] = package

import kserve.models  # noqa: E402

PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float), "object": object}


def class_of(name):
    for module in (kserve.models, kubernetes.client.models):
        if hasattr(module, name):
            return getattr(module, name)
    # Kinds that the API server takes as any mapping or scalar, such as quantities.
    return None


def faults(value, kind, path):
    inner = re.fullmatch(r"list\[(.+)\]", kind)
    if inner:
        if not isinstance(value, list):
            return [f"{path}: not a list"]
        return [fault for i, item in enumerate(value) for fault in faults(item, inner[1], f"{path}[{i}]")]
    inner = re.fullmatch(r"dict\(str, (.+)\)", kind)
    if inner:
        if not isinstance(value, dict):
            return [f"{path}: not a mapping"]
        return [fault for name, item in value.items() for fault in faults(item, inner[1], f"{path}.{name}")]
    if kind in PLAIN:
        # YAML's true is an int to Python, and no number to Kubernetes.
        fits = isinstance(value, PLAIN[kind]) and (kind in ("bool", "object") or not isinstance(value, bool))
        return [] if fits else [f"{path}: {value!r} is not {kind}"]
    known = class_of(kind)
    if known is None:
        return []
    if not isinstance(value, dict):
        return [f"{path}: not a mapping"]
    names = {json_name: name for name, json_name in known.attribute_map.items()}
    found = [f"{path}.{name}: unknown to {kind}" for name in value if name not in names]
    for name, item in value.items():
        if name in names:
            found += faults(item, known.openapi_types[names[name]], f"{path}.{name}")
    try:
        known(**{names[name]: item for name, item in value.items() if name in names})
    except ValueError as error:
        found.append(f"{path}: {error}")
    return found


manifest = yaml.safe_load(sys.stdin)
print(json.dumps(faults(manifest, "V1beta1InferenceService", "")))
