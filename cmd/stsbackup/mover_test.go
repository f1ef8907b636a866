package main

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/stsbackup/stsbackup/storage/repository"
)

func TestMoverConfig(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "very secret", "AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL_S3": "https://s3.example.com",
	}
	a := &app{getenv: func(name string) string { return env[name] }, version: "v1"}
	root := &store{url: "s3://bucket/root", secret: repository.Secret("root password")}
	web := target{namespace: "demo", statefulSet: "web"}

	flags := &moverFlags{requests: resourceAmounts{"cpu": resource.MustParse("2")}}
	config, err := flags.config(t.Context(), a, root, web)
	if err != nil {
		t.Fatal(err)
	}
	if requests, limits := amountsOf(config.Resources.Requests), amountsOf(config.Resources.Limits); requests != "cpu=2,memory=128Mi" || limits != "memory=1Gi" {
		t.Errorf("requests %s, limits %s", requests, limits)
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
	password := string(config.Files["password"])
	if len(strings.TrimSpace(password)) != 64 || strings.Contains(password, "root password") {
		t.Errorf("a mover gets the password %q, want that of this one repository", password)
	}
	if !strings.Contains(string(config.Files["credentials"]), "very secret") || strings.Contains(config.Repo, "secret") {
		t.Errorf("credentials %q, URL %s", config.Files["credentials"], config.Repo)
	}

	env["STSBACKUP_IMAGE"], env["STSBACKUP_MOVER_REPO"], env["AWS_CA_BUNDLE"] = "registry/stsbackup:v2", "s3://inside/root?endpoint=https://s3.svc", ca
	config, err = (&moverFlags{}).config(t.Context(), a, root, web)
	if err != nil {
		t.Fatal(err)
	}
	if want := "s3://inside/root?endpoint=https%3A%2F%2Fs3.svc&region=eu-west-1"; config.Repo != want {
		t.Errorf("repository %s, want %s", config.Repo, want)
	}
	if config.Image != "registry/stsbackup:v2" || config.Env["AWS_CA_BUNDLE"] != "/etc/stsbackup/ca.crt" || string(config.Files["ca.crt"]) != string(certificate) {
		t.Errorf("image %s, environment %v, certificates %q", config.Image, config.Env, config.Files["ca.crt"])
	}
}
