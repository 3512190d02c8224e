# elfin serve and elfin worker in one image: docker build -t elfin . ; compose.yaml runs both.
FROM node:24-slim AS build
WORKDIR /app
COPY . .
RUN npm ci && npm run build && npm prune --omit=dev

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build --chown=root:root /app/package.json ./
COPY --from=build --chown=root:root /app/node_modules ./node_modules
COPY --from=build --chown=root:root /app/packages ./packages
# Results are all that is ever written; the program itself belongs to root and cannot change.
RUN mkdir -p /data/results /data/photos && chown -R node:node /data
# `node`, by number: an orchestrator that demands a user without rights can see that it is one.
USER 1000:1000
ENV ELFIN_STORE=/data/results PORT=8080 ORT_DISABLE_TELEMETRY=1
VOLUME /data/results
EXPOSE 8080
# /readyz is outside the queue: a busy server is a healthy one.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.PORT + '/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "packages/cli/dist/main.js"]
CMD ["serve", "/data/photos", "--host", "0.0.0.0"]
