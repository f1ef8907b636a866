package s3

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Config{
		"s3://bucket":                                   {Bucket: "bucket"},
		"s3://bucket/":                                  {Bucket: "bucket"},
		"s3://bucket/a/b/":                              {Bucket: "bucket", Prefix: "a/b"},
		"s3://my.bucket-1/team%20a/%23x":                {Bucket: "my.bucket-1", Prefix: "team a/#x"},
		"s3://bucket?endpoint=http://127.0.0.1:7070":    {Bucket: "bucket", Endpoint: "http://127.0.0.1:7070"},
		"s3://bucket?endpoint=https://s3.example.com/":  {Bucket: "bucket", Endpoint: "https://s3.example.com"},
		"s3://bucket?endpoint=https%3A%2F%2F[::1]:9000": {Bucket: "bucket", Endpoint: "https://[::1]:9000"},
		"s3://bucket?path-style=true":                   {Bucket: "bucket", Addressing: PathStyle},
		"s3://bucket?path-style=false":                  {Bucket: "bucket", Addressing: VirtualHostStyle},
		"s3://bucket/p?region=eu-west-1&profile=x&ca=/etc/ca": {
			Bucket: "bucket", Prefix: "p", Region: "eu-west-1", Profile: "x", CAFile: "/etc/ca",
		},
	} {
		got, err := ParseURL(text)
		if err != nil {
			t.Errorf("ParseURL(%q): %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ParseURL(%q) (-want +got):\n%s", text, diff)
		}
		again, err := ParseURL(got.URL())
		if diff := cmp.Diff(got, again); err != nil || diff != "" {
			t.Errorf("ParseURL(%q) of the URL that came back: %v (-want +got):\n%s", got.URL(), err, diff)
		}
	}
}

func TestParseURLErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                     "does not begin with s3://",
		"http://bucket":                        "does not begin with s3://",
		"s3:bucket":                            "does not begin with s3://",
		"s3://":                                "names no bucket",
		"s3:///prefix":                         "names no bucket",
		"s3://ab":                              `bucket "ab"`,
		"s3://under score":                     "is not a URL",
		"s3://bucket:9000/prefix":              "go into endpoint=",
		"s3://bucket/a//b":                     `prefix "a//b"`,
		"s3://bucket/../x":                     `prefix "../x"`,
		"s3://bucket/x#y":                      "after #",
		"s3://bucket?regoin=x":                 `unknown parameter "regoin"; there are ca, endpoint, path-style, profile, region`,
		"s3://bucket?region=a&region=b":        "region more than once",
		"s3://bucket?region=":                  "region without a value",
		"s3://bucket?path-style=maybe":         "path-style, which must be true or false",
		"s3://bucket?endpoint=s3.example.com":  "endpoint, which must be http://HOST:PORT",
		"s3://bucket?endpoint=ftp://x":         "endpoint, which must be http://HOST:PORT",
		"s3://bucket?endpoint=http://":         "endpoint, which must be http://HOST:PORT",
		"s3://bucket?endpoint=http://x/bucket": "must end after the host and port",
		"s3://bucket?a;b":                      "parameters that cannot be read",
	} {
		if _, err := ParseURL(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseURL(%q): %v; want an error that says %q", text, err, want)
		}
	}
}

func TestParseURLKeepsSecretsToItself(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t"
	for _, text := range []string{
		"s3://AKIA:" + secret + "@bucket/prefix",
		"s3://" + secret + "@bucket",
		"s3://AKIA:" + secret + "%zz@bucket",
		"s3://AKIA:" + secret + " @bucket",
		"s3://bucket?secret-key=" + secret,
		"s3://bucket?secret_access_key=" + secret,
		"s3://bucket?accessKey=" + secret,
		"s3://bucket?session-token=" + secret,
		"s3://bucket?endpoint=http://AKIA:" + secret + "@host",
	} {
		_, err := ParseURL(text)
		if err == nil || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "credentials") {
			t.Errorf("ParseURL(%q): %v; want a refusal that does not repeat the secret", text, err)
		}
	}
}

func TestWithEnvironment(t *testing.T) {
	t.Parallel()
	environment := map[string]string{
		"AWS_ENDPOINT_URL": "https://general", "AWS_ENDPOINT_URL_S3": "https://s3/", "AWS_DEFAULT_REGION": "eu-west-1", "AWS_CA_BUNDLE": "/ca",
	}
	getenv := func(name string) string { return environment[name] }
	got, err := Config{Bucket: "bucket"}.WithEnvironment(getenv)
	want := Config{Bucket: "bucket", Endpoint: "https://s3", Region: "eu-west-1", CAFile: "/ca"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("WithEnvironment: %v (-want +got):\n%s", err, diff)
	}
	set := Config{Bucket: "bucket", Endpoint: "http://here", Region: "mine", CAFile: "/own"}
	if got, err := set.WithEnvironment(getenv); err != nil || got != set {
		t.Errorf("WithEnvironment changed what was set: %+v, %v", got, err)
	}
	environment = map[string]string{"AWS_ENDPOINT_URL": "general"}
	if _, err := (Config{}).WithEnvironment(getenv); err == nil || !strings.Contains(err.Error(), "AWS_ENDPOINT_URL must be http") {
		t.Errorf("WithEnvironment with a bad endpoint: %v", err)
	}
}
