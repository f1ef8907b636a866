package setup

import (
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/stsbackup/stsbackup/internal/mover/resources"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/location"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// web is the StatefulSet of these tests.
func web() catalog.Name { return catalog.Name{Namespace: "demo", StatefulSet: "web"} }

// TestConfig: movers get what they need to reach the bucket, and no secret in the open.
func TestConfig(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"AWS_ACCESS_KEY_ID":     "key",
		"AWS_SECRET_ACCESS_KEY": "very secret",
		"AWS_REGION":            "eu-west-1",
		"AWS_ENDPOINT_URL_S3":   "https://s3.example.com",
	}
	process := Process{Getenv: func(name string) string { return env[name] }, Version: "v1"}
	root := location.NewRoot("s3://bucket/root", nil, repository.Secret("root password"))

	options := &Options{Requests: resources.Amounts{"cpu": resource.MustParse("2")}}
	config, err := options.Config(t.Context(), process, root, web())
	if err != nil {
		t.Fatal(err)
	}
	required := corev1.ResourceRequirements{
		Requests: corev1.ResourceList{"cpu": resource.MustParse("2"), "memory": resource.MustParse("128Mi")},
		Limits:   corev1.ResourceList{"memory": resource.MustParse("1Gi")},
	}
	if diff := cmp.Diff(required, config.Resources); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
	// The endpoint and region come from an environment that the mover does not have.
	if want := "s3://bucket/root?endpoint=https%3A%2F%2Fs3.example.com&region=eu-west-1"; config.Repo != want {
		t.Errorf("repository %s, want %s", config.Repo, want)
	}
	if config.Image != "stsbackup:v1" {
		t.Errorf("image %s", config.Image)
	}
	if diff := cmp.Diff(map[string]string{"AWS_SHARED_CREDENTIALS_FILE": "/etc/stsbackup/credentials"}, config.Env); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	files, err := config.Files(t.Context())
	if err != nil || !files.Expires.IsZero() {
		t.Fatalf("files that expire at %s, %v; these keys do not", files.Expires, err)
	}
	password := string(files.Content["password"])
	if len(strings.TrimSpace(password)) != 64 || strings.Contains(password, "root password") {
		t.Errorf("a mover gets the password %q, want that of this one repository", password)
	}
	if !strings.Contains(string(files.Content["credentials"]), "very secret") || strings.Contains(config.Repo, "secret") {
		t.Errorf("credentials %q, URL %s", files.Content["credentials"], config.Repo)
	}

	env["STSBACKUP_IMAGE"], env["AWS_CA_BUNDLE"] = "registry/stsbackup:v2", ca
	env["STSBACKUP_MOVER_REPO"] = "s3://inside/root?endpoint=https://s3.svc"
	config, err = (&Options{}).Config(t.Context(), process, root, web())
	if err != nil {
		t.Fatal(err)
	}
	if want := "s3://inside/root?endpoint=https%3A%2F%2Fs3.svc&region=eu-west-1"; config.Repo != want {
		t.Errorf("repository %s, want %s", config.Repo, want)
	}
	if files, err = config.Files(t.Context()); err != nil {
		t.Fatal(err)
	}
	if config.Image != "registry/stsbackup:v2" || config.Env["AWS_CA_BUNDLE"] != "/etc/stsbackup/ca.crt" ||
		string(files.Content["ca.crt"]) != string(certificate) {
		t.Errorf("image %s, environment %v, certificates %q", config.Image, config.Env, files.Content["ca.crt"])
	}
}

// TestMoverGetsFreshKeys: each mover gets its own keys of a role, and its engine knows when they expire.
func TestMoverGetsFreshKeys(t *testing.T) {
	expires := time.Date(2026, 11, 28, 4, 0, 0, 0, time.UTC)
	asked := 0
	agent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":"AKID%d","SecretAccessKey":"very secret","Token":"token","Expiration":%q}`,
			asked, expires.Add(time.Duration(asked)*time.Hour).Format(time.RFC3339))
	}))
	t.Cleanup(agent.Close)
	for name, value := range map[string]string{ // the library reads these itself
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "", "AWS_CONFIG_FILE": "/absent",
		"AWS_SHARED_CREDENTIALS_FILE": "/absent",
		"AWS_WEB_IDENTITY_TOKEN_FILE": "", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": agent.URL,
	} {
		t.Setenv(name, value)
	}
	process := Process{Getenv: os.Getenv, Version: "v1"}
	root := location.NewRoot("s3://bucket/root?endpoint=https://s3.example.com&region=r", nil, repository.Secret("root password"))
	config, err := (&Options{}).Config(t.Context(), process, root, web())
	if err != nil {
		t.Fatal(err)
	}
	for mover := range 2 {
		files, err := config.Files(t.Context())
		key := fmt.Sprintf("AKID%d", asked)
		if err != nil || asked != mover+2 || !strings.Contains(string(files.Content["credentials"]), key) ||
			!files.Expires.Equal(expires.Add(time.Duration(asked)*time.Hour)) {
			t.Errorf("mover %d gets %q, which expire at %s, %v; want %s", mover, files.Content["credentials"], files.Expires, err, key)
		}
	}
}

// TestMoversGetTheLimits: movers get the limits in their environment, because they have none of ours.
func TestMoversGetTheLimits(t *testing.T) {
	env := map[string]string{location.EnvConnections: "5", location.EnvLimitDownload: "70"}
	process := Process{Getenv: func(name string) string { return env[name] }, Version: "v1"}
	root, err := location.Open(
		location.Config{URL: "s3://bucket/root", Limits: location.Limits{Download: "80"}, Getenv: process.Getenv},
		repository.Secret("root password"),
	)
	if err != nil {
		t.Fatal(err)
	}
	options := &Options{Repo: "file:///mnt"}
	config, err := options.Config(t.Context(), process, root, web())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{location.EnvConnections: "5", location.EnvLimitDownload: "80"}, config.Env); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

// TestRefusedOptions: the error for something impossible blames the person's options, before anything is done.
func TestRefusedOptions(t *testing.T) {
	t.Parallel()
	much, little := resources.Amounts{"memory": resource.MustParse("2Gi")}, resources.Amounts{"memory": resource.MustParse("1Gi")}
	for name, options := range map[string]Options{
		"give --mover-repo":     {},
		"more than their limit": {Repo: "file:///mnt", Requests: much, Limits: little},
	} {
		process := Process{Getenv: func(string) string { return "" }, Version: "v1"}
		_, err := options.Config(t.Context(), process, location.NewRoot("file:///mnt", nil, ""), web())
		var invalid *InvalidError
		if !errors.As(err, &invalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want one that says %q", err, name)
		}
	}
}
