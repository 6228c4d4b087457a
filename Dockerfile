# Builds the one binary and puts it, with nothing else of ours, in a small image.
#
#   docker build -t lockstep .
#   docker run -d --name lockstep -p 7070:7070 -v lockstep:/data \
#     -e LOCKSTEP_ADMIN_KEY=… -e LOCKSTEP_SECRET_KEY=… lockstep
#
# Without those variables both keys are made in the volume at the first start; keep a copy of the sealing key
# elsewhere. Settings are the LOCKSTEP_* variables of `lockstep serve --help`.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# The folders of dependencies and of what is built outlive the layer, so a second build is a short one.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p lockstep && cp target/release/lockstep /lockstep

FROM debian:bookworm-slim
# Outgoing TLS trusts roots that are in the binary: no certificates are installed.
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin lockstep \
    && install -d -m 0700 -o lockstep -g lockstep /data
COPY --from=build /lockstep /usr/local/bin/lockstep
USER lockstep
ENV LOCKSTEP_DATA=/data LOCKSTEP_LISTEN=0.0.0.0:7070 LOCKSTEP_LOG_FORMAT=json
VOLUME /data
EXPOSE 7070
# With TLS, set LOCKSTEP_URL and LOCKSTEP_CA for it.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["lockstep", "doctor", "--running"]
# A stop lets requests and deliveries under way land, within ten seconds each.
STOPSIGNAL SIGTERM
ENTRYPOINT ["lockstep"]
CMD ["serve"]
