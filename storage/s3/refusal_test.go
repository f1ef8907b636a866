package s3

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/stsbackup/stsbackup/storage"
)

// operations does each of a bucket's operations once, on an object with this name.
func operations(ctx context.Context, bucket storage.Bucket, name string) map[string]error {
	_, getErr := bucket.Get(ctx, name, 0, -1)
	_, nothingErr := bucket.Get(ctx, name, 0, 0)
	_, statErr := bucket.Stat(ctx, name)
	_, foldersErr := storage.Folders(ctx, bucket, "")
	return map[string]error{
		"get": getErr, "get nothing": nothingErr, "stat": statErr, "folders": foldersErr,
		"put":    bucket.Put(ctx, name, []byte("data")),
		"list":   bucket.List(ctx, "", func(storage.Info) error { return nil }),
		"delete": bucket.Delete(ctx, name),
	}
}

// wantRefused checks that every operation fails with the sentinel, in one line that contains all of says.
func wantRefused(t *testing.T, bucket *Bucket, want error, says ...string) {
	t.Helper()
	bucket.wait = func(context.Context, time.Duration) error { return nil }
	for verb, err := range operations(t.Context(), bucket, "folder/object") {
		if !errors.Is(err, want) {
			t.Errorf("%s: %v; want %v", verb, err, want)
			continue
		}
		text := err.Error()
		for _, part := range append(says, bucket.config.Bucket) {
			if !strings.Contains(text, part) {
				t.Errorf("%s: %q does not say %q", verb, text, part)
			}
		}
		if strings.Contains(text, "\n") || strings.Contains(text, rootSecret) || strings.Contains(text, "%!") {
			t.Errorf("%s: %q is not one clean line", verb, text)
		}
	}
}

// testRefusals makes each mistake that does not need a second user.
func testRefusals(t *testing.T, s *server) {
	bucket := s.newBucket(t)
	good := bucket.config
	with := func(change func(*Config)) Config {
		changed := good
		change(&changed)
		return changed
	}
	for name, test := range map[string]struct {
		config Config
		getenv func(string) string
		want   error
		says   []string
	}{
		"no such bucket": {
			with(func(c *Config) { c.Bucket = "absent" }), asRoot, storage.ErrNoBucket,
			[]string{"no such bucket", s.endpoint + " has no bucket absent", "create it"},
		},
		"unknown access key": {
			good, environment("AKIDUNKNOWN", rootSecret, ""), storage.ErrCredentials,
			[]string{"does not know access key AKIDUNKNOWN (from environment variables", "correct the access key"},
		},
		"wrong secret key": {
			good, environment(rootAccess, "wrong", ""), storage.ErrCredentials,
			[]string{"the secret key does not belong to access key " + rootAccess, "correct the secret key"},
		},
		"no credentials": {
			good, environment("", "", ""), storage.ErrCredentials,
			[]string{"found none", "set AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE (not set)", "EC2 metadata service (disabled)"},
		},
		"half of the credentials": {
			good, environment(rootAccess, "", ""), storage.ErrCredentials, []string{"the secret key is missing"},
		},
		"no such profile": {
			with(func(c *Config) { c.Profile = "absent" }), asRoot, storage.ErrCredentials, []string{"profile absent in"},
		},
		"wrong port": {
			with(func(c *Config) { c.Endpoint = "http://127.0.0.1:" + freePort(t) }), asRoot, storage.ErrUnreachable,
			[]string{"nothing listens at http://127.0.0.1:", "after 3 attempts", "check endpoint="},
		},
		"wrong host": {
			with(func(c *Config) { c.Endpoint = "http://no-such-host.invalid" }), asRoot, storage.ErrUnreachable,
			[]string{"no-such-host.invalid", "check endpoint="},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantRefused(t, s.open(t, test.config, test.getenv), test.want, test.says...)
		})
	}
}

func TestVersitygwRefusals(t *testing.T) {
	t.Parallel()
	s := startVersitygw(t)
	testRefusals(t, s)
	t.Run("https spoken to http", func(t *testing.T) {
		t.Parallel()
		config := s.config("test-1")
		config.Endpoint = strings.Replace(s.endpoint, "http:", "https:", 1)
		wantRefused(t, s.open(t, config, asRoot), storage.ErrUnreachable, "speaks plain HTTP", "write endpoint="+s.endpoint)
	})
	t.Run("wrong region", func(t *testing.T) {
		t.Parallel()
		config := s.newBucket(t).config
		config.Region = "nowhere-1"
		wantRefused(t, s.open(t, config, asRoot), storage.ErrUnreachable, "region="+versitygwRegion)
		config.Region = versitygwRegion
		if err := s.open(t, config, asRoot).Put(t.Context(), "object", nil); err != nil {
			t.Errorf("with the right region: %v", err)
		}
	})
	t.Run("no permission", func(t *testing.T) {
		t.Parallel()
		s.addUser(t, "AKIDNOBODY", "nobodys-secret")
		bucket := s.open(t, s.newBucket(t).config, environment("AKIDNOBODY", "nobodys-secret", ""))
		wantRefused(t, bucket, storage.ErrPermission, "access key AKIDNOBODY (from environment variables", "may not s3:", "allow it in")
		for verb, action := range map[string]string{
			"get": "s3:GetObject on " + bucket.config.Bucket + "/folder/object", "put": "s3:PutObject on " + bucket.config.Bucket + "/folder/object",
			"list": "s3:ListBucket on bucket " + bucket.config.Bucket, "delete": "s3:DeleteObject on " + bucket.config.Bucket + "/folder/object",
		} {
			if err := operations(t.Context(), bucket, "folder/object")[verb]; err == nil || !strings.Contains(err.Error(), action) {
				t.Errorf("%s: %v; want an error that says %q", verb, err, action)
			}
		}
	})
}

func TestMinIORefusals(t *testing.T) {
	t.Parallel()
	s := startMinIO(t)
	testRefusals(t, s)
	t.Run("unknown session token", func(t *testing.T) {
		t.Parallel()
		wantRefused(t, s.open(t, s.config("test-1"), environment(rootAccess, rootSecret, "made-up")), storage.ErrCredentials,
			"the session token does not belong to access key "+rootAccess)
	})
}

func TestSecureMinIORefusals(t *testing.T) {
	t.Parallel()
	s := startSecureMinIO(t)
	config := s.newBucket(t).config
	t.Run("unknown authority", func(t *testing.T) {
		t.Parallel()
		distrusting := &server{domain: s.domain}
		wantRefused(t, distrusting.open(t, config, asRoot), storage.ErrUnreachable, "signed by an unknown authority", "ca=FILE or AWS_CA_BUNDLE")
	})
	t.Run("certificate for another name", func(t *testing.T) {
		t.Parallel()
		config := config
		config.Addressing = PathStyle
		config.Endpoint = strings.Replace(s.endpoint, "s3.test", "127.0.0.1", 1)
		wantRefused(t, s.open(t, config, asRoot), storage.ErrUnreachable, "is for another name")
	})
	t.Run("http spoken to https", func(t *testing.T) {
		t.Parallel()
		config := config
		config.Endpoint = strings.Replace(s.endpoint, "https:", "http:", 1)
		wantRefused(t, s.open(t, config, asRoot), storage.ErrUnreachable, "speaks HTTPS", "write endpoint="+s.endpoint)
	})
	t.Run("session of a role", func(t *testing.T) {
		t.Parallel()
		testSession(t, s, config)
	})
}

// testSession uses temporary credentials, with a session token, that may read and list but not write.
func testSession(t *testing.T, s *server, config Config) {
	const policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:ListBucket"],` +
		`"Resource":["arn:aws:s3:::*"]}]}`
	root := s.open(t, config, asRoot)
	if err := root.Put(t.Context(), "object", []byte("data")); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: s.transport(t)}
	role := &credentials.STSAssumeRole{Client: client, STSEndpoint: s.endpoint, Options: credentials.STSAssumeRoleOptions{
		AccessKey: rootAccess, SecretKey: rootSecret, Policy: policy,
	}}
	value, err := role.RetrieveWithCredContext(&credentials.CredContext{Client: client, Context: t.Context()})
	if err != nil {
		t.Fatalf("assume a role: %v", err)
	}
	bucket := s.open(t, config, environment(value.AccessKeyID, value.SecretAccessKey, value.SessionToken))
	if info, err := bucket.Stat(t.Context(), "object"); err != nil || info.Size != 4 {
		t.Errorf("Stat with a session token: %+v, %v", info, err)
	}
	for verb, err := range map[string]error{
		"s3:PutObject on test-1/object":    bucket.Put(t.Context(), "object", nil),
		"s3:DeleteObject on test-1/object": bucket.Delete(t.Context(), "object"),
	} {
		if !errors.Is(err, storage.ErrPermission) || !strings.Contains(err.Error(), "access key "+value.AccessKeyID) ||
			!strings.Contains(err.Error(), verb) {
			t.Errorf("%s with a role that may not: %v", verb, err)
		}
	}
}

func TestCAFileErrors(t *testing.T) {
	t.Parallel()
	garbage := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(garbage, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, says := range map[string]string{garbage: "holds no certificate", garbage + ".absent": "no such file"} {
		if _, err := Open(Config{Bucket: "bucket", CAFile: file}, asRoot); err == nil || !strings.Contains(err.Error(), says) ||
			!strings.Contains(err.Error(), file) {
			t.Errorf("Open with CA file %s: %v; want an error that says %q", file, err, says)
		}
	}
}
