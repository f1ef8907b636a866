//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/stsbackup/stsbackup/test/harness"
)

// keys open a bucket.
type keys struct{ access, secret string }

func newKeys(access string) keys { return keys{access, rand.Text()} }

// keyChange is a change in progress of the root password and of the keys of the bucket.
type keyChange struct {
	in       installation
	bucket   ownBucket
	old, new keys
}

// changeKeys lets a new password and new keys open everything beside the old ones, and puts them into the Secret.
func (in installation) changeKeys(bucket ownBucket, old keys, statefulSets ...string) keyChange {
	in.t.Helper()
	c := keyChange{in: in, bucket: bucket, old: old, new: newKeys("second")}
	bucket.setUsers(map[string]string{old.access: old.secret, c.new.access: c.new.secret})
	password := rand.Text()
	secrets.Guard("the new root password of "+in.dir, password)
	in.writeFile(in.dir, "new.password", password)
	in.writeFile(
		in.dir,
		"credentials",
		fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", c.new.access, c.new.secret),
	)
	c.commandLine(func(environ []string) {
		for _, name := range statefulSets {
			namespace, statefulSet, _ := strings.Cut(name, "/")
			secrets.Guard("the new repository password of "+name, harness.RepositoryPassword(password, namespace, statefulSet))
			in.runWith(environ, 0, []string{"added key"}, "key", "add", name, "--new-password-file", c.file("new.password"))
		}
	})
	for _, names := range [][2]string{{"password", "old.password"}, {"new.password", "password"}} {
		if err := os.Rename(c.file(names[0]), c.file(names[1])); err != nil {
			in.t.Fatal(err)
		}
	}
	manifest := in.inOwn(
		"create",
		"secret",
		"generic",
		"stsbackup",
		"--from-file="+c.file("password"),
		"--from-file="+c.file("credentials"),
		"--dry-run=client",
		"--output=yaml",
	)
	if _, err := in.KubectlInput(in.ctx, manifest, "replace", "--filename=-"); err != nil {
		in.t.Fatal(err)
	}
	return c
}

// file is the path of a file beside the installation's.
func (c keyChange) file(name string) string { return filepath.Join(c.in.dir, name) }

// commandLine lets the command line use the bucket.
func (c keyChange) commandLine(do func(environ []string)) {
	c.in.t.Helper()
	ctx, stop := context.WithCancel(c.in.ctx)
	defer stop()
	endpoint, err := c.bucket.forward(ctx)
	if err != nil {
		c.in.t.Fatal(err)
	}
	do(c.in.environ(endpoint, c.bucket.endpoint))
}

// finish waits until the schedulers have the new ones, makes the old ones useless, and shows that.
func (c keyChange) finish(statefulSets ...string) {
	c.in.t.Helper()
	for pod := range strings.FieldsSeq(c.in.inOwn("get", "pods", "--selector=app.kubernetes.io/component=scheduler", "--output",
		"jsonpath={.items[*].metadata.uid}")) {
		mounted := fmt.Sprintf("/proc/%d/root/etc/stsbackup/secret", c.in.process(pod, "/stsbackup"))
		c.in.until("the kubelet has given pod "+pod+" the new Secret", func() (bool, string) {
			same := true
			for _, name := range []string{"password", "credentials"} {
				want, err1 := os.ReadFile(c.file(name))
				got, err2 := os.ReadFile(filepath.Join(mounted, name))
				same = same && err1 == nil && err2 == nil && string(want) == string(got)
			}
			return same, mounted
		})
	}
	c.commandLine(func(environ []string) {
		for _, name := range statefulSets {
			var all []struct {
				ID    string `json:"id"`
				InUse bool   `json:"inUse"`
			}
			listed := c.in.runWith(environ, 0, nil, "key", "list", name, "-o", "json")
			if err := json.Unmarshal([]byte(listed.Stdout), &all); err != nil || len(all) != 2 || all[0].InUse == all[1].InUse {
				c.in.t.Fatalf("%v: two keys were expected, one of them in use:\n%s", err, listed)
			}
			for _, key := range all {
				if !key.InUse {
					c.in.runWith(environ, 0, []string{"removed key"}, "key", "remove", name, key.ID, "--retry-lock", "1m")
				}
			}
			c.in.runWith(append(environ, "STSBACKUP_PASSWORD_FILE="+c.file("old.password")), 1, []string{"wrong password"}, "list", name)
		}
		c.bucket.setUsers(map[string]string{c.new.access: c.new.secret})
		c.in.runWith(
			append(environ, c.old.environ()...),
			1,
			[]string{"credentials refused", "does not know access key " + c.old.access},
			"list",
			statefulSets[0],
		)
		c.in.runWith(append(environ, c.new.environ()...), 0, []string{"complete"}, "list", statefulSets[0])
	})
}

// environ makes the command line use the keys.
func (k keys) environ() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + k.access, "AWS_SECRET_ACCESS_KEY=" + k.secret}
}
