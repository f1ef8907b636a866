package location

import (
	"cmp"
	"strconv"

	"github.com/stsbackup/stsbackup/storage/limit"
)

// Variables that replace limits that are not given. Movers get their limits through them.
const (
	EnvLimitUpload   = "STSBACKUP_LIMIT_UPLOAD"
	EnvLimitDownload = "STSBACKUP_LIMIT_DOWNLOAD"
	EnvConnections   = "STSBACKUP_CONNECTIONS"
)

// slowest is the lowest rate in KiB/s: services take a slower line for a broken one.
const slowest = 8

// Limits say how much of the bucket's line and service may be used, as a person has written it: rates in KiB/s, and a
// number of requests. The environment replaces empty ones.
type Limits struct{ Upload, Download, Connections string }

// read returns the limits as numbers.
func (l Limits) read(getenv func(string) string) (limit.Limits, error) {
	l = l.or(getenv)
	upload, err := readLimit(l.Upload, "limit-upload", EnvLimitUpload, slowest)
	if err != nil {
		return limit.Limits{}, err
	}
	download, err := readLimit(l.Download, "limit-download", EnvLimitDownload, slowest)
	if err != nil {
		return limit.Limits{}, err
	}
	connections, err := readLimit(l.Connections, "connections", EnvConnections, limit.MinConnections)
	if err != nil {
		return limit.Limits{}, err
	}
	return limit.Limits{Upload: upload << 10, Download: download << 10, Connections: int(connections)}, nil
}

// or fills empty limits from the environment.
func (l Limits) or(getenv func(string) string) Limits {
	return Limits{
		Upload:      cmp.Or(l.Upload, getenv(EnvLimitUpload)),
		Download:    cmp.Or(l.Download, getenv(EnvLimitDownload)),
		Connections: cmp.Or(l.Connections, getenv(EnvConnections)),
	}
}

// readLimit reads one number, 0 if there is none.
func readLimit(value, flag, variable string, least int64) (int64, error) {
	if value == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil || n < least {
		return 0, invalidf("--%s (or $%s) is %q; give a whole number, at least %d", flag, variable, value, least)
	}
	return n, nil
}

// Environment returns the variables that tell another process, which does not have this process's environment, the same
// limits.
func (l Limits) Environment(getenv func(string) string) map[string]string {
	l = l.or(getenv)
	env := map[string]string{}
	for variable, value := range map[string]string{EnvLimitUpload: l.Upload, EnvLimitDownload: l.Download, EnvConnections: l.Connections} {
		if value != "" {
			env[variable] = value
		}
	}
	return env
}
