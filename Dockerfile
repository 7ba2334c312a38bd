# One image for all of Batchord: command line, workers, beat, Flower. docker-compose.yml says what each runs.
# By its digest: a tag is moved to other files, and that is seen by nobody. The tag says what it is.
ARG PYTHON=3.13.14-slim@sha256:9662417aace5ae7b8e2609cce472b72a8958e134ba372808abe9cc1a0c0125e6

FROM python:${PYTHON} AS build
# cpu: torch's CPU build. default: what the package index gives, with CUDA packages (2.7 GB to download).
ARG TORCH=cpu
# Compiled here, since the running image writes nothing.
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_CACHE_DIR=/var/cache/uv
WORKDIR /src
COPY requirements/uv.txt requirements/run.txt requirements/torch.txt requirements/
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
        --require-hashes -r requirements/uv.txt \
    && python -m venv --without-pip /opt/batchord
ENV VIRTUAL_ENV=/opt/batchord
# The packages before the code: a change of the code does not install them anew. Each file is one of those whose digest
# the lock has, but for torch, whose builds have digests of their own.
RUN --mount=type=cache,target=/var/cache/uv \
    uv pip install --no-deps --require-hashes --only-binary=:all: -r requirements/run.txt
RUN --mount=type=cache,target=/var/cache/uv \
    case "$TORCH" in \
        cpu) backend="--torch-backend=cpu --no-deps" ;; \
        default) backend= ;; \
        *) echo "TORCH=$TORCH is unknown: use cpu or default" >&2; exit 1 ;; \
    esac \
    && uv pip install $backend -r requirements/torch.txt
COPY LICENSE README.md pyproject.toml ./
COPY batchord batchord
COPY app app
COPY beat beat
COPY workers workers
RUN --mount=type=cache,target=/var/cache/uv uv pip install --no-deps --no-build-isolation .

FROM python:${PYTHON}
# With an entry in the list of users: torch and getpass ask for the user's name. Downloaded models are kept in its
# home: a new named volume takes over the folder's owner from here.
RUN useradd --system --uid 10001 --home-dir /var/lib/batchord --create-home --shell /usr/sbin/nologin batchord \
    && mkdir -p /srv/batchord/pipelines
COPY --from=build /opt/batchord /opt/batchord
ENV PATH=/opt/batchord/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    BATCHORD_HOME=/var/lib/batchord \
    BATCHORD_PIPELINES=/srv/batchord/pipelines
WORKDIR /srv/batchord
USER batchord
CMD ["batchord", "--help"]
