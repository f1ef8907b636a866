package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/scheduler/policy"
	"github.com/stsbackup/stsbackup/scheduler/retention"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRotationOfThePassword changes the root password while the same operations keep running.
func TestRotationOfThePassword(t *testing.T) {
	s := newKeeper(t)
	current, next := filepath.Join(t.TempDir(), "password"), filepath.Join(t.TempDir(), "next")
	writeFile(t, current, "secret\n")
	writeFile(t, next, "another secret\n")
	s.env["STSBACKUP_PASSWORD"], s.env["STSBACKUP_PASSWORD_FILE"] = "", current
	o, log := s.operations(s.cluster())
	web := scheduler.Name{Namespace: "demo", StatefulSet: "web"}
	works := func(when string, keep int) {
		t.Helper()
		points, err := o.Points(t.Context(), web)
		if err != nil || len(points) == 0 {
			t.Errorf("%s: %v, %v", when, points, err)
		}
		if _, err := o.Forget(t.Context(), web, retention.Rules{Last: keep}, time.UTC); err != nil {
			t.Errorf("%s: forget: %v", when, err)
		}
		if err := o.Prune(t.Context(), web); err != nil {
			t.Errorf("%s: prune: %v", when, err)
		}
	}
	works("at first", 4)
	var keys []repository.KeyInfo
	decode(t, s.run(0, "key", "list", "demo/web", "-o", "json"), &keys)
	s.run(0, "key", "add", "demo/web", "--new-password-file", next)
	works("with both keys", 3)
	writeFile(t, current, "another secret\n")
	works("with the new password", 2)
	s.run(0, "key", "remove", "demo/web", keys[0].ID.String())
	works("without the old key", 1)
	writeFile(t, current, "secret\n")
	if _, err := o.Points(t.Context(), web); err == nil || !strings.Contains(err.Error(), "wrong password") {
		t.Errorf("with the old password: %v", err)
	}
	if text := log.String(); strings.Contains(text, "secret") {
		t.Errorf("the log shows a password:\n%s", text)
	}
}

// TestRotationOfTheKeys changes the S3 keys while the same operations keep running: they must use the new keys in their
// own requests, and hand them to movers.
func TestRotationOfTheKeys(t *testing.T) {
	var mu sync.Mutex
	var used []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := regexp.MustCompile(`Credential=([^/]+)/`).FindStringSubmatch(r.Header.Get("Authorization"))
		mu.Lock()
		if len(key) > 1 && !slices.Contains(used, key[1]) {
			used = append(used, key[1])
		}
		mu.Unlock()
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>none</Message></Error>`)
	}))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "credentials")
	put := func(key string) { // as a kubelet does it: a new file replaces the old one
		t.Helper()
		writeFile(t, file+".new", fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = very-secret-%s\n", key, key))
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_CONFIG_FILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	s := volumeShell(t)
	s.env["AWS_SHARED_CREDENTIALS_FILE"] = file
	s.env["STSBACKUP_REPO"] = "s3://bucket/root?endpoint=" + server.URL + "&region=r"
	put("FIRST")
	o, log := s.operations(s.cluster())
	web := scheduler.Name{Namespace: "demo", StatefulSet: "web"}
	for i, key := range []string{"FIRST", "SECOND"} {
		put(key)
		if points, err := o.Points(t.Context(), web); err != nil || len(points) != 0 {
			t.Errorf("%s: %v, %v", key, points, err)
		}
		mu.Lock()
		if len(used) != i+1 || used[i] != key {
			t.Errorf("keys in use: %q", used)
		}
		mu.Unlock()
		root, err := o.Root()
		if err != nil {
			t.Fatal(err)
		}
		config, err := o.Mover(t.Context(), root, catalog.Name(web), policy.Backup{})
		if err != nil {
			t.Fatal(err)
		}
		files, err := config.Files(t.Context())
		if err != nil || !strings.Contains(string(files.Content["credentials"]), "very-secret-"+key) {
			t.Errorf("a mover gets %s, %v", files.Content["credentials"], err)
		}
	}
	if text := log.String(); strings.Contains(text, "very-secret") {
		t.Errorf("the log shows a secret:\n%s", text)
	}
}
