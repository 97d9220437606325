# One image for every process: `python -m ingest|alerts|api|lifeline.planning`, and `lifeline`. Not root, nothing but Python and the pinned
# packages. Planning and the demo's simulators are built with REQUIREMENTS=requirements-simulators.txt.
FROM python:3.11.14-slim-bookworm AS build
ARG REQUIREMENTS=requirements.txt
WORKDIR /build
COPY requirements-install.txt ${REQUIREMENTS} ./
RUN python -m venv /opt/lifeline \
    && pip install --no-cache-dir --require-hashes --requirement requirements-install.txt \
    && uv pip install --no-cache --python /opt/lifeline/bin/python --require-hashes --requirement ${REQUIREMENTS}
COPY pyproject.toml README.md ./
COPY lifeline lifeline
COPY ingest ingest
COPY alerts alerts
COPY api api
COPY simulators simulators
COPY web web
RUN python -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir wheel . \
    && uv pip install --no-cache --python /opt/lifeline/bin/python --no-deps wheel/*.whl

FROM python:3.11.14-slim-bookworm
COPY --from=build /opt/lifeline /opt/lifeline
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin lifeline
ENV PATH=/opt/lifeline/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /var/empty
USER 10001
CMD ["lifeline", "--help"]
