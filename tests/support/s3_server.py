"""A real S3 server, moto's, as a process of its own on a free port: `with s3_server() as s3`."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BUCKET = "models"


@dataclass(frozen=True)
class S3Server:
    """A started server with one empty bucket, `BUCKET`."""

    endpoint_url: str

    @property
    def environment(self) -> dict[str, str]:
        """What a client's process needs in its environment to find the server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def address(self) -> str:
        """The bucket, as `--models` takes it."""
        return f"s3://{BUCKET}"


@contextlib.contextmanager
def s3_server() -> Iterator[S3Server]:
    """Starts a server and ends it, however the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.s3_server"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env={**os.environ, "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"},
    )
    with process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            assert port, "moto's server did not start"
            yield S3Server(f"http://127.0.0.1:{port}")
        finally:
            process.kill()


def serve() -> None:
    """Makes the bucket, says the port on standard output, and answers until killed."""
    import boto3
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    application = DomainDispatcherApplication(create_backend_app)
    one_at_a_time = threading.Lock()

    def guarded(environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        # moto looks whether a key exists and then writes it; S3 does both of `If-None-Match: *` in one step.
        with one_at_a_time:
            return application(environ, start_response)

    server = make_server("127.0.0.1", 0, guarded, threaded=True, request_handler=MotoRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{server.port}", region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    print(server.port, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    serve()
