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

// repoFlags say where the repositories are, what opens them, and how much of the bucket may be used.
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

// addAccess adds the flags for those who know the URL from elsewhere.
func (f *repoFlags) addAccess(cmd *cobra.Command) {
	cmd.Flags().StringVar(
		&f.passwordFile,
		"password-file",
		"",
		"`file` with the root password ($STSBACKUP_PASSWORD_FILE, or the password itself in $STSBACKUP_PASSWORD)",
	)
	f.limits.add(cmd)
}

// location is the repository root's URL, from the flag or the environment.
func (f *repoFlags) location(a *app) (string, error) {
	if url := strings.TrimSpace(f.url); url != "" {
		return url, nil
	}
	if url := strings.TrimSpace(a.getenv("STSBACKUP_REPO")); url != "" {
		return url, nil
	}
	return "", usageErrorf("no repository: give --repo or set STSBACKUP_REPO, for example s3://bucket/prefix?endpoint=https://s3.example.com")
}

// password is the root password, from the file or the environment.
func (f *repoFlags) password(a *app) (string, error) {
	file := f.passwordFile
	if file == "" {
		file = strings.TrimRight(a.getenv("STSBACKUP_PASSWORD_FILE"), "\r\n")
	}
	if file != "" {
		return readPassword(file)
	}
	if password := a.getenv("STSBACKUP_PASSWORD"); password != "" {
		return cleanPassword(password, "environment variable STSBACKUP_PASSWORD")
	}
	return "", usageErrorf("no password: give --password-file, or set STSBACKUP_PASSWORD_FILE or STSBACKUP_PASSWORD")
}

// readPassword takes the one line of a file.
func readPassword(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the password: %w; --password-file or STSBACKUP_PASSWORD_FILE must name a file that can be read", err)
	}
	return cleanPassword(string(data), "password file "+file)
}

// cleanPassword takes line ends off a password, alike wherever it is from: editors and echo add them. White space around what is
// left cannot be seen, and is copied once and forgotten the next time; that then is a wrong password, on the day of the restore.
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

// openStore opens the repository root that the flags and the environment name. It does not speak to the bucket yet.
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

// at is where a repository root is, with the limits of the flags.
func (f *repoFlags) at(a *app, url string) location.Config {
	return location.Config{URL: url, Limits: location.Limits(f.limits), Getenv: a.getenv, Now: a.now}
}
