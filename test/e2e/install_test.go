//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stsbackup/stsbackup/test/harness"
)

// byLabel keeps tests apart that back up what has the documentation's label: one of them does so in all namespaces.
var byLabel sync.Mutex

// installMost is how many commands docs/install.md promises for each way of installation.
const installMost = 5

// block is a code block in docs/install.md: its first line names its language, and then what it belongs to.
type block struct {
	language, file string
	ways           []string
	text           string
}

// installBlocks reads docs/install.md. A block has "sh WAY" or "LANGUAGE FILE [WAY]" behind its fence.
func installBlocks(t *testing.T) []block {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "install.md"))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []block
	for _, match := range regexp.MustCompile("(?ms)^```(\\w+) ([^\\n]+)\\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		b := block{language: match[1], ways: strings.Fields(match[2]), text: match[3]}
		if b.language != "sh" {
			b.file, b.ways = b.ways[0], b.ways[1:]
		}
		blocks = append(blocks, b)
	}
	if len(blocks) < 7 {
		t.Fatalf("docs/install.md has %d blocks of code that say what they are of", len(blocks))
	}
	return blocks
}

// installation is one way of docs/install.md, carried out.
type installation struct {
	*scenario
	// dir is the folder in which the commands were run; password and credentials are there.
	dir string
	// repo is the repository root's URL, as pods reach it.
	repo string
	// replace fills in what the documentation leaves to its reader.
	replace *strings.Replacer
}

// install does what docs/install.md says about one way, word for word except for the image, the bucket and its keys,
// and the namespace. Further replacements, which come before these, are for what the text tells the reader to choose.
func (s *scenario) install(way, repo string, replacements ...string) installation {
	s.t.Helper()
	name, tag, _ := strings.Cut(s.Image, ":")
	replacements = append(replacements,
		"REGISTRY/stsbackup", name, "newTag: v0", "newTag: "+tag,
		"s3://BUCKET/PREFIX?endpoint=https://S3-ENDPOINT&region=REGION", repo,
		"ACCESS-KEY", s.AccessKey, "SECRET-KEY", s.SecretKey, "NAMESPACE", s.Namespace)
	in := installation{scenario: s, dir: s.clone(), repo: repo, replace: strings.NewReplacer(replacements...)}
	for _, b := range installBlocks(s.t) {
		if b.file != "" && !strings.Contains(b.file, "web-identity") && (len(b.ways) == 0 || b.ways[0] == way) {
			s.writeFile(in.dir, b.file, in.replace.Replace(b.text))
		}
	}
	commands := in.commands(way)
	if len(commands) > installMost {
		s.t.Fatalf("%d commands, and there should be %d at most:\n%s", len(commands), installMost, strings.Join(commands, "\n"))
	}
	for _, command := range commands {
		in.shell(command)
		in.guard()
	}
	return in
}

// everyMinute changes the documentation's policy: it backs up everything in some namespaces each minute, and keeps two
// recovery points. It does not prune, because the hour of a prune may come in the middle of a test.
func everyMinute(namespaces ...string) (replacements []string) {
	return []string{
		`schedule: "0 1 * * *"`, `schedule: "* * * * *"`, "  jitter: 2h\n", "", "  prune: {schedule: \"0 5 * * sun\"}\n", "",
		"{last: 3, daily: 7, weekly: 5, monthly: 12}", "{last: 2}",
		"select: {statefulSetLabels: {stsbackup.io/backup: enabled}}", "select: {namespaces: [" + strings.Join(namespaces, ", ") + "]}",
	}
}

// lastInKustomization is the last line of each kustomization; tests can add more after it.
const lastInKustomization = "generatorOptions: {disableNameSuffixHash: true}\n"

// commands returns the commands of the block "sh NAME".
func (in installation) commands(name string) []string {
	in.t.Helper()
	for _, b := range installBlocks(in.t) {
		if b.file == "" && b.ways[0] == name {
			return strings.Split(strings.TrimSpace(in.replace.Replace(b.text)), "\n")
		}
	}
	in.t.Fatalf("docs/install.md has no commands %s", name)
	return nil
}

// shell runs commands where the documentation's reader does, and returns what they print.
func (in installation) shell(script string, environ ...string) string {
	in.t.Helper()
	path := filepath.Dir(in.Env.Kubectl) + ":" + filepath.Dir(in.Stsbackup) + ":" + os.Getenv("PATH")
	result, err := harness.Run(in.ctx, "", append([]string{"KUBECONFIG=" + in.Kubeconfig, "PATH=" + path}, environ...),
		"sh", "-e", "-c", "cd '"+in.dir+"'\n"+script)
	if err != nil || result.Code != 0 {
		in.t.Fatalf("docs/install.md does not work: %v\n%s", err, result)
	}
	return result.Stdout + result.Stderr
}

// works checks with the documentation's commands whether a way of installation works; want is what they must print.
func (in installation) works(way string, want ...string) {
	in.t.Helper()
	in.prints(in.shell(strings.Join(in.commands("works-"+way), "\n")), want...)
}

// worksByBucket does the same for the content of the bucket, without the cluster and with no keys except those of the
// installation.
func (in installation) worksByBucket(statefulSet, endpoint, podEndpoint string, want ...string) {
	in.t.Helper()
	script := strings.NewReplacer(podEndpoint, endpoint, "/NAME", "/"+statefulSet).Replace(strings.Join(in.commands("works-bucket"), "\n"))
	in.prints(in.shell(script, "KUBECONFIG="+os.DevNull, "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY="), want...)
}

func (in installation) prints(out string, want ...string) {
	in.t.Helper()
	for _, text := range want {
		if !strings.Contains(out, text) {
			in.t.Errorf("%q is not in what is printed:\n%s", text, out)
		}
	}
}

// guard makes the leak test look for the password from the moment that it exists.
func (in installation) guard() {
	in.t.Helper()
	text, err := os.ReadFile(filepath.Join(in.dir, "password"))
	if err != nil {
		in.t.Fatal(err)
	}
	password := strings.TrimSpace(string(text))
	secrets.Guard("the root password of "+in.dir, password)
	for _, name := range []string{"alpha", "beta", "web"} {
		secrets.Guard("the repository password of "+in.Namespace+"/"+name+" by "+in.dir, harness.RepositoryPassword(password, in.Namespace, name))
	}
}

// environ lets the command line use the same repositories, through the given S3 endpoint.
func (in installation) environ(endpoint, podEndpoint string) []string {
	return []string{
		"STSBACKUP_PASSWORD_FILE=" + filepath.Join(in.dir, "password"),
		"STSBACKUP_REPO=" + strings.Replace(in.repo, podEndpoint, endpoint, 1),
		"STSBACKUP_MOVER_REPO=" + in.repo,
	}
}

// repoOf is a repository root of the scenario's own, as pods reach it.
func (s *scenario) repoOf(way string) string {
	return fmt.Sprintf("s3://%s/%s-%s?endpoint=%s&region=us-east-1", s.Bucket, s.Prefix, way, s.PodEndpoint)
}

// enabled gives StatefulSets the label by which docs/install.md chooses them.
func (s *scenario) enabled(statefulSets ...string) {
	s.t.Helper()
	for _, name := range statefulSets {
		s.kubectl("label", "statefulset", name, "stsbackup.io/backup=enabled")
	}
}

// jobSucceeded waits for the end of a Job, and returns the logs of its containers.
func (s *scenario) jobSucceeded(namespace, job string) string {
	s.t.Helper()
	logs := func() string {
		out, err := s.KubectlInput(
			s.ctx,
			"",
			"--namespace",
			namespace,
			"logs",
			"--selector",
			"job-name="+job,
			"--all-containers",
			"--prefix",
			"--tail=-1",
		)
		if err != nil {
			return err.Error()
		}
		return out
	}
	s.until("Job "+namespace+"/"+job+" is done", func() (bool, string) {
		out, err := s.KubectlInput(
			s.ctx,
			"",
			"--namespace",
			namespace,
			"get",
			"job",
			job,
			"--output",
			"jsonpath={.status.succeeded}/{.status.failed}",
		)
		if err != nil {
			s.t.Fatal(err)
		}
		if strings.HasSuffix(out, "/1") {
			s.t.Fatalf("Job %s/%s has failed:\n%s", namespace, job, logs())
		}
		return strings.HasPrefix(out, "1/"), out
	})
	return logs()
}

// TestImageIsOneSetting: the documentation's one line sets the image of every container. Movers use the image of the
// pod that starts them, which TestNamespaced shows: no image has the name that they would run otherwise.
func TestImageIsOneSetting(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "image")
	for _, b := range installBlocks(t) {
		if b.file != "kustomization.yaml" {
			continue
		}
		dir := s.clone()
		s.writeFile(dir, "policies.yaml", "")
		s.writeFile(dir, b.file, strings.ReplaceAll(b.text, "NAMESPACE", s.Namespace))
		out, err := s.KubectlInput(s.ctx, "", "kustomize", dir)
		if err != nil {
			t.Fatal(err)
		}
		images := regexp.MustCompile(`(?m)^ *image: (.*)$`).FindAllStringSubmatch(out, -1)
		for _, image := range images {
			if image[1] != "REGISTRY/stsbackup:v0" {
				t.Errorf("overlay %s has an image %s", b.ways, image[1])
			}
		}
		if len(images) == 0 {
			t.Errorf("overlay %s has no images:\n%s", b.ways, out)
		}
	}
}

// TestWebIdentityOnEKS shows the API server what the documentation says about the annotation, which works only on EKS.
// TestWebIdentityWithoutKeys runs the other ways.
func TestWebIdentityOnEKS(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "identity")
	dir := s.clone()
	for _, b := range installBlocks(t) {
		if slices.Equal(b.ways, []string{"scheduler"}) && b.file == "policies.yaml" {
			s.writeFile(dir, b.file, b.text)
		}
		if slices.Equal(b.ways, []string{"scheduler"}) && b.file == "kustomization.yaml" {
			s.writeFile(dir, b.file, b.text+installBlock(t, "web-identity-on-eks"))
		}
	}
	out, err := s.KubectlInput(s.ctx, "", "apply", "--kustomize", dir, "--dry-run=server", "--output", "json")
	if err != nil {
		t.Fatal(err)
	}
	if want := `"eks.amazonaws.com/role-arn": "arn:aws:iam::ACCOUNT:role/ROLE"`; !strings.Contains(out, want) {
		t.Errorf("there is no %s in\n%s", want, out)
	}
}

// TestNamespaced installs the overlay for one namespace as the documentation says, and lets it back up.
func TestNamespaced(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "namespaced")
	web := workload{name: "web", replicas: 2}
	s.apply(web.manifest()+"---"+workload{name: "other", replicas: 1}.manifest(), "web", "other")
	byLabel.Lock()
	defer byLabel.Unlock()
	s.enabled("web")
	t.Cleanup(func() { s.removeClusterRights("stsbackup-namespaced-" + s.Namespace) })
	in := s.install(
		"namespaced",
		s.repoOf("namespaced"),
		"namespace: NAMESPACE\n",
		"namespace: "+s.Namespace+"\nnameSuffix: -"+s.Namespace+"\n",
		"cronjob/stsbackup ",
		"cronjob/stsbackup-"+s.Namespace+" ",
	)
	log := s.jobSucceeded(s.Namespace, "first-backup")
	if !strings.Contains(log, "backup") || !strings.Contains(log, "snapshot") {
		t.Errorf("the log of the Job:\n%s", log)
	}
	environ := in.environ(s.Endpoint, s.PodEndpoint)
	s.runWith(environ, 0, []string{"complete", "2/2"}, "list", s.Namespace+"/web")
	s.runWith(environ, 4, []string{"no backup here"}, "list", s.Namespace+"/other")
	s.kubectl("create", "job", "--from=cronjob/stsbackup-prune-"+s.Namespace, "first-prune")
	s.jobSucceeded(s.Namespace, "first-prune")
	s.nothingBehind()
	s.kubectl("label", "statefulset", "web", "stsbackup.io/backup-")
}
