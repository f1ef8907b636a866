package tool

import "path/filepath"

// restic is the tool whose format we write.
type restic struct{ path string }

// Name implements Tool.
func (t restic) Name() string { return "restic" }

// Version implements Tool.
func (t restic) Version() Command { return Command{Path: t.path, Args: []string{"version"}} }

// Init implements Tool.
func (t restic) Init(r Repository) []Command { return []Command{t.command(r, "init")} }

// Backup implements Tool.
func (t restic) Backup(r Repository, volume, dir string) Command {
	c := t.command(r, "backup", "--host", volume, ".")
	c.Dir = dir
	return c
}

// Restore implements Tool.
func (t restic) Restore(r Repository, volume, _, target string) Command {
	return t.command(r, "restore", "latest", "--host", volume, "--target", target)
}

func (t restic) command(r Repository, args ...string) Command {
	location := r.Dir
	if r.S3 != nil {
		location = "s3:http://" + r.S3.Address + "/" + r.S3.Bucket + "/" + r.S3.Prefix
	}
	return Command{
		Path: t.path, Args: append(args, "--quiet"),
		Env: append([]string{
			"HOME=" + r.Home, "RESTIC_CACHE_DIR=" + filepath.Join(r.Home, "cache"),
			"RESTIC_REPOSITORY=" + location, "RESTIC_PASSWORD=" + password,
		}, r.S3.awsEnv()...),
	}
}
