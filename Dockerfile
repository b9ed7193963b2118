# The image `pylon`: the executable and nothing of an app, which is mounted or copied at /app. See docs/deploy/container.md.
ARG NODE_IMAGE=node:20-bookworm-slim
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${NODE_IMAGE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates tini
WORKDIR /src
COPY . .
# Only what the command needs, and not the examples' packages. A registry that wants a sign-in: `--secret id=npmrc,src=$HOME/.npmrc`.
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc npm ci --omit=dev --no-audit --no-fund --workspace packages/cli
RUN node packages/cli/bin/pylon.mjs compile --out /out/usr/local/bin/pylon
RUN install -D /usr/bin/tini /out/usr/bin/tini && install -D -m 644 /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ca-certificates.crt

FROM ${BASE_IMAGE}
ARG SOURCE_DATE_EPOCH=0
RUN groupadd --gid 10001 pylon \
  && useradd --uid 10001 --gid pylon --home-dir /data --no-create-home --shell /usr/sbin/nologin pylon \
  && install -d -o pylon -g pylon -m 750 /data \
  && rm -f /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/subuid- /etc/subgid- /var/log/lastlog /var/log/faillog
COPY --from=build /out /
# The launcher of the command sets it; an executable can't set it for itself. Less CPU while idle.
ENV MIMALLOC_PURGE_HOLES_MIN_INTERVAL=5000
ENV PYLON_DB_PATH=/data/pylon.db PYLON_FILES_DIR=/data/uploads PYLON_LOG_FORMAT=json
WORKDIR /app
USER 10001:10001
VOLUME /data
EXPOSE 4321 4322 4323 4324
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 CMD ["pylon", "health"]
# Functions may start programs, and process 1 has to bury those that outlive their parents.
ENTRYPOINT ["tini", "-s", "--"]
CMD ["pylon", "start"]
