package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/storage/limit"
	"github.com/stsbackup/stsbackup/storage/location"
)

// limitFlags limit the bandwidth and the requests that a command uses on the bucket.
type limitFlags location.Limits

func (f *limitFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(
		&f.Upload, "limit-upload", "", "upload at most this many `KiB/s` ($"+location.EnvLimitUpload+"; default: no limit)",
	)
	cmd.Flags().StringVar(
		&f.Download, "limit-download", "", "download at most this many `KiB/s` ($"+location.EnvLimitDownload+"; default: no limit)",
	)
	cmd.Flags().StringVar(
		&f.Connections,
		"connections",
		"",
		"send at most this `number` of requests to the bucket at once ($"+location.EnvConnections+"; default: "+strconv.Itoa(
			limit.DefaultConnections,
		)+")",
	)
}
