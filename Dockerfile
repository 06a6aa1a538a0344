# Atelier's images, one stage for each package: the gateway, the trainer and exporter, the load test.
#
#   docker build --target serving -t atelier/serving:0.1.0 .
#   docker run --rm --init --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
#     -p 8500:8500 -p 8501:8501 -v "$PWD/models:/models:ro" atelier/serving:0.1.0
#
# Everything comes from requirements/*.txt, which hold a hash for every file. docs/deploy-docker.md says the rest.

ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM scratch AS source
COPY pyproject.toml README.md LICENSE /
COPY atelier /atelier
COPY training /training
COPY export /export
COPY serving /serving
COPY loadtest /loadtest

# Nothing of this stage reaches an image but what is installed into /opt/atelier.
FROM ${PYTHON_IMAGE} AS build
# Behind a company's proxy: its mirror of the package index, and the certificate (PEM) that it signs with.
ARG PIP_INDEX_URL
ARG CA_CERTIFICATE
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    UV_NO_CACHE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=1 UV_PYTHON=/opt/atelier/bin/python \
    PYC_INVALIDATION_MODE=UNCHECKED_HASH
RUN if [ -n "${CA_CERTIFICATE:-}" ]; then printf '%s\n' "$CA_CERTIFICATE" >>/etc/ssl/certs/ca-certificates.crt; fi
WORKDIR /src
COPY requirements/uv.txt requirements/
RUN python -m venv --without-pip /opt/uv \
    && python -m pip --python /opt/uv/bin/python install --quiet --require-hashes -r requirements/uv.txt
RUN python -m venv --without-pip /opt/atelier
# Each package's requirements come first and the code last, so that a change of code downloads nothing.
RUN printf '%s\n' '#!/bin/sh' 'set -eu' \
      'if [ -n "${PIP_INDEX_URL:-}" ]; then export UV_DEFAULT_INDEX="$PIP_INDEX_URL"; fi' \
      'exec /opt/uv/bin/uv pip "$@"' >/usr/local/bin/uv-pip && chmod +x /usr/local/bin/uv-pip

FROM build AS build-serving
COPY requirements/serving.txt requirements/s3.txt requirements/
# Left out: the packages' own tests, stubs and C sources, ONNX Runtime's tools for building models and its library for other languages (Python's
# module holds all of it), and what botocore knows of services other than object stores and their keys.
RUN uv-pip install --require-hashes -r requirements/serving.txt -r requirements/s3.txt \
    && cd /opt/atelier/lib/python3.11/site-packages \
    && find . -depth -type d -name tests -exec rm -rf {} + && find . -regex '.*\.\(py[ix]\|[ch]\|[ch]pp\)' -delete \
    && rm -rf onnxruntime/transformers onnxruntime/tools onnxruntime/quantization onnxruntime/capi/libonnxruntime.so.* \
    && find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name sts ! -name 'sso*' -exec rm -rf {} +
COPY --from=source / .
# Bytecode of what the gateway imports, and of little more: its root is read-only, and compiling takes longer than starting. Whole, what
# is imported late. -P: the copy here is not what is installed.
RUN uv-pip install --no-deps --no-build-isolation . && uv-pip uninstall setuptools \
    && cd /opt/atelier/lib/python3.11/site-packages \
    && /opt/atelier/bin/python -PBc "import atelier.cli, serving.healthcheck, serving.server, serving.worker, serving.repository.upstream_source, s3fs, sys; \
         print(*filter(None, (getattr(module, '__file__', '') for module in [*sys.modules.values()])), sep='\n')" \
       | grep '^/opt/atelier/.*\.py$' \
       | /opt/atelier/bin/python -m compileall -q --invalidation-mode unchecked-hash -i - \
    && /opt/atelier/bin/python -m compileall -q --invalidation-mode unchecked-hash atelier serving onnxruntime PIL typer uvloop

FROM build AS build-training
COPY requirements/training.txt requirements/export.txt requirements/s3.txt requirements/
RUN uv-pip install --compile-bytecode --require-hashes \
      -r requirements/training.txt -r requirements/export.txt -r requirements/s3.txt
COPY --from=source / .
RUN uv-pip install --compile-bytecode --no-deps --no-build-isolation .

FROM build AS build-loadtest
COPY requirements/loadtest.txt requirements/
RUN uv-pip install --compile-bytecode --require-hashes -r requirements/loadtest.txt
COPY --from=source / .
RUN uv-pip install --compile-bytecode --no-deps --no-build-isolation . && uv-pip uninstall setuptools

FROM ${PYTHON_IMAGE} AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.vendor="Atelier" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# The root file system may be read-only: what has to be written goes to /tmp, HOME too.
ENV PATH=/opt/atelier/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin atelier \
    && mkdir /models && chown 10001:10001 /models
WORKDIR /tmp
STOPSIGNAL SIGTERM

FROM runtime AS training
LABEL org.opencontainers.image.title="Atelier trainer" \
      org.opencontainers.image.description="Trains image classifiers and publishes them: atelier train, atelier export."
COPY --from=build-training /opt/atelier /opt/atelier
USER 10001:10001
ENTRYPOINT ["atelier"]
CMD ["--help"]

FROM runtime AS loadtest
LABEL org.opencontainers.image.title="Atelier load test" \
      org.opencontainers.image.description="Locust users for the gateway, over gRPC and REST."
COPY --from=build-loadtest /opt/atelier /opt/atelier
USER 10001:10001
EXPOSE 8089 5557
ENTRYPOINT ["locust", "-f", "/opt/atelier/lib/python3.11/site-packages/loadtest/locustfile.py"]
CMD ["--help"]

FROM runtime AS serving
LABEL org.opencontainers.image.title="Atelier gateway" \
      org.opencontainers.image.description="Serves image classifiers to clients of TensorFlow Serving and KServe."
COPY --from=build-serving /opt/atelier /opt/atelier
ENV ATELIER_MODELS=/models
USER 10001:10001
EXPOSE 8500 8501
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-m", "serving.healthcheck"]
ENTRYPOINT ["atelier", "serve"]
