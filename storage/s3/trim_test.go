package s3

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage"
)

// TestWhiteSpaceAroundSettings: settings that end in a line break, which a file or an editor has added, mean the same
// as without it.
func TestWhiteSpaceAroundSettings(t *testing.T) {
	t.Parallel()
	want := Config{Bucket: "bucket", Prefix: "p", Endpoint: "https://s3.test", Region: "eu-west-1", CAFile: "/ca"}
	environment := map[string]string{"AWS_ENDPOINT_URL": " https://s3.test\n", "AWS_REGION": "eu-west-1\r\n", "AWS_CA_BUNDLE": "/ca\n"}
	config, err := ParseURL("s3://bucket/p\n")
	if err == nil {
		config, err = config.WithEnvironment(func(name string) string { return environment[name] })
	}
	if diff := cmp.Diff(want, config); err != nil || diff != "" {
		t.Errorf("from the environment: %v %s", err, diff)
	}
	config, err = ParseURL(" s3://bucket/p?endpoint=https://s3.test%0A&region=eu-west-1%20&ca=/ca%0D%0A \n")
	if diff := cmp.Diff(want, config); err != nil || diff != "" {
		t.Errorf("from the URL: %v %s", err, diff)
	}
	if _, err := ParseURL("s3://bucket?region=%0A"); err == nil || !strings.Contains(err.Error(), "region without a value") {
		t.Errorf("a region of nothing but a line break: %v", err)
	}
	for _, region := range []string{"eu west", "eu-\nwest-1", "eu/west"} {
		_, err := Config{}.WithEnvironment(func(name string) string { return map[string]string{"AWS_DEFAULT_REGION": region}[name] })
		if err == nil || !strings.Contains(err.Error(), "AWS_DEFAULT_REGION") {
			t.Errorf("region %q: %v", region, err)
		}
	}
}

// TestWhiteSpaceAroundKeys: keys are trimmed wherever they come from; characters that no key can contain are refused at
// once.
func TestWhiteSpaceAroundKeys(t *testing.T) {
	t.Parallel()
	for from, getenv := range map[string]func(string) string{
		"environment": environment("AKID\n", " SECRET\r\n", "TOKEN "),
		"both":        environment("\tAKID", "SECRET ", "\nTOKEN"),
	} {
		got, err := ResolveCredentials(t.Context(), Config{Bucket: "bucket"}, getenv)
		if err != nil || got.AccessKey() != "AKID" || got.SecretKey() != "SECRET" || got.SessionToken() != "TOKEN" {
			t.Errorf("%s: %q %q %q, %v", from, got.AccessKey(), got.SecretKey(), got.SessionToken(), err)
		}
	}
	for says, getenv := range map[string]func(string) string{
		"the access key has white space in it": environment("AK\nID", "SECRET", ""),
		"the secret key has a line break":      environment("AKID", "hid\nden", ""),
		"the session token has a line break":   environment("AKID", "SECRET", "TO\r\nKEN"),
		"found none":                           environment("\n", " ", ""),
	} {
		_, err := ResolveCredentials(t.Context(), Config{Bucket: "bucket"}, getenv)
		if !errors.Is(err, storage.ErrCredentials) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hid\nden") {
			t.Errorf("%v; want an error that says %q", err, says)
		}
	}
}

// TestWhiteSpaceInCredentialsFiles is the same for files.
func TestWhiteSpaceInCredentialsFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(file, []byte("[default]\r\naws_access_key_id = AKID \r\naws_secret_access_key = SECRET  \r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	got, err := ResolveCredentials(t.Context(), Config{Bucket: "bucket"}, os.Getenv)
	if err != nil || got.AccessKey() != "AKID" || got.SecretKey() != "SECRET" {
		t.Errorf("%q %q, %v", got.AccessKey(), got.SecretKey(), err)
	}
}
