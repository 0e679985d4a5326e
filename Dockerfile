# The program alone, static, with CometBFT beside it.
#   docker build --tag paralith .
#   docker run --rm --publish 26600:26600 paralith dev --listen 0.0.0.0:26600
FROM rust:1.95.0-slim-bookworm AS build
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends g++ git libclang-dev make
WORKDIR /source
COPY . .
# The commit's time, for the same bytes as a build outside: --build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
ARG SOURCE_DATE_EPOCH=0
RUN rustup target add wasm32-unknown-unknown && scripts/release.sh \
    && mkdir /out && cp target/dist/paralith-*/paralith /out/

FROM golang:1.24-bookworm AS cometbft
RUN CGO_ENABLED=0 go install -trimpath github.com/cometbft/cometbft/cmd/cometbft@v0.38.25

FROM debian:bookworm-slim
COPY --from=build /out/paralith /usr/bin/paralith
COPY --from=cometbft /go/bin/cometbft /usr/bin/cometbft
# The authorities that `https` addresses are checked against.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
RUN useradd --system --create-home --home-dir /var/lib/paralith paralith
USER paralith
WORKDIR /var/lib/paralith
VOLUME /var/lib/paralith
EXPOSE 26600
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/paralith"]
CMD ["--help"]
