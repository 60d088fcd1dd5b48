# One image for every process: docker-compose.yml says which one a container becomes.
FROM python:3.11-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends git make && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY . .
# The same set-up as on a machine without containers; --build-arg WITH=lake for the lake's job.
ARG WITH=
RUN scripts/setup.sh --for demo ${WITH:+--with $WITH} && rm -rf /root/.cache /root/.m2 /var/lib/apt/lists/*
# Flink's folder of jars is made when it starts, by that user.
RUN useradd --system millrace && mkdir /state && chown millrace /state .build/flink
ENV PATH=/app/.venv/bin:$PATH
USER millrace
VOLUME /state
CMD ["millrace", "--help"]
