//go:build e2e

package e2e

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestRoleKeysRenewed backs up a volume for longer than the keys last that MinIO gives for a token. A kubelet takes up
// to a minute and a half to show a pod what is in its Secret; keys that last for only a little longer would come late,
// too.
func TestRoleKeysRenewed(t *testing.T) {
	t.Parallel()
	k := newRoleKeys(t, 150*time.Second)
	k.backUp(15, 64) // for four minutes
}

// roleKeys is a bucket for which nobody has lasting keys, and a StatefulSet.
type roleKeys struct {
	*scenario
	lasts   time.Duration
	environ []string
}

func newRoleKeys(t *testing.T, lasts time.Duration) roleKeys {
	t.Helper()
	s := newScenarioWithin(t, "role-keys", 8*lasts)
	s.apply(workload{name: "web", replicas: 1}.manifest(), "web")
	issuer := s.newIssuer()
	bucket := s.serveMinIO(issuer.url)
	endpoint, err := bucket.forward(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return roleKeys{scenario: s, lasts: lasts, environ: []string{
		"AWS_ACCESS_KEY_ID=",
		"AWS_SECRET_ACCESS_KEY=",
		"AWS_WEB_IDENTITY_TOKEN_FILE=" + issuer.tokens(lasts),
		"AWS_ROLE_ARN=" + minioRole(),
		"AWS_ENDPOINT_URL_STS=" + endpoint,
		"STSBACKUP_REPO=" + strings.Replace(bucket.repo(), bucket.endpoint, endpoint, 1),
		"STSBACKUP_MOVER_REPO=" + bucket.repo(),
	}}
}

// backUp saves this many incompressible MiB at this many KiB/s.
func (k roleKeys) backUp(size, rate int) {
	k.t.Helper()
	k.exec("web-0", fmt.Sprintf("head -c %d /dev/urandom > /data/more; sync", size<<20))
	k.outlasted("backup", k.Namespace+"/web", "--method", "live", "--limit-upload", fmt.Sprint(rate))
	k.runWith(k.environ, 0, []string{"complete", "1/1"}, "list", k.Namespace+"/web")
	k.runWith(k.environ, 0, nil, "verify", k.Namespace+"/web", "--read-data")
	k.nothingLeft()
}

// outlasted runs a command that must succeed, and that takes longer than its mover's first keys last.
func (k roleKeys) outlasted(args ...string) {
	k.t.Helper()
	watching, stop := context.WithCancel(k.ctx)
	seen := make(chan map[string]bool)
	go func() { seen <- k.moverKeys(watching) }()
	begun := time.Now()
	result, err := k.Run(k.ctx, k.environ, args...)
	took := time.Since(begun)
	stop()
	given := <-seen
	if err != nil || result.Code != 0 {
		k.t.Fatalf("%v\n%s", err, result)
	}
	if took < k.lasts+k.lasts/3 {
		k.t.Errorf("%s took %s, not much longer than keys last", args[0], took)
	}
	if len(given) < 2 {
		k.t.Errorf("the mover was given %d sets of keys in %s", len(given), took)
	}
	k.t.Logf("%s took %s with %d sets of keys that last for %s", args[0], took.Round(time.Second), len(given), k.lasts)
}

// moverKeys looks into the Secrets of movers until ctx ends, and collects the keys in them.
func (k roleKeys) moverKeys(ctx context.Context) (given map[string]bool) {
	given = map[string]bool{}
	ticker := time.NewTicker(2 * time.Second)
	defer ticker.Stop()
	for {
		out, err := k.Kubectl(
			ctx,
			"get",
			"secrets",
			"--selector",
			"app.kubernetes.io/managed-by=stsbackup",
			"--output",
			"jsonpath={.items[*].data.credentials}",
		)
		if err == nil {
			for encoded := range strings.FieldsSeq(out) {
				if !given[encoded] {
					given[encoded] = true
					k.guard(encoded)
				}
			}
		}
		select {
		case <-ctx.Done():
			return given
		case <-ticker.C:
		}
	}
}

// guard makes the leak test look for the secret key and the token wherever they do not belong.
func (k roleKeys) guard(encoded string) {
	file, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		k.t.Errorf("the credentials in a mover's Secret: %v", err)
	}
	for line := range strings.Lines(string(file)) {
		name, value, found := strings.Cut(strings.TrimSpace(line), " = ")
		if found && name != "aws_access_key_id" {
			secrets.Guard(fmt.Sprintf("%s (%.8s) of a mover in %s", name, encoded[len(encoded)-16:], k.Namespace), strings.Trim(value, "`"))
		}
	}
}
