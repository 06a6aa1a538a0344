"""A SavedModel in process: what it loads, what it answers, and how it fails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from serving.backends.tensorflow import TensorFlowBackend
from serving.bundle import Manifest
from serving.errors import BundleError, InferenceError, InvalidInputError
from serving.signatures import TENSORFLOW_DTYPES, Signature, TensorSpec
from tests.support.foreign_models import (
    write_echo,
    write_free_shapes,
    write_tensorflow_1_model,
    write_two_by_two_saved_model,
    write_typed_identities,
    write_unanswerable_signatures,
    write_unbatched,
)
from tests.support.onnx_models import write_identity_model


def load(version_dir: Path, manifest: Manifest | None = None) -> TensorFlowBackend:
    return TensorFlowBackend.load(version_dir, manifest, threads=1)


def refusal(version_dir: Path, manifest: Manifest | None = None) -> str:
    with pytest.raises(BundleError) as caught:
        load(version_dir, manifest)
    assert str(version_dir) not in str(caught.value), "no path of the server's disk"
    return str(caught.value)


def strings(*values: bytes) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def test_every_element_type_goes_through_unchanged(tmp_path: Path) -> None:
    backend = load(write_typed_identities(tmp_path / "1"))
    assert backend.signatures.keys() == TENSORFLOW_DTYPES.keys()
    for name, dtype in TENSORFLOW_DTYPES.items():
        array = np.array([[0, 1], [1, 1 + 2j if dtype.kind == "c" else 1]], dtype.numpy)
        if dtype.is_string:
            array = strings(b"a", b"", b"\xff", b"a\0").reshape(2, 2)
        answer = backend.run(name, {"x": array})["y"]
        assert (answer.dtype, answer.tolist()) == (array.dtype, array.tolist())
        assert backend.signatures[name] == Signature(
            (TensorSpec("x", name, (None, 2)),), (TensorSpec("y", name, (None, 2)),)
        )


def test_several_inputs_and_outputs_keep_their_names(tmp_path: Path) -> None:
    backend = load(write_two_by_two_saved_model(tmp_path / "1"))
    pictures = np.random.default_rng(1).integers(0, 256, (3, 4, 4), np.uint8)
    answer = backend.run("serving_default", {"shelf": np.int64([1, 2, 3]), "picture": pictures})

    assert {name: array.shape for name, array in answer.items()} == {"price": (3, 1), "kind": (3, 3)}
    np.testing.assert_allclose(answer["kind"].sum(axis=1), 1.0, rtol=1e-6)


def test_free_shapes_and_scalars_are_answered(tmp_path: Path) -> None:
    backend = load(write_free_shapes(tmp_path / "1"))
    for shape in ((1, 1), (3, 5), (2, 0)):
        answer = backend.run("serving_default", {"numbers": np.ones(shape, np.int64)})
        assert answer["count"].shape == ()
        assert (int(answer["count"]), answer["doubled"].tolist()) == (np.prod(shape), (2 * np.ones(shape)).tolist())
    assert not backend.signatures["serving_default"].is_batched


def test_scalar_strings_and_unknown_ranks_are_answered(tmp_path: Path) -> None:
    backend = load(write_unbatched(tmp_path / "1"))
    word = np.array(b"ab", dtype=object)
    assert backend.run("upper", {"word": word})["upper"][()] == b"AB"
    assert backend.signatures["doubled"].inputs == (TensorSpec("x", "float32", (), any_rank=True),)
    for shape in ((), (2,), (1, 2, 3)):
        assert backend.run("doubled", {"x": np.ones(shape, np.float32)})["y"].shape == shape


def test_models_of_tensorflow_1_answer_by_each_signature(tmp_path: Path) -> None:
    backend = load(write_tensorflow_1_model(tmp_path / "1"))
    x = np.float32([[1, 2], [3, 4]])
    y = backend.run("serving_default", {"x": x})
    np.testing.assert_allclose(backend.run("doubled", {"x": x})["z"], 2 * y["y"])
    assert y["class"].tolist() == y["y"].argmax(axis=1).tolist()


def test_signatures_that_no_array_can_answer_are_left_out(tmp_path: Path) -> None:
    backend = load(write_unanswerable_signatures(tmp_path / "1"))
    assert backend.signatures.keys() == {"serving_default"}
    assert backend.run("serving_default", {"x": np.float32([[1, 2]])})["y"].tolist() == [[2, 4]]


def test_two_versions_live_beside_each_other_and_one_outlives_the_other(tmp_path: Path) -> None:
    first, second = load(write_echo(tmp_path / "1")), load(write_free_shapes(tmp_path / "2"))
    first.close()
    assert second.run("serving_default", {"numbers": np.int64([[2]])})["doubled"].tolist() == [[4]]
    with pytest.raises(InferenceError, match="the model is closed"):
        first.run("serving_default", {"text": strings(b"A")})
    first.close()


def test_what_the_graph_refuses_is_the_clients_mistake(tmp_path: Path) -> None:
    backend = load(write_unbatched(tmp_path / "1"))
    with pytest.raises(InvalidInputError, match=r"^the model does not take this: .*expected to be 3") as caught:
        backend.run("three", {"x": np.float32([1, 2])})
    assert "\n" not in str(caught.value)
    assert backend.run("three", {"x": np.float32([1, 2, 3])})["y"].tolist() == [1, 2, 3]


def test_a_version_without_a_saved_model_is_refused(tmp_path: Path) -> None:
    folder = write_identity_model(tmp_path / "1", 1, ["N"])
    assert refusal(folder) == "the tensorflow back end expects saved_model.pb, the version has model.onnx only"


@pytest.mark.parametrize("content", [b"", b"not a model"], ids=["empty", "another file"])
def test_a_file_that_is_no_saved_model_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "saved_model.pb").write_bytes(content)
    assert refusal(tmp_path).startswith("the SavedModel cannot be loaded: ")


def test_missing_variables_are_named(tmp_path: Path) -> None:
    folder = write_tensorflow_1_model(tmp_path / "1")
    next(folder.glob("variables/variables.index")).unlink()
    assert "variables/variables" in refusal(folder)


def test_a_manifest_that_declares_another_signature_is_refused(tmp_path: Path) -> None:
    folder = write_echo(tmp_path / "1")
    declared = Signature((TensorSpec("text", "string", (None,)),), (TensorSpec("upper", "string", (None,)),))
    manifest = Manifest.model_construct(signatures={"serving_default": declared})
    assert refusal(folder, manifest).startswith("the SavedModel has the signature serving_default: ")
