package s3

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/stsbackup/stsbackup/storage"
)

func b64(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

// counted counts how often somebody asks it.
type counted struct {
	credentials.Provider
	count *atomic.Int32
}

func (c counted) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	c.count.Add(1)
	return c.Provider.RetrieveWithCredContext(cc)
}

const (
	tokenOfIdentity = "token-of-an-identity"
	tokenOfPod      = "token-of-a-pod"
)

// newAuthority starts a server for everything that hands out credentials to roles: STS, a container's agent, and EC2's
// metadata.
func newAuthority(t *testing.T) string {
	t.Helper()
	expires := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	role := func(w http.ResponseWriter, key string) {
		fmt.Fprintf(
			w,
			`{"Code":"Success","AccessKeyId":%q,"SecretAccessKey":"secret-of-role","Token":"token-of-role","Expiration":%q}`,
			key,
			expires,
		)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost && r.FormValue("WebIdentityToken") == tokenOfIdentity && r.FormValue("RoleArn") == "arn:role":
			fmt.Fprintf(
				w,
				`<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials>`+
					`<AccessKeyId>AKIDIDENTITY</AccessKeyId><SecretAccessKey>secret-of-role</SecretAccessKey><SessionToken>token-of-role</SessionToken>`+
					`<Expiration>%s</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
				expires,
			)
		case r.Method == http.MethodPost:
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(
				w,
				`<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Code>AccessDenied</Code><Message>Not authorized to `+
					`perform sts:AssumeRoleWithWebIdentity</Message></Error></ErrorResponse>`,
			)
		case r.URL.Path == "/container" && r.Header.Get("Authorization") == tokenOfPod:
			role(w, "AKIDCONTAINER")
		case r.URL.Path == "/latest/api/token":
			fmt.Fprint(w, "session")
		case r.URL.Path == "/latest/meta-data/iam/security-credentials/":
			fmt.Fprint(w, "role")
		case r.URL.Path == "/latest/meta-data/iam/security-credentials/role" && r.Header.Get("X-aws-ec2-metadata-token") == "session":
			role(w, "AKIDINSTANCE")
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// The library reads these variables itself, so the test sets them for the process.
func TestCredentialChain(t *testing.T) {
	authority, dir := newAuthority(t), t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	shared := write("credentials", "[default]\naws_access_key_id = AKIDDEFAULT\naws_secret_access_key = s\n"+
		"[other]\naws_access_key_id = AKIDOTHER\naws_secret_access_key = s\naws_session_token = t\n[half]\naws_access_key_id = AKIDHALF\n")
	damaged := write("damaged", "[default]\naws_secret_access_key s3cr3t\n")
	none := filepath.Join(dir, "none")
	identity, otherIdentity := write("identity", tokenOfIdentity), write("other-identity", "forged")
	keys := map[string]string{"AWS_ACCESS_KEY_ID": "AKIDENV", "AWS_SECRET_ACCESS_KEY": "s"}
	web := map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": identity, "AWS_ROLE_ARN": "arn:role", "AWS_ENDPOINT_URL_STS": authority}
	file := map[string]string{"AWS_SHARED_CREDENTIALS_FILE": shared}
	container := map[string]string{
		"AWS_CONTAINER_CREDENTIALS_FULL_URI": authority + "/container",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN":  tokenOfPod,
	}
	instance := map[string]string{"AWS_EC2_METADATA_DISABLED": "", "AWS_EC2_METADATA_SERVICE_ENDPOINT": authority}
	for name, test := range map[string]struct {
		profile   string
		variables []map[string]string
		want      string // the access key, or
		says      string // a part of the error
	}{
		"environment":        {variables: []map[string]string{keys, web, file, container, instance}, want: "AKIDENV"},
		"web identity":       {variables: []map[string]string{web, file, container, instance}, want: "AKIDIDENTITY"},
		"shared file":        {variables: []map[string]string{file, container, instance}, want: "AKIDDEFAULT"},
		"container":          {variables: []map[string]string{container, instance}, want: "AKIDCONTAINER"},
		"instance":           {variables: []map[string]string{instance}, want: "AKIDINSTANCE"},
		"profile of the URL": {profile: "other", variables: []map[string]string{keys, web, file}, want: "AKIDOTHER"},
		"AWS_PROFILE":        {variables: []map[string]string{file, {"AWS_PROFILE": "other"}}, want: "AKIDOTHER"},
		"no profile of that name": {
			profile: "absent", variables: []map[string]string{keys, file},
			says: "profile absent in " + shared + " and " + none + ": there is no such profile",
		},
		"half a profile": {profile: "half", variables: []map[string]string{file}, says: "partial static credentials"},
		"a file that is damaged": {
			profile: "default", variables: []map[string]string{{"AWS_SHARED_CREDENTIALS_FILE": damaged}}, says: "cannot be read",
		},
		"role that is refused": {
			variables: []map[string]string{web, file, {"AWS_WEB_IDENTITY_TOKEN_FILE": otherIdentity}},
			says:      "web identity in AWS_WEB_IDENTITY_TOKEN_FILE: AccessDenied: Not authorized",
		},
		"token file that is missing": {
			variables: []map[string]string{web, file, {"AWS_WEB_IDENTITY_TOKEN_FILE": none}}, says: none + ": no such file",
		},
		"STS that does not answer": {
			variables: []map[string]string{web, file, {"AWS_ENDPOINT_URL_STS": "http://127.0.0.1:" + freePort(t)}}, says: "web identity in " +
				"AWS_WEB_IDENTITY_TOKEN_FILE: no answer",
		},
		"nothing": {says: "found none; set AWS_ACCESS_KEY_ID"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
			t.Setenv("AWS_CONFIG_FILE", none)
			for _, variables := range test.variables {
				for name, value := range variables {
					t.Setenv(name, value)
				}
			}
			got, err := ResolveCredentials(t.Context(), Config{Bucket: "bucket", Profile: test.profile}, os.Getenv)
			if test.want != "" {
				if err != nil || got.AccessKey() != test.want || got.SecretKey() == "" {
					t.Errorf("got %v, %v; want %s", got, err, test.want)
				}
				if role := strings.Contains("AKIDIDENTITY AKIDCONTAINER AKIDINSTANCE", test.want); role &&
					(got.SessionToken() != "token-of-role" || got.Expires().IsZero()) {
					t.Errorf("credentials of a role have token %q and expire %v", got.SessionToken(), got.Expires())
				}
				return
			}
			if !errors.Is(err, storage.ErrCredentials) || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("got %v, %v; want an error that says %q", got, err, test.says)
			}
		})
	}
}

// A metadata service that accepts the connection and says nothing must not hold anybody up for long.
func TestSilentMetadataService(t *testing.T) {
	done := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-done }))
	t.Cleanup(silent.Close)
	t.Cleanup(func() { close(done) })
	t.Setenv("AWS_EC2_METADATA_DISABLED", "")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", silent.URL)
	began := time.Now()
	_, err := ResolveCredentials(t.Context(), Config{Bucket: "bucket"}, os.Getenv)
	if !errors.Is(err, storage.ErrCredentials) || !strings.Contains(err.Error(), "EC2 metadata service (no answer)") {
		t.Errorf("ResolveCredentials: %v", err)
	}
	if took := time.Since(began); took > 2*metadataTimeout {
		t.Errorf("it took %v, want at most about %v", took, metadataTimeout)
	}
}

func TestCredentialsGoThroughASharedFile(t *testing.T) {
	for _, want := range []Credentials{
		{accessKey: "AKID", secretKey: "abc/def+ghi=", sessionToken: "FwoG/+=="},
		{accessKey: "AKID", secretKey: `odd#one;with"many'marks`},
		{accessKey: "AKID", secretKey: "percent%d and space "},
	} {
		path := filepath.Join(t.TempDir(), "credentials")
		if err := os.WriteFile(path, want.SharedFile(), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("AWS_SHARED_CREDENTIALS_FILE", path)
		got, err := ResolveCredentials(t.Context(), Config{Bucket: "bucket"}, os.Getenv)
		if err != nil || got != want {
			t.Errorf(
				"through a file: %q %q %q, %v; want %q %q %q",
				got.accessKey,
				got.secretKey,
				got.sessionToken,
				err,
				want.accessKey,
				want.secretKey,
				want.sessionToken,
			)
		}
	}
}

func TestCredentialsDoNotShow(t *testing.T) {
	t.Parallel()
	secret := Credentials{accessKey: "AKID", secretKey: "s3cr3t", sessionToken: "t0k3n"}
	encoded, err := json.Marshal(map[string]any{"credentials": secret})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		fmt.Sprint(secret), fmt.Sprintf("%v %+v %#v %s %q %x %d", secret, secret, secret, secret, secret, secret, secret),
		fmt.Sprintf("%v %+v", &secret, []Credentials{secret}), string(encoded),
	} {
		if strings.Contains(text, "s3cr3t") || strings.Contains(text, "t0k3n") || strings.Contains(text, fmt.Sprintf("%x", "s3cr3t")) {
			t.Errorf("a secret shows in %q", text)
		}
	}
}
