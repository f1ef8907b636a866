package deploy

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/stsbackup/stsbackup/scheduler/clock"
)

// read decodes a manifest and rejects unknown fields.
func read[T any](t *testing.T, path ...string) T {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	var object T
	if err := yaml.UnmarshalStrict(text, &object); err != nil {
		t.Fatalf("%s: %v", filepath.Join(path...), err)
	}
	return object
}

// templates returns the pod templates of all manifests, by file.
func templates(t *testing.T) map[string]corev1.PodTemplateSpec {
	t.Helper()
	found := map[string]corev1.PodTemplateSpec{
		"overlays/scheduler/deployment.yaml": read[appsv1.Deployment](t, "overlays", "scheduler", "deployment.yaml").Spec.Template,
	}
	for _, file := range []string{"backup.yaml", "prune.yaml"} {
		found["cronjob/"+file] = read[batchv1.CronJob](t, "cronjob", file).Spec.JobTemplate.Spec.Template
	}
	return found
}

// TestAllPodsAreKnown finds manifests with pods that the tests here do not look at.
func TestAllPodsAreKnown(t *testing.T) {
	known := templates(t)
	err := filepath.WalkDir(".", func(path string, _ os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if _, ok := known[path]; !ok && bytes.Contains(text, []byte("containers:")) {
			t.Errorf("%s has pods that no test looks at", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// problems says what is wrong with a pod, which must have the strictest security and state its requests and limits.
func problems(spec corev1.PodSpec) []string {
	var found []string
	check := func(ok bool, problem string) {
		if !ok {
			found = append(found, problem)
		}
	}
	pod := spec.SecurityContext
	check(pod != nil && pod.RunAsNonRoot != nil && *pod.RunAsNonRoot && pod.RunAsUser != nil && *pod.RunAsUser > 0, "may run as root")
	check(
		pod != nil && pod.SeccompProfile != nil && pod.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault,
		"has no seccomp profile",
	)
	check(!spec.HostNetwork && !spec.HostPID && !spec.HostIPC, "shares namespaces of the node")
	check(spec.TerminationGracePeriodSeconds != nil, "does not say how long it may take to end")
	temporary := ""
	for _, volume := range spec.Volumes {
		check(volume.HostPath == nil, "mounts the node's disk")
		if volume.EmptyDir == nil {
			continue
		}
		temporary = volume.Name
		check(volume.EmptyDir.Medium == "" && volume.EmptyDir.SizeLimit != nil, volume.Name+": takes as much of the node as it likes")
	}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		own := c.SecurityContext
		check(c.Image == "stsbackup", c.Name+": image is not set by the overlay's one setting")
		check(own != nil && own.AllowPrivilegeEscalation != nil && !*own.AllowPrivilegeEscalation, c.Name+": may get more privileges")
		check(own != nil && own.ReadOnlyRootFilesystem != nil && *own.ReadOnlyRootFilesystem, c.Name+": can write to its root file system")
		check(
			own != nil && own.Capabilities != nil && slices.Equal(own.Capabilities.Drop, []corev1.Capability{"ALL"}) && own.Capabilities.Add == nil,
			c.Name+": has capabilities",
		)
		for _, resource := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			check(
				!c.Resources.Requests.Name(resource, "").IsZero() && !c.Resources.Limits.Name(resource, "").IsZero(),
				c.Name+": does not say how much "+string(resource)+" it takes",
			)
		}
		for _, env := range c.Env {
			check(env.ValueFrom == nil || env.ValueFrom.SecretKeyRef == nil, c.Name+": has a secret in its environment, where it is never renewed")
		}
		check(len(c.EnvFrom) == 0, c.Name+": takes its environment from elsewhere")
		room := false
		for _, mount := range c.VolumeMounts {
			ours := temporary != "" && mount.Name == temporary && mount.MountPath == "/tmp" && !mount.ReadOnly
			check(mount.ReadOnly || ours, c.Name+": can write to "+mount.MountPath)
			room = room || ours
		}
		// Without this volume a large index stays in memory, and exceeds the limit.
		check(room, c.Name+": has no room for temporary files")
	}
	return found
}

func TestPodsAreRestricted(t *testing.T) {
	for file, template := range templates(t) {
		for _, problem := range problems(template.Spec) {
			t.Errorf("%s: %s", file, problem)
		}
	}
}

// TestProblemsAreFound shows that problems can fail a pod.
func TestProblemsAreFound(t *testing.T) {
	bare := corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "x", Env: []corev1.EnvVar{
		{ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{}}},
	}, VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}}}, HostPID: true, Volumes: []corev1.Volume{
		{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	}}
	found := strings.Join(problems(bare), "\n")
	for _, part := range []string{
		"root", "seccomp", "namespaces of the node", "to end", "image", "more privileges", "root file system", "capabilities", "how much cpu",
		"how much memory", "environment", "/data", "as it likes", "temporary files",
	} {
		if !strings.Contains(found, part) {
			t.Errorf("a bare pod is not told that it %s:\n%s", part, found)
		}
	}
}

// TestSchedulerEndsWithinItsGrace: if the kubelet kills the pod before its scheduler gives up, a backup stays half
// done.
func TestSchedulerEndsWithinItsGrace(t *testing.T) {
	spec := templates(t)["overlays/scheduler/deployment.yaml"].Spec
	args := strings.Join(spec.Containers[0].Args, " ")
	match := regexp.MustCompile(`--shutdown-grace=(\S+)`).FindStringSubmatch(args)
	if match == nil {
		t.Fatalf("no --shutdown-grace in %s", args)
	}
	grace, err := time.ParseDuration(match[1])
	if err != nil {
		t.Fatal(err)
	}
	// The scheduler needs a minute to cancel what still runs, and to remove its movers.
	if whole := time.Duration(*spec.TerminationGracePeriodSeconds) * time.Second; whole < grace+time.Minute {
		t.Errorf("the pod is killed after %s, but the scheduler takes %s and a minute", whole, grace)
	}
	container := spec.Containers[0]
	if container.LivenessProbe.HTTPGet.Path != "/healthz" || container.StartupProbe.HTTPGet.Path != "/healthz" ||
		container.ReadinessProbe.HTTPGet.Path != "/readyz" {
		t.Error("probes do not ask for /healthz and /readyz")
	}
}

// TestSelectorsSelect: a label that is spelled in two ways protects nothing.
func TestSelectorsSelect(t *testing.T) {
	pods := templates(t)
	deployment := read[appsv1.Deployment](t, "overlays", "scheduler", "deployment.yaml")
	budget := read[policyv1.PodDisruptionBudget](t, "overlays", "scheduler", "poddisruptionbudget.yaml")
	service := read[corev1.Service](t, "overlays", "scheduler", "service.yaml")
	own := read[networkingv1.NetworkPolicy](t, "overlays", "scheduler", "networkpolicy.yaml")
	jobs := read[networkingv1.NetworkPolicy](t, "cronjob", "networkpolicy.yaml")
	for name, tt := range map[string]struct {
		selector metav1.LabelSelector
		pods     string
	}{
		"Deployment":                   {*deployment.Spec.Selector, "overlays/scheduler/deployment.yaml"},
		"PodDisruptionBudget":          {*budget.Spec.Selector, "overlays/scheduler/deployment.yaml"},
		"Service":                      {metav1.LabelSelector{MatchLabels: service.Spec.Selector}, "overlays/scheduler/deployment.yaml"},
		"NetworkPolicy":                {own.Spec.PodSelector, "overlays/scheduler/deployment.yaml"},
		"NetworkPolicy of the backup":  {jobs.Spec.PodSelector, "cronjob/backup.yaml"},
		"NetworkPolicy of the pruning": {jobs.Spec.PodSelector, "cronjob/prune.yaml"},
	} {
		for file, template := range pods {
			selector, err := metav1.LabelSelectorAsSelector(&tt.selector)
			if err != nil || selector.Empty() {
				t.Fatalf("%s: selector %v: %v", name, selector, err)
			}
			matches := selector.Matches(labelsOf(template))
			sameKind := strings.HasPrefix(file, "cronjob") && strings.HasPrefix(tt.pods, "cronjob")
			if matches != (file == tt.pods || sameKind) {
				t.Errorf("%s selects the pods of %s: %t", name, file, matches)
			}
		}
	}
	if *deployment.Spec.Replicas != 2 {
		t.Errorf("%d replicas: one leads, one stands by", *deployment.Spec.Replicas)
	}
}

// TestCronJobForgetsOnlyWhatItBacksUp: it must not judge what others keep below the same root.
func TestCronJobForgetsOnlyWhatItBacksUp(t *testing.T) {
	spec := templates(t)["cronjob/backup.yaml"].Spec
	chosen := func(container corev1.Container) []string {
		return slices.DeleteFunc(slices.Clone(container.Args[1:]), func(arg string) bool { return strings.HasPrefix(arg, "--keep-") })
	}
	backup, forget := chosen(spec.InitContainers[0]), chosen(spec.Containers[0])
	if len(backup) != 2 || !slices.Equal(backup, forget) {
		t.Errorf("it backs up %q and forgets %q", backup, forget)
	}
}

// TestCronJobsEnd: with Forbid, a run that never ends would be the last one.
func TestCronJobsEnd(t *testing.T) {
	for _, file := range []string{"backup.yaml", "prune.yaml"} {
		job := read[batchv1.CronJob](t, "cronjob", file).Spec
		schedule, err := clock.ParseSchedule(job.Schedule, "UTC")
		if err != nil {
			t.Fatal(err)
		}
		first := schedule.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
		limit := job.JobTemplate.Spec.ActiveDeadlineSeconds
		if limit == nil {
			t.Errorf("%s: a run has no limit", file)
			continue
		}
		grace := *job.JobTemplate.Spec.Template.Spec.TerminationGracePeriodSeconds
		if last := first.Add(time.Duration(*limit+grace) * time.Second); !last.Before(schedule.Next(first)) || *limit < 12*3600 {
			t.Errorf("%s: a run of %s may last until %s, and the next is at %s", file, first, last, schedule.Next(first))
		}
	}
}
