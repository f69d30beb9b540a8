# One definition for every image: docker build --build-arg SERVICE=fetcher .

FROM python:3.11-slim AS builder
WORKDIR /source
COPY deploy/uv.txt deploy/uv.txt
RUN pip install --no-cache-dir --root-user-action=ignore --require-hashes -r deploy/uv.txt
ARG SERVICE
# The environment lies where it will run, because its scripts name their interpreter by path.
ENV UV_PROJECT_ENVIRONMENT=/app/.venv UV_PYTHON=/usr/local/bin/python3.11 UV_PYTHON_DOWNLOADS=never \
    UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
# The locked packages first: they change less often than our own code.
COPY pyproject.toml uv.lock ./
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --no-install-workspace --package "${SERVICE:?say --build-arg SERVICE=…}"
COPY . .
RUN --mount=type=cache,target=/root/.cache/uv uv sync --frozen --no-dev --no-editable --package "$SERVICE"

FROM python:3.11-slim
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /app --shell /usr/sbin/nologin duebell \
 && for volume in run/duebell secrets/all secrets/rabbitmq secrets/redis secrets/postgres secrets/setup \
      secrets/ingress secrets/token-broker secrets/fetcher secrets/scheduler secrets/notifier; do \
      install -d -o duebell -g duebell "/$volume"; done
WORKDIR /app
COPY config config
COPY --from=builder /app/.venv .venv
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
# The module to run is the command: docker run … fetcher
ENTRYPOINT ["python", "-P", "-m"]
