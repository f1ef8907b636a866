# One static binary and nothing else: the command line tool, the mover and the scheduler are the same program.
# docker build --build-arg VERSION=v1.2.3 --platform linux/amd64,linux/arm64 .
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS TARGETARCH VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY cmd cmd
COPY backup backup
COPY restore restore
COPY scheduler scheduler
COPY storage storage
COPY internal internal
COPY deploy deploy
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /stsbackup ./cmd/stsbackup

FROM scratch
# Public S3 endpoints present certificates of public authorities.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /stsbackup /stsbackup
USER 65532:65532
ENTRYPOINT ["/stsbackup"]
