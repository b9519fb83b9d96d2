# Builds the binary, then leaves everything behind but that.
FROM denoland/deno:debian-2.9.6 AS build
WORKDIR /build
COPY deno.json deno.lock ./
COPY main.ts mod.ts ./
COPY adapters adapters
COPY cli cli
COPY dags dags
COPY engine engine
COPY operators operators
COPY server server
RUN deno task compile

FROM debian:bookworm-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates tini \
  && rm -rf /var/lib/apt/lists/* \
  && useradd --create-home --uid 10001 sluice \
  && install --directory --owner sluice --mode 700 /home/sluice/.sluice
COPY --from=build /build/sluice /usr/local/bin/sluice
USER sluice
WORKDIR /home/sluice
ENV SLUICE_HOME=/home/sluice/.sluice
VOLUME /home/sluice/.sluice
EXPOSE 8080
# Process 1 has to reap what tasks leave behind: that is tini's work.
ENTRYPOINT ["tini", "--", "sluice"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8080"]
