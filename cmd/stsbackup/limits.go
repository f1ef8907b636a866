package main

import (
	"cmp"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/storage/limit"
)

// The variables that stand in for the flags of limitFlags, and by which movers are told.
const (
	envLimitUpload   = "STSBACKUP_LIMIT_UPLOAD"
	envLimitDownload = "STSBACKUP_LIMIT_DOWNLOAD"
	envConnections   = "STSBACKUP_CONNECTIONS"
)

// slowest is the lowest rate in KiB/s: services take a line that is slower still for a broken one.
const slowest = 8

// limitFlags say how much of the bucket's line and service may be used. They are kept as they were given.
type limitFlags struct{ upload, download, connections string }

func (f *limitFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.upload, "limit-upload", "", "upload at most this many `KiB/s` ($"+envLimitUpload+"; default: no limit)")
	cmd.Flags().StringVar(&f.download, "limit-download", "", "download at most this many `KiB/s` ($"+envLimitDownload+"; default: no limit)")
	cmd.Flags().StringVar(
		&f.connections,
		"connections",
		"",
		"send at most this `number` of requests to the bucket at once ($"+envConnections+"; default: "+strconv.Itoa(
			limit.DefaultConnections,
		)+")",
	)
}

// read returns the limits, from the flags or the environment.
func (f *limitFlags) read(a *app) (limit.Limits, error) {
	upload, err := readLimit(a, f.upload, "limit-upload", envLimitUpload, slowest)
	if err != nil {
		return limit.Limits{}, err
	}
	download, err := readLimit(a, f.download, "limit-download", envLimitDownload, slowest)
	if err != nil {
		return limit.Limits{}, err
	}
	connections, err := readLimit(a, f.connections, "connections", envConnections, limit.MinConnections)
	if err != nil {
		return limit.Limits{}, err
	}
	return limit.Limits{Upload: upload << 10, Download: download << 10, Connections: int(connections), Now: a.now}, nil
}

// readLimit reads one number, 0 if there is none.
func readLimit(a *app, value, flag, variable string, least int64) (int64, error) {
	value = cmp.Or(value, a.getenv(variable))
	if value == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil || n < least {
		return 0, usageErrorf("--%s (or $%s) is %q; give a whole number, at least %d", flag, variable, value, least)
	}
	return n, nil
}

// environment tells a mover the limits. It has none of this process's environment.
func (f *limitFlags) environment(a *app, env map[string]string) {
	for variable, value := range map[string]string{envLimitUpload: f.upload, envLimitDownload: f.download, envConnections: f.connections} {
		if value = cmp.Or(value, a.getenv(variable)); value != "" {
			env[variable] = value
		}
	}
}
