//go:build e2e

package e2e

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// issuer signs tokens that an S3 server trusts, and that last as long as a test wants: the keys that MinIO gives for a
// token last no longer than the token.
type issuer struct {
	*scenario
	url string
	key *rsa.PrivateKey
}

// newIssuer makes a pod serve what MinIO needs to trust the tokens.
func (s *scenario) newIssuer() issuer {
	s.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		s.t.Fatal(err)
	}
	url := "http://issuer." + s.Namespace + ".svc.cluster.local"
	configuration := fmt.Sprintf(`{"issuer":%q,"jwks_uri":"%s/keys","authorization_endpoint":"%s/none","token_endpoint":"%s/none",`+
		`"response_types_supported":["id_token"],"subject_types_supported":["public"],"id_token_signing_alg_values_supported":["RS256"]}`,
		url, url, url, url)
	keys := fmt.Sprintf(`{"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":"one","n":%q,"e":%q}]}`,
		unpadded(key.N.Bytes()), unpadded(big.NewInt(int64(key.E)).Bytes()))
	s.apply(fmt.Sprintf(`
apiVersion: v1
kind: ConfigMap
metadata: {name: issuer}
data: {configuration: %q, keys: %q}
---
apiVersion: v1
kind: Service
metadata: {name: issuer}
spec: {selector: {app: issuer}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: issuer, labels: {app: issuer}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox:1.35
    command: [httpd, -f, -p, "8080", -h, /site]
    readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
    volumeMounts: [{name: site, mountPath: /site, readOnly: true}]
  volumes:
  - name: site
    configMap: {name: issuer, items: [{key: configuration, path: .well-known/openid-configuration}, {key: keys, path: keys}]}
`, configuration, keys))
	s.kubectl("wait", "--for=condition=Ready", "pod/issuer", "--timeout=180s")
	return issuer{scenario: s, url: url, key: key}
}

func unpadded(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// token returns a token that is valid for this time from now on.
func (i issuer) token(lasts time.Duration) (string, error) {
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": i.url, "sub": i.Namespace, "aud": audience, "iat": now.Unix(), "exp": now.Add(lasts).Unix(),
	})
	if err != nil {
		return "", err
	}
	signed := unpadded([]byte(`{"alg":"RS256","typ":"JWT","kid":"one"}`)) + "." + unpadded(claims)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return signed + "." + unpadded(signature), nil
}

// tokens keeps a file with a token that is valid for this time, until the end of the scenario: like a kubelet, it
// replaces the token when a fifth of that is over.
func (i issuer) tokens(lasts time.Duration) (file string) {
	i.t.Helper()
	file = filepath.Join(i.t.TempDir(), "token")
	write := func() error {
		token, err := i.token(lasts)
		if err != nil {
			return err
		}
		secrets.Guard("a token of "+i.Namespace, token)
		if err := os.WriteFile(file+".new", []byte(token), 0o600); err != nil {
			return err
		}
		return os.Rename(file+".new", file)
	}
	if err := write(); err != nil {
		i.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(i.ctx)
	var writing sync.WaitGroup
	writing.Go(func() {
		ticker := time.NewTicker(lasts / 5)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if err := write(); err != nil {
					i.t.Errorf("write a new token: %v", err)
				}
			}
		}
	})
	i.t.Cleanup(func() {
		stop()
		writing.Wait()
	})
	return file
}
