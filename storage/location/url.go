package location

import (
	"net/url"
	"path/filepath"
	"strings"

	"github.com/stsbackup/stsbackup/storage/s3"
)

// fileScheme is the scheme of directories' URLs.
const fileScheme = "file"

// schemeOf is the scheme of a repository's URL: fileScheme or s3.Scheme.
func schemeOf(location string) (string, error) {
	switch scheme, _, _ := strings.Cut(location, "://"); {
	case scheme == location || strings.ContainsAny(scheme, "/.:"):
		return "", invalidf("the repository's URL has no scheme; write s3://BUCKET/PREFIX or file:///DIRECTORY")
	case scheme == fileScheme || scheme == s3.Scheme:
		return scheme, nil
	default:
		return "", invalidf("the repository's URL has the unknown scheme %s://; there are s3:// and file://", scheme)
	}
}

// IsS3 reports whether a repository's URL names an S3 bucket, which other hosts and pods reach too.
func IsS3(location string) bool { return strings.HasPrefix(location, s3.Scheme+"://") }

// Check says what is wrong with a repository's URL, as far as the URL itself shows it.
func Check(location string) error {
	scheme, err := schemeOf(location)
	switch {
	case err != nil:
		return err
	case scheme == fileScheme:
		_, err = parseFileURL(location)
		return err
	}
	if _, err = s3.ParseURL(location); err != nil {
		return invalidf("the repository's URL %w", err)
	}
	return nil
}

// S3 reads an s3:// URL and completes it from the environment. The error never repeats the URL, which may hold secrets
// that do not belong there.
func S3(location string, getenv func(string) string) (s3.Config, error) {
	config, err := s3.ParseURL(location)
	if err != nil {
		return s3.Config{}, invalidf("the repository's URL %w", err)
	}
	config, err = config.WithEnvironment(getenv)
	if err != nil {
		return s3.Config{}, invalidf("%w", err)
	}
	return config, nil
}

// parseFileURL returns the directory that a file:// URL names.
func parseFileURL(location string) (string, error) {
	parsed, err := url.Parse(location)
	switch {
	case err != nil:
		return "", invalidf("the repository's URL cannot be read: %w", err)
	case parsed.RawQuery != "" || parsed.Fragment != "":
		return "", invalidf(
			"the repository's URL %s has parameters, and file:// takes none; write %%3F for a ? and %%23 for a # in the directory's name",
			location,
		)
	case parsed.Host != "" && parsed.Host != "localhost":
		return "", invalidf(
			"the repository's URL %s names the host %s; for a directory write three slashes, as in file:///%s%s",
			location,
			parsed.Host,
			parsed.Host,
			parsed.Path,
		)
	case !strings.HasPrefix(parsed.Path, "/"):
		return "", invalidf("the repository's URL %s names no directory; write file:///DIRECTORY", location)
	}
	return filepath.FromSlash(parsed.Path), nil
}
