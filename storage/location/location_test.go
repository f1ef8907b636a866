package location

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

// with is an environment with only these variables.
func with(environment map[string]string) func(string) string {
	return func(name string) string { return environment[name] }
}

func TestOpenBucketInADirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "my backups", "here")
	location := "file://" + strings.ReplaceAll(filepath.ToSlash(dir), " ", "%20")
	config := Config{URL: location, Getenv: with(nil), Now: time.Now}
	if _, err := OpenBucket(config); !errors.Is(err, storage.ErrNoBucket) {
		t.Errorf("open a directory that does not exist: %v, want %v", err, storage.ErrNoBucket)
	}
	config.Create = true
	bucket, err := OpenBucket(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := bucket.Put(t.Context(), "object", []byte("data")); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "object")); err != nil || string(data) != "data" {
		t.Errorf("the object's file holds %q, %v", data, err)
	}
	config.Create = false
	if bucket, err = OpenBucket(config); err != nil {
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
		bucket, err := OpenBucket(Config{URL: location, Getenv: with(nil)})
		if err != nil || bucket.String() != want {
			t.Errorf("OpenBucket(%q) = %v, %v; want %s", location, bucket, err, want)
		}
	}
}

func TestS3TakesTheEnvironment(t *testing.T) {
	t.Parallel()
	getenv := with(map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:7070", "AWS_REGION": "eu-west-1", "AWS_CA_BUNDLE": "/ca"})
	got, err := S3("s3://bucket/p?region=eu-central-1", getenv)
	want := s3.Config{Bucket: "bucket", Prefix: "p", Endpoint: "http://127.0.0.1:7070", Region: "eu-central-1", CAFile: "/ca"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("S3: %v (-want +got):\n%s", err, diff)
	}
}

func TestOpenBucketInvalid(t *testing.T) {
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
		_, err := OpenBucket(Config{URL: location, Getenv: with(nil)})
		if !isInvalid(err) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("OpenBucket(%q): %v; want that it is invalid, and says %q", location, err, want)
		}
	}
	_, err := OpenBucket(Config{URL: "s3://bucket", Getenv: with(map[string]string{"AWS_ENDPOINT_URL": "x"})})
	if !isInvalid(err) || !strings.Contains(err.Error(), "AWS_ENDPOINT_URL") {
		t.Errorf("a bad endpoint in the environment: %v", err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for location, valid := range map[string]bool{
		"s3://bucket/prefix": true, "file:///srv/no/such/directory": true,
		"gs://bucket": false, "file://srv": false, "s3://bucket?regoin=x": false,
	} {
		if err := Check(location); (err == nil) != valid || err != nil && !isInvalid(err) {
			t.Errorf("Check(%q): %v", location, err)
		}
	}
}
