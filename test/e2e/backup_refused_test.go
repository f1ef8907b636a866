//go:build e2e

package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/s3"
)

// mongodb is what many tutorials show: a database without any claim.
const mongodb = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: mongodb}
spec:
  serviceName: mongodb
  replicas: 1
  selector: {matchLabels: {app: mongodb}}
  template:
    metadata: {labels: {app: mongodb}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: mongodb, image: "busybox:1.35", command: [sleep, "1000000"]}]
`

func TestBackupRefusals(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "refuse")
	web := workload{name: "web", replicas: 1}
	s.apply(
		web.manifest()+"\n---\n"+mongodb+"\n---\n"+workload{name: "raw", replicas: 1, claim: "volumeMode: Block"}.manifest(),
		"web",
		"mongodb",
		"raw",
	)
	backup := func(code int, says []string, args ...string) {
		t.Helper()
		s.run(code, says, append([]string{"backup"}, args...)...)
	}
	backup(4, []string{"StatefulSet " + s.Namespace + "/wbe", "not found", "did you mean " + s.Namespace + "/web"}, s.Namespace+"/wbe")
	backup(4, []string{"not found"}, "no-such-namespace/nothing-like-it")
	backup(
		5,
		[]string{"StatefulSet " + s.Namespace + "/mongodb", "no volumeClaimTemplates", "container", "dies with the pod"},
		s.Namespace+"/mongodb",
	)
	backup(5, []string{"data-raw-0", "raw block device"}, s.Namespace+"/raw")
	backup(5, []string{"no VolumeSnapshotClass called nope", "reflink"}, s.Namespace+"/web", "--snapshot-class", "nope")
	backup(2, []string{"--method"}, s.Namespace+"/web", "--method", "magic")
	s.runWith(
		[]string{"STSBACKUP_MOVER_REPO="},
		2,
		[]string{"file:///", "--mover-repo"},
		"backup",
		s.Namespace+"/web",
		"--repo",
		"file:///tmp/nowhere",
	)
	s.kubectl("scale", "statefulset", "web", "--replicas=0")
	backup(5, []string{"0 replicas", "kubectl -n " + s.Namespace + " scale statefulset web", "data-web-0"}, s.Namespace+"/web")
	s.nothingBehind()
	s.run(0, []string{"no recovery points"}, "list", "-n", s.Namespace)
}

func TestBackupIntoAWrongRepository(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "repository")
	s.apply(workload{name: "web", replicas: 1}.manifest(), "web")
	name := s.Namespace + "/web"

	missing := strings.Replace(s.Repo(s.Endpoint), "s3://"+s.Bucket, "s3://no-such-bucket", 1)
	s.run(1, []string{"no such bucket", "no-such-bucket"}, "backup", name, "--repo", missing, "--mover-repo", missing)
	s.nothingBehind()
	s.runWith([]string{"AWS_SECRET_ACCESS_KEY=wrong"}, 1, []string{"credentials refused"}, "backup", name)
	s.nothingBehind()

	s.run(0, nil, "backup", name)
	wrong := s.Dir + "/wrong"
	if err := os.WriteFile(wrong, []byte("not the password\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(1, []string{"wrong password"}, "backup", name, "--password-file", wrong)
	s.run(1, []string{"wrong password"}, "list", name, "--password-file", wrong)
	s.nothingBehind()

	// Another cluster has written here meanwhile.
	s.recordOfAnotherCluster("web")
	s.run(5, []string{name, "another cluster", "--adopt-cluster"}, "backup", name)
	s.nothingBehind()
	s.run(0, []string{"complete"}, "backup", name, "--adopt-cluster")
	s.run(0, []string{"complete"}, "backup", name)
	s.nothingBehind()
}

// recordOfAnotherCluster commits an empty recovery point, as another cluster would.
func (s *scenario) recordOfAnotherCluster(statefulSet string) {
	s.t.Helper()
	root, secret := s.repository(statefulSet)
	points, err := catalog.Open(s.ctx, root, s.Namespace, statefulSet, secret)
	if err != nil {
		s.t.Fatal(err)
	}
	now := time.Now().UTC()
	id, err := catalog.NewID(now, strings.NewReader("\x00\x00\x00\x00"))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := points.Commit(s.ctx, catalog.Record{
		ID: id, State: catalog.StateComplete, Cluster: "another", Namespace: s.Namespace, StatefulSet: statefulSet,
		Started: now, Finished: now, Replicas: 1, Tool: "test",
	}, nil); err != nil {
		s.t.Fatal(err)
	}
}

// repository is the root that contains the scenario's repositories, as this process reaches it, and the password of one
// of them.
func (s *scenario) repository(statefulSet string) (root storage.Bucket, secret repository.Secret) {
	s.t.Helper()
	config, err := s3.ParseURL(s.Repo(s.Endpoint))
	if err != nil {
		s.t.Fatal(err)
	}
	keys := map[string]string{"AWS_ACCESS_KEY_ID": s.AccessKey, "AWS_SECRET_ACCESS_KEY": s.SecretKey}
	bucket, err := s3.Open(config, func(name string) string { return keys[name] })
	if err != nil {
		s.t.Fatal(err)
	}
	root, err = storage.Sub(bucket, config.Prefix)
	if err != nil {
		s.t.Fatal(err)
	}
	password, err := os.ReadFile(s.PasswordFile)
	if err != nil {
		s.t.Fatal(err)
	}
	return root, catalog.Password(repository.Secret(strings.TrimSpace(string(password))), s.Namespace, statefulSet)
}

func TestBackupTellsWhyAMoverDoesNotStart(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "mover")
	s.apply(workload{name: "web", replicas: 1}.manifest(), "web")
	name := s.Namespace + "/web"
	s.run(1, []string{"ErrImage", "no.such.registry.invalid/stsbackup", "--image"},
		"backup", name, "--image", "no.such.registry.invalid/stsbackup:1", "--mover-start-timeout", "30s")
	s.nothingBehind()
	if err := s.Apply(s.ctx, "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: full}\nspec: {hard: {pods: 1}}\n"); err != nil {
		t.Fatal(err)
	}
	s.run(5, []string{"waiting (for up to 15s)", "exceeded quota: full", "raise that quota"}, "backup", name, "--mover-start-timeout", "15s")
	s.run(5, []string{"exceeded quota: full"}, "backup", name, "--dry-run")
	s.kubectl("delete", "resourcequota", "full")
	s.nothingBehind()
	s.run(
		1,
		[]string{"no space in the array", "data-web-0"},
		"backup",
		name,
		"--snapshot-class",
		"reflink-broken",
		"--snapshot-timeout",
		"10s",
	)
	s.nothingBehind()
	s.run(0, []string{"no recovery points"}, "list", name)
}
