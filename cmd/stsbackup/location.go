package main

import (
	"net/url"
	"path/filepath"
	"strings"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/local"
	"github.com/stsbackup/stsbackup/storage/s3"
)

// openBucket opens the bucket, or the part of it, that a repository URL names: s3://… or file:///dir. Nothing is asked
// of an S3 service yet; a directory must exist.
func openBucket(a *app, location string) (storage.Bucket, error) {
	return openBucketAt(a, location, false)
}

// openBucketAt is openBucket; create makes a directory that does not exist. Buckets in S3 are for their owners to make.
func openBucketAt(a *app, location string, create bool) (storage.Bucket, error) {
	scheme, err := schemeOf(location)
	if err != nil {
		return nil, err
	}
	switch scheme {
	case fileScheme:
		dir, err := parseFileURL(location)
		if err != nil {
			return nil, err
		}
		return local.Open(local.Config{Dir: dir, Create: create, Now: a.now})
	default:
		config, err := parseS3URL(a, location)
		if err != nil {
			return nil, err
		}
		bucket, err := s3.Open(config, a.getenv)
		if err != nil {
			return nil, err
		}
		return storage.Sub(bucket, config.Prefix)
	}
}

// fileScheme is that of the URLs of directories.
const fileScheme = "file"

// schemeOf is the scheme of a repository's URL: fileScheme or s3.Scheme.
func schemeOf(location string) (string, error) {
	switch scheme, _, _ := strings.Cut(location, "://"); {
	case scheme == location || strings.ContainsAny(scheme, "/.:"):
		return "", usageErrorf("the repository's URL has no scheme; write s3://BUCKET/PREFIX or file:///DIRECTORY")
	case scheme == fileScheme || scheme == s3.Scheme:
		return scheme, nil
	default:
		return "", usageErrorf("the repository's URL has the unknown scheme %s://; there are s3:// and file://", scheme)
	}
}

// checkLocation says what is wrong with a repository's URL, as far as the URL itself shows it.
func checkLocation(location string) error {
	scheme, err := schemeOf(location)
	switch {
	case err != nil:
		return err
	case scheme == fileScheme:
		_, err = parseFileURL(location)
		return err
	}
	if _, err = s3.ParseURL(location); err != nil {
		return usageErrorf("the repository's URL %w", err)
	}
	return nil
}

// parseS3URL reads an s3:// URL and completes it from the environment. The error never repeats the URL, which can hold
// what should not have been in it.
func parseS3URL(a *app, location string) (s3.Config, error) {
	config, err := s3.ParseURL(location)
	if err != nil {
		return s3.Config{}, usageErrorf("the repository's URL %w", err)
	}
	config, err = config.WithEnvironment(a.getenv)
	if err != nil {
		return s3.Config{}, usageErrorf("%w", err)
	}
	return config, nil
}

// parseFileURL returns the directory that a file:// URL names.
func parseFileURL(location string) (string, error) {
	parsed, err := url.Parse(location)
	switch {
	case err != nil:
		return "", usageErrorf("the repository's URL cannot be read: %w", err)
	case parsed.RawQuery != "" || parsed.Fragment != "":
		return "", usageErrorf(
			"the repository's URL %s has parameters, and file:// takes none; write %%3F for a ? and %%23 for a # in the directory's name",
			location,
		)
	case parsed.Host != "" && parsed.Host != "localhost":
		return "", usageErrorf(
			"the repository's URL %s names the host %s; for a directory write three slashes, as in file:///%s%s",
			location,
			parsed.Host,
			parsed.Host,
			parsed.Path,
		)
	case !strings.HasPrefix(parsed.Path, "/"):
		return "", usageErrorf("the repository's URL %s names no directory; write file:///DIRECTORY", location)
	}
	return filepath.FromSlash(parsed.Path), nil
}
