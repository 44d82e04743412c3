"""OpenVINO for real, in a virtual environment of its own: another provider runs the graphs, and says so."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edge_potion.exporters.make_golden import golden_of
from edge_potion.golden import check_parity

from ..peers import run_in_peer

pytestmark = pytest.mark.peers

SCRIPT = """
import json, sys
import numpy as np
from edge_potion import EdgeModel, EdgePotionError, providers
folder, out = sys.argv[1:]
texts = json.load(open(folder + "/golden.json"))["texts"]
found, said = {}, {"available": providers.available(), "auto": EdgeModel.from_pretrained(folder).provider}
for graph in ("bag", "tokens"):
    for precision in ("int8", "float16", "float32"):
        model = EdgeModel.from_pretrained(folder, provider="openvino", graph=graph, precision=precision)
        found[f"{graph} {precision}"] = model.encode(texts)
        said[f"{graph} {precision}"] = {"ran": model.provider, "elsewhere": dict(model.elsewhere)}
        assert model.encode([]).shape == (0, model.dim) and not model.encode(["", ""]).any()
try:
    EdgeModel.from_pretrained(folder, provider="cuda")
except EdgePotionError as error:
    said["cuda"] = str(error)
try:
    EdgeModel.from_pretrained(folder, provider="openvino", graph="text")
except EdgePotionError as error:
    said["text"] = str(error)
built_in = EdgeModel.from_pretrained()
said["built-in"] = [built_in.provider, bool(built_in.encode("It is raining.").any())]
np.savez(out, **found)
print(json.dumps(said))
"""


def test_openvino_runs_every_graph_within_the_bounds_of_export(bundle, distilled, tmp_path):
    said = json.loads(run_in_peer("openvino", SCRIPT, str(bundle.folder), str(tmp_path / "found.npz")))
    assert said["available"] == ["cpu", "openvino"]
    assert said["auto"] == "openvino"
    assert "not offered by the installed onnxruntime" in said["cuda"]
    assert "runs on the cpu alone" in said["text"]  # OpenVINO would run it, and give zeros
    assert said["built-in"] == ["cpu", True]
    golden = golden_of(distilled)
    for name, vectors in np.load(tmp_path / "found.npz").items():
        if name.endswith("float32"):  # it adds 512 rows in an order that rounds a little more than ONNX Runtime's
            np.testing.assert_allclose(vectors, golden.vectors, atol=3e-6)
        else:
            check_parity(golden, vectors, name.split()[1], name)
        assert said[name]["ran"] == "openvino"
        # The float64 norm of int8 sums is the one thing it leaves to the CPU.
        assert set(said[name]["elsewhere"]) <= {"cpu"}
        assert len(said[name]["elsewhere"].get("cpu", [])) <= 8
