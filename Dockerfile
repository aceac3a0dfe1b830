# One image for stepstream-coordinator, stepstream-worker and stepstream. Yours adds your modules (docs/guides/containers.md):
#
#   docker build -t stepstream .
#
#   FROM stepstream
#   COPY workflows.ts handlers.ts ./
#
# BUILD needs Node.js, npm and a shell. BASE needs Node.js 22.22 or newer and /usr/bin/env, and nothing else.
ARG BUILD=node:24-slim
ARG BASE=node:24-slim

FROM ${BUILD} AS image
ENV CI=true
COPY package.json /build/
RUN cd /build && npm install --global --no-audit --no-fund "$(node -p 'require("./package.json").packageManager')"
COPY . /modules/
COPY . /build/
# Two installations, exactly as in the lockfile: what the programs need at run time, and what compiles them.
RUN cd /modules && pnpm install --frozen-lockfile --ignore-scripts --prod --filter-prod "@stepstream/cli..." \
 && cd /build && pnpm install --frozen-lockfile --ignore-scripts --filter "stepstream..." \
 && node scripts/pack/main.ts --modules /modules --image /image

FROM ${BASE}
COPY --from=image /image/ /
ENV NODE_ENV=production \
    # Health for the check below and for probes. Metrics, where wanted: STEPSTREAM_METRICS_PORT.
    STEPSTREAM_HEALTH_PORT=8080 \
    # The time that "docker stop" and Compose give. Kubernetes gives 30 s: set it there.
    STEPSTREAM_SHUTDOWN_TIMEOUT=10s \
    # Files are written below /tmp only (the command line's list of runs), and nothing breaks where that fails.
    HOME=/tmp
# A number, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 65532:65532
WORKDIR /stepstream/app
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=6 CMD ["node", "/stepstream/health.cjs"]
CMD ["stepstream", "--help"]
