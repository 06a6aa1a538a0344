"""Models that Atelier did not train: published as they are, or refused in one sentence."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from export.description import Description, describe
from export.errors import ExportError, WrongUseError
from export.exporter import Exported, ParityError, export_model
from export.sources.opening import open_source
from serving.bundle import read_manifest, verify_files
from serving.images import ImageSpec
from serving.signatures import TENSORFLOW_DTYPES, Signature
from tests.support.foreign_models import (
    write_echo,
    write_float_classifier,
    write_free_shapes,
    write_model_with_a_layer_of_its_own,
    write_onnx_with_data_file,
    write_tensorflow_1_model,
    write_text_model,
    write_two_by_two,
    write_typed_identities,
)
from tests.support.onnx_models import write_brightness_model, write_identity_model

ABC = ("a", "b", "c")


def publish(path: Path, tmp_path: Path, **options: object) -> Exported:
    return export_model(open_source(path, **options), tmp_path / "models")  # type: ignore[arg-type]


def specs(signature: Signature) -> list[tuple[str, str, tuple[int | None, ...]]]:
    return [(spec.name, spec.dtype, spec.shape) for spec in (*signature.inputs, *signature.outputs)]


def default_of(exported: Exported) -> Signature:
    return exported.manifest.signatures["serving_default"]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_keras_file_keeps_its_own_inputs_and_outputs(tmp_path: Path) -> None:
    exported = publish(write_float_classifier(tmp_path / "mine.keras"), tmp_path)

    assert exported.path == tmp_path / "models" / "mine" / "1"
    assert [spec[1:] for spec in specs(default_of(exported))] == [
        ("float32", (None, 8, 8, 1)),
        ("float32", (None, 3)),
    ]
    assert (exported.manifest.task, exported.manifest.labels, exported.manifest.training) == (None, (), None)
    assert exported.manifest.provenance is not None
    assert (exported.manifest.provenance.kind, exported.manifest.provenance.file) == ("keras", "mine.keras")
    assert exported.evidence.reference == "keras"
    assert [parity.runtime for parity in exported.manifest.parity] == ["tensorflow", "onnx"]
    assert exported.evidence.quality is None
    assert "random" in {comparison.inputs for comparison in exported.evidence.comparisons}


def test_a_keras_file_of_floats_can_be_published_as_taking_pixels(tmp_path: Path) -> None:
    import keras
    import onnxruntime

    path = write_float_classifier(tmp_path / "mine.keras")
    given = Description("classification", ABC, ImageSpec(8, 8, "grayscale"))
    exported = publish(path, tmp_path, given=given, pixels="0..1")

    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8), np.uint8)
    session = onnxruntime.InferenceSession(str(exported.path / "model.onnx"))
    (scores,) = session.run(["scores"], {"pixels": pixels})
    expected = keras.saving.load_model(path, compile=False).predict(
        pixels[..., np.newaxis] / np.float32(255), verbose=0
    )
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert specs(default_of(exported)) == [("pixels", "uint8", (None, 8, 8)), ("scores", "float32", (None, 3))]
    assert (exported.manifest.task, exported.manifest.labels) == ("classification", ABC)
    assert (exported.path / "assets" / "labels.txt").read_text() == "a\nb\nc\n"


def test_several_inputs_and_outputs_are_compared_one_by_one_and_refused_probes_are_named(tmp_path: Path) -> None:
    exported = publish(write_two_by_two(tmp_path / "shop.keras"), tmp_path)

    assert specs(default_of(exported)) == [
        ("picture", "uint8", (None, 4, 4)),
        ("shelf", "int64", (None,)),
        ("kind", "float32", (None, 3)),
        ("price", "float32", (None, 1)),
    ]
    assert {parity.output for parity in exported.manifest.parity} == {"price", "kind"}
    assert set(exported.evidence.left_out) == {"random"}  # no model has 100 shelves
    assert exported.evidence.left_out["random"].startswith("keras refuses the input: indices[")
    assert exported.evidence.left_out["random"].endswith("is not in [0, 10)")


def test_a_model_of_strings_is_published_without_onnx_and_says_why(tmp_path: Path) -> None:
    import tensorflow as tf

    exported = publish(write_text_model(tmp_path / "reviews.keras"), tmp_path)

    assert not (exported.path / "model.onnx").exists()
    (note,) = exported.notes
    assert note.startswith("there is no model.onnx, so that it takes TensorFlow Serving or the tensorflow back end")
    assert "it has no " in note
    assert "StringSplitV2" in note
    assert [parity.runtime for parity in exported.manifest.parity] == ["tensorflow"]
    loaded = tf.saved_model.load(str(exported.path))
    (answer,) = loaded.signatures["serving_default"](text=tf.constant([["a lazy fox"]])).values()
    assert answer.shape == (1, 1)


def test_a_saved_model_is_copied_byte_for_byte_with_an_equal_onnx_model_beside_it(tmp_path: Path) -> None:
    original = write_tensorflow_1_model(tmp_path / "one")
    before = contents(original)
    exported = publish(original, tmp_path, given=Description(labels=ABC))

    after = contents(exported.path)
    assert {name: after[name] for name in before} == before == contents(original)
    assert set(after) - set(before) == {"model.onnx", "manifest.json", "parity.md", "assets/labels.txt"}
    assert set(exported.manifest.signatures) == {"serving_default", "doubled"}
    assert specs(default_of(exported)) == [
        ("x", "float32", (None, 2)),
        ("class", "int64", (None,)),
        ("y", "float32", (None, 3)),
    ]
    assert exported.manifest.task == "classification"
    assert {parity.output: parity.top1_agreement for parity in exported.manifest.parity} == {"class": None, "y": 1}
    verify_files(exported.path, exported.manifest)


def test_free_shapes_integers_and_scalars_are_compared_too(tmp_path: Path) -> None:
    exported = publish(write_free_shapes(tmp_path / "free"), tmp_path)

    assert specs(default_of(exported)) == [
        ("numbers", "int64", (None, None)),
        ("count", "int32", ()),
        ("doubled", "int64", (None, None)),
    ]
    assert {(parity.output, parity.max_abs_difference) for parity in exported.manifest.parity} == {
        ("count", 0),
        ("doubled", 0),
    }


def test_a_saved_model_without_onnx_is_published_when_asked_for(tmp_path: Path) -> None:
    exported = publish(write_echo(tmp_path / "echo"), tmp_path, with_onnx=False)

    assert specs(default_of(exported)) == [("text", "string", (None,)), ("lower", "string", (None,))]
    assert set(exported.manifest.files) >= {"saved_model.pb"}
    assert "model.onnx" not in exported.manifest.files
    assert (exported.evidence.reference, exported.manifest.parity) == ("tensorflow", ())


@pytest.mark.parametrize("dtype", ["qint8", "float8_e4m3fn"])
def test_a_saved_model_of_dtypes_that_onnx_lacks_is_published_without_it_and_says_why(
    tmp_path: Path, dtype: str
) -> None:
    exported = publish(write_typed_identities(tmp_path / "same", default=dtype), tmp_path)

    assert specs(default_of(exported)) == [("x", dtype, (None, 2)), ("y", dtype, (None, 2))]
    assert exported.manifest.signatures.keys() == {"serving_default", *TENSORFLOW_DTYPES}
    assert not (exported.path / "model.onnx").exists()
    (note,) = exported.notes
    assert note.startswith("there is no model.onnx, so that it takes TensorFlow Serving or the tensorflow back end")
    assert read_manifest(exported.path) == exported.manifest


def test_a_version_of_tensorflow_servings_is_called_as_its_model(tmp_path: Path) -> None:
    exported = publish(write_free_shapes(tmp_path / "half_plus_two" / "00000123"), tmp_path)

    assert exported.path == tmp_path / "models" / "half_plus_two" / "1"


def test_an_onnx_file_is_repackaged_with_its_data_files(tmp_path: Path) -> None:
    original = write_onnx_with_data_file(tmp_path / "from")
    exported = publish(original, tmp_path, given=describe_labels("a,b,c"))

    assert exported.path == tmp_path / "models" / "linear" / "1"
    assert (exported.path / "model.onnx").read_bytes() == original.read_bytes()
    assert (exported.path / "weights" / "model.bin").read_bytes() == (tmp_path / "from/weights/model.bin").read_bytes()
    assert set(exported.manifest.files) == {"model.onnx", "parity.md", "weights/model.bin", "assets/labels.txt"}
    assert read_manifest(exported.path) == exported.manifest
    assert (exported.evidence.reference, exported.manifest.parity) == ("onnx", ())


def test_an_onnx_file_that_atelier_wrote_describes_itself(exported: Exported, tmp_path: Path) -> None:
    again = publish(exported.path / "model.onnx", tmp_path)

    assert again.manifest.labels == exported.manifest.labels
    assert (again.manifest.task, again.manifest.image) == ("classification", exported.manifest.image)


def describe_labels(text: str) -> Description:
    return describe(task=None, labels=text, image_size=None, colour=None)


def truncated(path: Path) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def invalid_onnx(folder: Path) -> Path:
    import onnx

    path = write_brightness_model(folder) / "model.onnx"
    model = onnx.load(path)
    model.graph.node[0].op_type = "Reshap"
    path.write_bytes(model.SerializeToString())
    return path


def text_file(path: Path, content: bytes = b"no model") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def without_variables(folder: Path) -> Path:
    shutil.rmtree(write_tensorflow_1_model(folder) / "variables")
    return folder


def without_data_file(folder: Path) -> Path:
    path = write_onnx_with_data_file(folder)
    (folder / "weights" / "model.bin").unlink()
    return path


FAULTS = {
    "a foreign layer": (
        lambda tmp: write_model_with_a_layer_of_its_own(tmp / "m.keras"),
        r"m\.keras cannot be loaded: Could not locate class 'Secret'$",
    ),
    "half a .keras file": (
        lambda tmp: truncated(write_float_classifier(tmp / "m.keras")),
        r"m\.keras is damaged: it is no \.keras archive, which is a zip file$",
    ),
    "no signature": (
        lambda tmp: write_echo(tmp / "m", signature="lower_case"),
        r"m has no signature serving_default: received lower_case$",
    ),
    "a text for saved_model.pb": (
        lambda tmp: text_file(tmp / "m" / "saved_model.pb").parent,
        r"saved_model\.pb is damaged: it is no SavedModel$",
    ),
    "an empty saved_model.pb": (
        lambda tmp: text_file(tmp / "m" / "saved_model.pb", b"").parent,
        r"saved_model\.pb has no graph for serving: expected the tag 'serve', received none$",
    ),
    "no variables": (
        lambda tmp: without_variables(tmp / "m"),
        r"^TensorFlow cannot load the SavedModel: .*variables",
    ),
    "a text for an ONNX file": (lambda tmp: text_file(tmp / "m.onnx"), r"m\.onnx is no ONNX model"),
    "an operator that ONNX has not": (lambda tmp: invalid_onnx(tmp / "m"), r"model\.onnx is not valid ONNX: .*Reshap"),
    "a data file less": (
        lambda tmp: without_data_file(tmp / "m"),
        r"keeps weights in weights/model\.bin, which is",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_exported_is_one_sentence_and_nothing_is_published(fault: str, tmp_path: Path) -> None:
    make, sentence = FAULTS[fault]

    with pytest.raises(ExportError, match=sentence) as caught:
        publish(make(tmp_path), tmp_path)

    assert "\n" not in str(caught.value)
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("kind", ["keras", "saved_model", "onnx"])
def test_labels_that_do_not_match_the_output_are_refused(kind: str, tmp_path: Path) -> None:
    write = {
        "keras": lambda: write_float_classifier(tmp_path / "m.keras"),
        "saved_model": lambda: write_tensorflow_1_model(tmp_path / "m"),
        "onnx": lambda: write_onnx_with_data_file(tmp_path),
    }
    path = write[kind]()

    with pytest.raises(ExportError, match=r"float32 \[\?, 3\].*, expected scores \[\?, 2\] for its 2 labels$"):
        publish(path, tmp_path, given=Description(labels=("a", "b")))

    assert not (tmp_path / "models").exists()


def test_taking_pixels_needs_the_images_size_and_the_classes(tmp_path: Path) -> None:
    path = write_float_classifier(tmp_path / "m.keras")

    for given in (Description(labels=ABC), Description(image=ImageSpec(8, 8, "grayscale"))):
        with pytest.raises(WrongUseError, match=r"--pixels needs .* expected --image-size and --labels"):
            publish(path, tmp_path, given=given, pixels="0..1")


def test_an_image_that_the_model_does_not_take_is_refused(tmp_path: Path) -> None:
    path = write_float_classifier(tmp_path / "m.keras")
    given = Description("classification", ABC, ImageSpec(9, 9, "grayscale"))

    with pytest.raises(ExportError, match=r"the model takes float32 \[\?, 8, 8, 1\], expected images \[\?, 9, 9, 1\]"):
        publish(path, tmp_path, given=given, pixels="0..1")


def test_an_onnx_model_that_answers_differently_from_its_saved_model_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from export import onnx_beside

    other = write_identity_model(tmp_path / "other", 7, ["N", "M"], names=("numbers", "doubled"))
    monkeypatch.setattr(onnx_beside, "write_onnx", lambda function, signature, path, **facts: add_count(other, path))

    with pytest.raises(ParityError, match=r'onnx does not answer like tensorflow in its output "doubled"'):
        publish(write_free_shapes(tmp_path / "free"), tmp_path)

    assert not (tmp_path / "models").exists()


def add_count(version_dir: Path, path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load(version_dir / "model.onnx")
    model.graph.node.append(helper.make_node("Size", ["numbers"], ["size"]))
    model.graph.node.append(helper.make_node("Cast", ["size"], ["count"], to=TensorProto.INT32))
    model.graph.output.append(helper.make_tensor_value_info("count", TensorProto.INT32, []))
    onnx.save(model, path)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"data_dir": Path("data")}, "--data: has no meaning for anything but a run"),
        ({"pixels": "0..1"}, "--pixels: has no meaning for anything but a .keras file"),
        ({"with_onnx": False}, "--no-onnx: has no meaning for anything but a SavedModel or a .keras file"),
    ],
)
def test_what_has_no_meaning_for_a_source_is_refused(options: dict[str, object], sentence: str, tmp_path: Path) -> None:
    path = write_brightness_model(tmp_path) / "model.onnx"

    with pytest.raises(WrongUseError, match=sentence):
        open_source(path, **options)  # type: ignore[arg-type]


def test_a_path_that_is_no_model_says_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    expected = r"is no model: expected a run folder, a \.keras file, a SavedModel's folder or an \.onnx file, found "

    for name, found in (("empty", "a folder with none of them"), ("none", "nothing")):
        with pytest.raises(WrongUseError, match=expected + found):
            open_source(tmp_path / name)
    with pytest.raises(WrongUseError, match=expected + "another file"):
        open_source(text_file(tmp_path / "notes.txt"))
