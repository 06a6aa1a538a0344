from tests.serving.http.stand import clock

__all__ = ["clock"]
