package tool

import "path/filepath"

// kopia is the tool that backs up volumes for several others.
type kopia struct{ path string }

// Name implements Tool.
func (t kopia) Name() string { return "kopia" }

// Version implements Tool.
func (t kopia) Version() Command { return Command{Path: t.path, Args: []string{"--version"}} }

// Init implements Tool.
func (t kopia) Init(r Repository) []Command {
	args := []string{"repository", "create", "filesystem", "--path", r.Dir}
	if s := r.S3; s != nil {
		args = []string{
			"repository", "create", "s3", "--bucket", s.Bucket, "--prefix", s.Prefix + "/", "--endpoint", s.Address, "--disable-tls",
			"--region", s.Region, "--access-key", s.AccessKey, "--secret-access-key", s.SecretKey,
		}
	}
	return []Command{t.command(r, args...), t.command(r, "policy", "set", "--global", "--compression", "zstd-fastest")}
}

// Backup implements Tool. kopia distinguishes volumes by their directories.
func (t kopia) Backup(r Repository, _, dir string) Command {
	return t.command(r, "snapshot", "create", dir)
}

// Restore implements Tool.
func (t kopia) Restore(r Repository, _, dir, target string) Command {
	return t.command(r, "snapshot", "restore", dir, target)
}

func (t kopia) command(r Repository, args ...string) Command {
	return Command{
		Path: t.path, Args: append(args, "--no-progress", "--no-auto-maintenance"),
		Env: []string{
			"HOME=" + r.Home, "KOPIA_PASSWORD=" + password, "KOPIA_CHECK_FOR_UPDATES=false",
			"KOPIA_CONFIG_PATH=" + filepath.Join(r.Home, "repository.config"),
			"KOPIA_CACHE_DIRECTORY=" + filepath.Join(r.Home, "cache"), "KOPIA_LOG_DIR=" + filepath.Join(r.Home, "logs"),
		},
	}
}
