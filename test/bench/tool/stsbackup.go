package tool

import "net/url"

// stsbackup is our tool.
type stsbackup struct{ path string }

// statefulSet is the StatefulSet whose volumes we save.
const statefulSet = "bench/db"

// Name implements Tool.
func (t stsbackup) Name() string { return "stsbackup" }

// Version implements Tool.
func (t stsbackup) Version() Command { return Command{Path: t.path, Args: []string{"version"}} }

// Init implements Tool: the first backup makes the repository, and needs no command for it.
func (t stsbackup) Init(Repository) []Command { return nil }

// Backup implements Tool.
func (t stsbackup) Backup(r Repository, volume, dir string) Command {
	return t.command(r, "backup", dir, "--as", statefulSet, "--claim", volume)
}

// Restore implements Tool.
func (t stsbackup) Restore(r Repository, volume, _, target string) Command {
	return t.command(r, "restore", statefulSet, target, "--claim", volume)
}

func (t stsbackup) command(r Repository, verb string, args ...string) Command {
	location := (&url.URL{Scheme: "file", Path: r.Dir}).String()
	if r.S3 != nil {
		query := url.Values{"endpoint": {"http://" + r.S3.Address}, "region": {r.S3.Region}, "path-style": {"true"}}
		location = (&url.URL{Scheme: "s3", Host: r.S3.Bucket, Path: "/" + r.S3.Prefix, RawQuery: query.Encode()}).String()
	}
	return Command{
		Path: t.path, Args: append(append([]string{"volume", verb}, args...), "--repo", location),
		Env: append([]string{"HOME=" + r.Home, "STSBACKUP_PASSWORD=" + password}, r.S3.awsEnv()...),
	}
}
