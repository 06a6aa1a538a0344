"""A real convolutional net of some size, exported as users export their own: `.keras` file → bundle."""

from __future__ import annotations

from pathlib import Path

from tests.support.cli import atelier

IMAGE_SIZE = 64
LABELS = tuple(f"class-{index}" for index in range(10))


def export_convolutional_net(models: Path, name: str, scratch: Path) -> Path:
    """Publishes version 1 of a net for colour images of 64 x 64 pixels, about 10 MB; gives its folder."""
    import keras

    layers = keras.layers
    net = keras.Sequential(
        [
            keras.Input((IMAGE_SIZE, IMAGE_SIZE, 3)),
            *(
                layer
                for filters in (32, 64, 128)
                for layer in (layers.Conv2D(filters, 3, activation="relu"), layers.MaxPooling2D())
            ),
            layers.Flatten(),
            layers.Dense(512, activation="relu"),
            layers.Dense(len(LABELS), activation="softmax"),
        ]
    )
    scratch.mkdir(parents=True, exist_ok=True)
    net.save(scratch / "net.keras")
    size = ("--image-size", str(IMAGE_SIZE), "--colour", "rgb")
    pixels = ("--pixels", "0..1", *size, "--labels", ",".join(LABELS))
    exported = atelier(
        "export", str(scratch / "net.keras"), "--models", str(models), "--name", name, *pixels, timeout_s=1200.0
    )
    assert exported.returncode == 0, exported.stderr
    return models / name / "1"
