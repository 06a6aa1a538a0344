"""Models that Atelier did not train, each built and written by the library that people write them with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from serving.signatures import TENSORFLOW_DTYPES
from training.environment import quiet_tensorflow

if TYPE_CHECKING:
    import keras

CLASSES = 3


def write_float_classifier(path: Path) -> Path:
    """The course's net as people save it: float images `[N, 8, 8, 1]` in 0..1 to 3 probabilities; a `.keras` file."""
    quiet_tensorflow()
    import keras

    keras.utils.set_random_seed(5)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.save(path)
    return path


def write_two_by_two(path: Path) -> Path:
    """Two inputs and two outputs: uint8 `picture` and int64 `shelf` to `price` and `kind`; a `.keras` file."""
    quiet_tensorflow()
    import keras

    keras.utils.set_random_seed(6)
    picture = keras.Input((4, 4), dtype="uint8", name="picture")
    shelf = keras.Input((), dtype="int64", name="shelf")
    seen = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(picture))
    known = keras.layers.Flatten()(keras.layers.Embedding(10, 4)(shelf))
    both = keras.layers.Concatenate()([seen, known])
    price = keras.layers.Dense(1, name="price")(both)
    kind = keras.layers.Dense(CLASSES, activation="softmax", name="kind")(both)
    keras.Model({"picture": picture, "shelf": shelf}, {"price": price, "kind": kind}).save(path)
    return path


def write_text_model(path: Path) -> Path:
    """Reviews to a score: `text`, string `[N, 1]`, by a table of words, which ONNX has not; a `.keras` file."""
    quiet_tensorflow()
    import keras

    words = keras.layers.TextVectorization(max_tokens=20, output_sequence_length=5, name="words")
    words.adapt(["a quick brown fox", "the lazy dog", "a fox and a dog"])
    text = keras.Input((1,), dtype="string", name="text")
    averaged = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(20, 4)(words(text)))
    keras.Model(text, keras.layers.Dense(1, activation="sigmoid", name="liked")(averaged)).save(path)
    return path


def write_tensorflow_1_model(folder: Path) -> Path:
    """As TensorFlow 1's builder writes it, with a graph and variables: `x` float32 `[N, 2]` to `y` and `class`."""
    quiet_tensorflow()
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 2], name="x")
        weights = v1.get_variable("weights", initializer=tf.constant([[1.0, -1.0, 0.5], [2.0, 0.25, 1.0]]))
        y = tf.nn.softmax(tf.matmul(x, weights))
        chosen = tf.argmax(y, axis=1)
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(folder))
        info = v1.saved_model.build_tensor_info
        signature = v1.saved_model.build_signature_def(
            {"x": info(x)}, {"y": info(y), "class": info(chosen)}, "tensorflow/serving/predict"
        )
        doubled = v1.saved_model.build_signature_def({"x": info(x)}, {"z": info(2 * y)}, "tensorflow/serving/predict")
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"serving_default": signature, "doubled": doubled}, strip_default_attrs=True
        )
        builder.save()
    return folder


def write_free_shapes(folder: Path) -> Path:
    """TensorFlow 2, shapes free in every dimension: int64 `[N, ?]` to its `doubled`, and the scalar `count`."""
    quiet_tensorflow()
    import tensorflow as tf

    class Doubler(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int64, name="numbers")])  # type: ignore[untyped-decorator]
        def __call__(self, numbers: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"doubled": numbers * 2, "count": tf.size(numbers)}

    module = Doubler()
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.__call__})
    return folder


def write_echo(folder: Path, *, signature: str = "serving_default") -> Path:
    """TensorFlow 2, strings in and out, in lower case: `text` to `lower`, both string `[N]`."""
    quiet_tensorflow()
    import tensorflow as tf

    class Echo(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])  # type: ignore[untyped-decorator]
        def __call__(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"lower": tf.strings.lower(text)}

    module = Echo()
    tf.saved_model.save(module, str(folder), signatures={signature: module.__call__})
    return folder


def write_two_by_two_saved_model(folder: Path) -> Path:
    """`write_two_by_two` as a SavedModel."""
    import keras

    path = folder.parent / f"{folder.name}.keras"
    keras.models.load_model(write_two_by_two(path)).export(folder, verbose=False)
    path.unlink()
    return folder


def write_typed_identities(folder: Path, *, default: str | None = None) -> Path:
    """A signature for each dtype, named like it: `x` `[N, 2]` to `y`, unchanged; `serving_default` is of `default`."""
    quiet_tensorflow()
    import tensorflow as tf

    def identity(dtype: str) -> Any:
        return tf.function(
            lambda x: {"y": tf.identity(x)}, input_signature=[tf.TensorSpec([None, 2], tf.as_dtype(dtype), name="x")]
        )

    signatures = {name: identity(name) for name in TENSORFLOW_DTYPES}
    if default is not None:
        signatures["serving_default"] = identity(default)
    tf.saved_model.save(tf.Module(), str(folder), signatures=signatures)
    return folder


def write_spectrum(folder: Path) -> Path:
    """Fourier transforms of rows of four: of complex64 and `complex128` to `spectrum`, `of_floats` to it and `power`.

    `plain` doubles float32 `x` to `y`.
    """
    quiet_tensorflow()
    import tensorflow as tf

    def spectrum(x: Any) -> Any:
        return {"spectrum": tf.signal.fft(x)}

    def of_floats(x: Any) -> Any:
        found = tf.signal.fft(tf.cast(x, tf.complex128))
        return {"spectrum": found, "power": tf.cast(tf.abs(found), tf.float32)}

    functions: dict[str, tuple[Callable[[Any], Any], Any]] = {
        "serving_default": (spectrum, tf.complex64),
        "complex128": (spectrum, tf.complex128),
        "of_floats": (of_floats, tf.float32),
        "plain": (lambda x: {"y": x * 2}, tf.float32),
    }
    signatures = {
        name: tf.function(function, input_signature=[tf.TensorSpec([None, 4], dtype, name="x")])
        for name, (function, dtype) in functions.items()
    }
    tf.saved_model.save(tf.Module(), str(folder), signatures=signatures)
    return folder


def write_unbatched(folder: Path) -> Path:
    """Nothing here has rows: `upper` (a scalar string), `doubled` (any rank), `three` (fails unless given three)."""
    quiet_tensorflow()
    import tensorflow as tf

    def upper(word: Any) -> Any:
        return {"upper": tf.strings.upper(word)}

    def doubled(x: Any) -> Any:
        return {"y": x * 2}

    def three(x: Any) -> Any:
        with tf.control_dependencies([tf.debugging.assert_equal(tf.size(x), 3, "expected to be 3")]):
            return {"y": tf.identity(x)}

    signatures = {
        "upper": tf.function(upper, input_signature=[tf.TensorSpec([], tf.string, name="word")]),
        "doubled": tf.function(doubled, input_signature=[tf.TensorSpec(None, tf.float32, name="x")]),
        "three": tf.function(three, input_signature=[tf.TensorSpec([None], tf.float32, name="x")]),
    }
    tf.saved_model.save(tf.Module(), str(folder), signatures=signatures)
    return folder


def write_defaults(folder: Path) -> Path:
    """TensorFlow 2, inputs that may be left out, as their defaults are in the signatures.

    `serving_default`: `x` float32 `[N, 2]`, `shift` (as `x`; 1 and 10) and `unit` (string `[N]`; m) to `y` and `unit`;
    `power`: `x` and the scalar `exponent` (int64; 3) to `y`; `greeting`: `name` (string `[N]`; you and me) to `text`.
    """
    quiet_tensorflow()
    import tensorflow as tf

    numbers, strings = tf.TensorSpec([None, 2], tf.float32), tf.TensorSpec([None], tf.string)
    one_and_ten, metres = tf.constant([[1.0, 10.0]]), tf.constant(["m"])
    three, you_and_me = tf.constant(3, tf.int64), tf.constant(["you", "me"])

    def shifted(x: Any, shift: Any = one_and_ten, unit: Any = metres) -> Any:
        return {"y": x + shift, "unit": tf.identity(unit)}

    def power(x: Any, exponent: Any = three) -> Any:
        return {"y": x ** tf.cast(exponent, tf.float32)}

    def greeting(name: Any = you_and_me) -> Any:
        return {"text": tf.strings.join(["hello ", name])}

    signatures = {
        "serving_default": tf.function(shifted, input_signature=[numbers, numbers, strings]),
        "power": tf.function(power, input_signature=[numbers, tf.TensorSpec([], tf.int64)]),
        "greeting": tf.function(greeting, input_signature=[strings]),
    }
    tf.saved_model.save(tf.Module(), str(folder), signatures=signatures)
    return folder


def write_model_with_a_layer_of_its_own(path: Path) -> Path:
    """A layer that only its author has the code of; a `.keras` file."""
    quiet_tensorflow()
    import keras

    class Secret(keras.layers.Layer):  # type: ignore[misc]
        def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
            return inputs

    keras.Sequential([keras.Input((2,)), Secret()]).save(path)
    return path


def write_onnx_with_data_file(folder: Path) -> Path:
    """A linear classifier, float32 `x` `[N, 4]` to `scores` `[N, 3]`, whose weights are in `weights/model.bin`."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    folder.joinpath("weights").mkdir(parents=True)
    weights = np.random.default_rng(7).normal(size=(4, CLASSES)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["scores"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", CLASSES])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = folder / "linear.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights/model.bin", size_threshold=0)
    return path


UNANSWERABLE_DTYPES = MappingProxyType({"resource": 20, "variant": 21})
"""TensorFlow's names of them, with the numbers of its types.proto."""


def write_unanswerable_signatures(folder: Path) -> Path:
    """TensorFlow 1, with signatures of tensors that no request here can hold: sparse ones, and a signature a dtype."""
    quiet_tensorflow()
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.sparse_placeholder(tf.float32, [None, 2], name="x")
        dense = v1.placeholder(tf.float32, [None, 2], name="dense")
        info = v1.saved_model.build_tensor_info
        builder = v1.saved_model.Builder(str(folder))
        define = v1.saved_model.build_signature_def
        signatures = {
            "serving_default": define({"x": info(dense)}, {"y": info(dense * 2)}, "tensorflow/serving/predict"),
            "sparse": define({"x": info(x)}, {"y": info(tf.sparse.to_dense(x))}, "tensorflow/serving/predict"),
        }
        for dtype in UNANSWERABLE_DTYPES:
            held = v1.placeholder(tf.as_dtype(dtype), [None, 2], name=f"held_{dtype}")
            signatures[dtype] = define({"x": info(held)}, {"y": info(dense)}, "tensorflow/serving/predict")
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()
    return folder
