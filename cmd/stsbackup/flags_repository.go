package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/internal/mover/contract"
	"github.com/stsbackup/stsbackup/storage/location"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// repoFlags say where the repositories are, which password opens them, and how much load to put on the bucket.
type repoFlags struct {
	url          string
	passwordFile string
	limits       limitFlags
}

func (f *repoFlags) add(cmd *cobra.Command) {
	f.addURL(cmd)
	f.addAccess(cmd)
}

func (f *repoFlags) addURL(cmd *cobra.Command) {
	cmd.Flags().StringVar(
		&f.url,
		contract.FlagRepo,
		"",
		"`URL` below which the repositories are: s3://bucket/prefix?endpoint=…&region=… or file:///dir ($STSBACKUP_REPO)",
	)
}

// addAccess adds the flags for commands that get the URL from somewhere else.
func (f *repoFlags) addAccess(cmd *cobra.Command) {
	cmd.Flags().StringVar(
		&f.passwordFile,
		"password-file",
		"",
		"`file` with the root password ($STSBACKUP_PASSWORD_FILE, or the password itself in $STSBACKUP_PASSWORD)",
	)
	f.limits.add(cmd)
}

// location returns the URL of the repository root, from the flag or the environment.
func (f *repoFlags) location(a *app) (string, error) {
	if url := strings.TrimSpace(f.url); url != "" {
		return url, nil
	}
	if url := strings.TrimSpace(a.getenv("STSBACKUP_REPO")); url != "" {
		return url, nil
	}
	return "", usageErrorf("no repository: give --repo or set STSBACKUP_REPO, for example s3://bucket/prefix?endpoint=https://s3.example.com")
}

// password returns the root password, from the file or the environment.
func (f *repoFlags) password(a *app) (string, error) {
	file := f.passwordFile
	if file == "" {
		file = strings.TrimRight(a.getenv("STSBACKUP_PASSWORD_FILE"), "\r\n")
	}
	if file != "" {
		return readPassword(file, "--password-file or STSBACKUP_PASSWORD_FILE")
	}
	if password := a.getenv("STSBACKUP_PASSWORD"); password != "" {
		return cleanPassword(password, "environment variable STSBACKUP_PASSWORD")
	}
	return "", usageErrorf("no password: give --password-file, or set STSBACKUP_PASSWORD_FILE or STSBACKUP_PASSWORD")
}

// readPassword reads a file that has one line; by is the flag or variable that names the file.
func readPassword(file, by string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the password: %w; name a file that can be read with %s", err, by)
	}
	return cleanPassword(string(data), "password file "+file)
}

// cleanPassword removes the line ends that editors and echo add, whatever the password comes from. It refuses other
// white space around the password: nobody can see it, so people copy it once and forget it the next time. The password
// is then wrong, on the day of the restore.
func cleanPassword(text, from string) (string, error) {
	password := strings.Trim(text, "\r\n")
	switch {
	case strings.TrimSpace(password) == "":
		return "", usageErrorf("%s is empty", from)
	case strings.ContainsAny(password, "\r\n"):
		return "", usageErrorf("%s has more than one line", from)
	case strings.TrimSpace(password) != password:
		return "", usageErrorf("%s begins or ends with white space, which no password may; remove it", from)
	}
	return password, nil
}

// openStore opens the repository root that the flags and the environment name. It does not contact the bucket yet.
func openStore(a *app, flags *repoFlags) (*location.Root, error) {
	url, err := flags.location(a)
	if err != nil {
		return nil, err
	}
	password, err := flags.password(a)
	if err != nil {
		return nil, err
	}
	return location.Open(flags.at(a, url), repository.Secret(password))
}

// at says where a repository root is, with the limits from the flags.
func (f *repoFlags) at(a *app, url string) location.Config {
	return location.Config{URL: url, Limits: location.Limits(f.limits), Getenv: a.getenv, Now: a.now}
}
