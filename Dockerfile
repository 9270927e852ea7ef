# syntax=docker/dockerfile:1
# The gateway, for an Envoy of yours: `sallyport serve`. Node runs the sources as they are (it strips the types).
# Not built by the tests: they run where there is no Docker engine. test/unit/compose.test.ts checks what can be checked.

FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Without development dependencies, and without the embedded engine (chdb, 550 MB): the record goes to a ClickHouse server.
RUN npm ci --omit=dev --omit=optional --no-audit --no-fund

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY package.json LICENSE* ./
COPY protos protos
COPY src src
# Journal, control state and keys: keep this volume, it is the record until it has been shipped.
RUN mkdir -p /var/lib/sallyport && chown node:node /var/lib/sallyport && chmod 700 /var/lib/sallyport
VOLUME /var/lib/sallyport
USER node
EXPOSE 9443 9190
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9191/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--max-semi-space-size=4", "src/main.ts", "serve"]
CMD ["--config", "/etc/sallyport/sallyport.yaml"]
