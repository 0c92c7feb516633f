# The image of memsvc: Python, what requirements/image.txt pins, and memsvc itself; no shell is used in it. Bases are pinned
# by digest where they are built: BASE=python:3.13-slim-bookworm@sha256:...
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements /build/requirements
RUN ["python", "-m", "venv", "/opt/memsvc"]
RUN ["/opt/memsvc/bin/python", "-m", "pip", "install", "--require-hashes", "--only-binary=:all:", "--no-deps", "-r", "/build/requirements/image.txt"]
# What only builds stays behind in this stage.
RUN ["python", "-m", "venv", "/build/tools"]
RUN ["/build/tools/bin/python", "-m", "pip", "install", "--require-hashes", "--only-binary=:all:", "--no-deps", "-r", "/build/requirements/build.txt"]
COPY pyproject.toml README.md LICENSE NOTICE /build/source/
COPY memsvc /build/source/memsvc
COPY drivers /build/source/drivers
COPY clients/python /build/source/clients/python
RUN ["/build/tools/bin/python", "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", "/build/wheels", "/build/source"]
RUN ["/opt/memsvc/bin/python", "-m", "pip", "install", "--no-deps", "--no-index", "--find-links", "/build/wheels", "memsvc"]
RUN ["/opt/memsvc/bin/python", "-m", "pip", "uninstall", "--yes", "pip"]
RUN ["/opt/memsvc/bin/python", "-m", "compileall", "-q", "/opt/memsvc/lib"]

FROM ${BASE}
LABEL org.opencontainers.image.title="memsvc" \
      org.opencontainers.image.description="A memory service for AI agents" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/memsvc /opt/memsvc
ENV PATH=/opt/memsvc/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
EXPOSE 7432 7433
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s CMD ["memsvc", "healthcheck"]
ENTRYPOINT ["memsvc"]
CMD ["serve"]
