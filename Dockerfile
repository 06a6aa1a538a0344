# The gateway's image: no TensorFlow, no compiler, no package manager's leftovers.
#
#   docker build --target serving -t atelier .
#   docker run --rm --read-only --tmpfs /tmp -p 8500:8500 -p 8501:8501 -v "$PWD/models:/models:ro" atelier

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /src
COPY requirements/uv.txt requirements/
RUN python -m venv --without-pip /opt/uv \
    && python -m pip --python /opt/uv/bin/python install --quiet --require-hashes -r requirements/uv.txt
# --copies would cut the interpreter off its libpython, which the gateway loads: the environment points at this Python.
RUN python -m venv --without-pip /opt/atelier
COPY requirements/serving.txt requirements/
RUN /opt/uv/bin/uv pip install --python /opt/atelier/bin/python --require-hashes --compile-bytecode -r requirements/serving.txt
COPY pyproject.toml README.md LICENSE ./
COPY atelier atelier
COPY training training
COPY export export
COPY serving serving
COPY loadtest loadtest
RUN /opt/uv/bin/uv pip install --python /opt/atelier/bin/python --no-deps --no-build-isolation --compile-bytecode . \
    && /opt/uv/bin/uv pip uninstall --python /opt/atelier/bin/python setuptools

FROM python:3.11-slim-bookworm AS serving
ENV PATH=/opt/atelier/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
COPY --from=build /opt/atelier /opt/atelier
RUN useradd --system --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin atelier && mkdir /models
USER 10001:10001
WORKDIR /tmp
EXPOSE 8500 8501
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8501/readyz', timeout=2)"]
ENTRYPOINT ["atelier", "serve"]
CMD ["--models", "/models"]
