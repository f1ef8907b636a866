package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/s3"
)

// locationApp is an app that knows only these environment variables.
func locationApp(environment map[string]string) *app {
	return &app{getenv: func(name string) string { return environment[name] }, now: time.Now}
}

func TestOpenBucketInADirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "my backups", "here")
	location := "file://" + strings.ReplaceAll(filepath.ToSlash(dir), " ", "%20")
	a := locationApp(nil)
	if _, err := openBucket(a, location); !errors.Is(err, storage.ErrNoBucket) {
		t.Errorf("open a directory that does not exist: %v, want %v", err, storage.ErrNoBucket)
	}
	bucket, err := openBucketAt(a, location, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := bucket.Put(t.Context(), "object", []byte("data")); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "object")); err != nil || string(data) != "data" {
		t.Errorf("the object's file holds %q, %v", data, err)
	}
	if bucket, err = openBucket(a, location); err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.Stat(t.Context(), "object"); err != nil {
		t.Errorf("opened again: %v", err)
	}
}

func TestOpenBucketInS3(t *testing.T) {
	t.Parallel()
	for location, want := range map[string]string{
		"s3://bucket": "s3://bucket", "s3://bucket/team/a": "s3://bucket/team/a",
		"s3://bucket/p?endpoint=http://127.0.0.1:7070&path-style=true": "s3://bucket/p",
	} {
		bucket, err := openBucket(locationApp(nil), location)
		if err != nil || bucket.String() != want {
			t.Errorf("openBucket(%q) = %v, %v; want %s", location, bucket, err, want)
		}
	}
}

func TestParseS3URLTakesTheEnvironment(t *testing.T) {
	t.Parallel()
	a := locationApp(map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:7070", "AWS_REGION": "eu-west-1", "AWS_CA_BUNDLE": "/ca"})
	got, err := parseS3URL(a, "s3://bucket/p?region=eu-central-1")
	want := s3.Config{Bucket: "bucket", Prefix: "p", Endpoint: "http://127.0.0.1:7070", Region: "eu-central-1", CAFile: "/ca"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("parseS3URL: %v (-want +got):\n%s", err, diff)
	}
}

func TestOpenBucketUsage(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t"
	for location, want := range map[string]string{
		"":                                  "no scheme; write s3://BUCKET/PREFIX or file:///DIRECTORY",
		"/srv/backups":                      "no scheme",
		"bucket/prefix":                     "no scheme",
		"./here://":                         "no scheme",
		"gs://bucket":                       "unknown scheme gs://; there are s3:// and file://",
		"file://srv/backups":                "three slashes, as in file:///srv/backups",
		"file://":                           "names no directory",
		"file:///srv?x=y":                   "has parameters",
		"file:///srv/%zz":                   "cannot be read",
		"s3://":                             "names no bucket",
		"s3://bucket?regoin=x":              "unknown parameter \"regoin\"",
		"s3://AKIA:" + secret + "@bucket":   "holds credentials",
		"s3://bucket?secret-key=" + secret:  "holds credentials",
		"s3://bucket?endpoint=no.such.host": "must be http://HOST:PORT",
	} {
		_, err := openBucket(locationApp(nil), location)
		var usage *usageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("openBucket(%q): %v; want a usage error that says %q", location, err, want)
		}
		if code := exitCode(t.Context(), err); code != exitUsage {
			t.Errorf("openBucket(%q) gives exit code %d", location, code)
		}
	}
	if _, err := openBucket(
		locationApp(map[string]string{"AWS_ENDPOINT_URL": "x"}),
		"s3://bucket",
	); exitCode(t.Context(), err) != exitUsage ||
		!strings.Contains(err.Error(), "AWS_ENDPOINT_URL") {
		t.Errorf("a bad endpoint in the environment: %v", err)
	}
}
