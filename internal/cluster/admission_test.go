package cluster

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"
)

func answeredWith(code int, reason metav1.StatusReason, message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message}}
}

// TestDenialOf: denialOf reads every answer of an API server as an admission, a denial of some kind with a next step, or no answer.
func TestDenialOf(t *testing.T) {
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "data-web-0"}}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "demo"}}
	pods := schema.GroupResource{Resource: "pods"}
	tests := map[string]struct {
		object runtime.Object
		err    error
		kind   DenialKind // empty: admitted
		cause  string
		next   string
	}{
		"created":       {claim, nil, "", "", ""},
		"exists":        {claim, apierrors.NewAlreadyExists(pods, "x"), "", "", ""},
		"being deleted": {claim, answeredWith(409, metav1.StatusReasonAlreadyExists, "object is being deleted: x already exists"), "", "", ""},
		"LimitRange, claim": {
			claim,
			apierrors.NewForbidden(
				schema.GroupResource{Resource: "persistentvolumeclaims"},
				"data-web-0",
				errors.New("minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 64Mi"),
			),
			DeniedByAdmission,
			"minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 64Mi",
			"kubectl -n demo describe limitrange)",
		},
		"LimitRange, pod": {
			pod,
			apierrors.NewForbidden(pods, "x", errors.New("maximum memory usage per Container is 64Mi, but limit is 1Gi")),
			DeniedByAdmission,
			"maximum memory usage per Container is 64Mi, but limit is 1Gi",
			"describe limitrange), or what movers ask for (--mover-requests",
		},
		"Pod Security": {
			pod,
			apierrors.NewForbidden(pods, "x", errors.New(`violates PodSecurity "restricted:latest": runAsNonRoot != true`)),
			DeniedByAdmission,
			`violates PodSecurity "restricted:latest": runAsNonRoot != true`,
			"kubectl label namespace demo pod-security.kubernetes.io/enforce=baseline --overwrite",
		},
		"a quota": {pod, apierrors.NewForbidden(pods, "x", errors.New("exceeded quota: full, requested: pods=1, used: pods=1, limited: pods=1")),
			DeniedByQuota, "exceeded quota: full, requested: pods=1, used: pods=1, limited: pods=1", "raise that quota"},
		"a quota that wants limits": {
			pod,
			apierrors.NewForbidden(pods, "x", errors.New("failed quota: full: must specify limits.cpu for: mover")),
			DeniedByAdmission,
			"failed quota: full: must specify limits.cpu for: mover",
			"--mover-limits (such as cpu=1)",
		},
		"no right": {
			pod,
			answeredWith(
				403,
				metav1.StatusReasonForbidden,
				`pods is forbidden: User "u" cannot create resource "pods" in API group "" in the namespace "demo"`,
			),
			DeniedByRights,
			`User "u" cannot create resource "pods" in API group "" in the namespace "demo"`,
			"docs/rbac.md",
		},
		"not valid": {
			claim,
			answeredWith(422, metav1.StatusReasonInvalid, `PersistentVolumeClaim "data-web-0" is invalid: spec.resources[storage]: Required value`),
			DeniedByAdmission,
			"spec.resources[storage]: Required value",
			"change what stands in the way",
		},
		"a policy": {
			pod,
			answeredWith(
				422,
				metav1.StatusReasonInvalid,
				`pods "x" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no`,
			),
			DeniedByAdmission,
			"ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
			"app.kubernetes.io/managed-by=stsbackup",
		},
		"a webhook, with a code of its own": {pod, answeredWith(418, "Teapot", `admission webhook "w" denied the request: no`),
			DeniedByAdmission, `admission webhook "w" denied the request: no`, "exempt objects with the label"},
		"a webhook that is down": {
			pod,
			answeredWith(500, metav1.StatusReasonInternalError, `Internal error occurred: failed calling webhook "w": connection refused`),
			DeniedByAdmission,
			`Internal error occurred: failed calling webhook "w": connection refused`,
			"bring back",
		},
		"a webhook without dry run": {pod, answeredWith(400, metav1.StatusReasonBadRequest, `admission webhook "w" does not support dry run`),
			DeniedDryRun, `admission webhook "w" does not support dry run`, ""},
		"an account that is not there": {
			pod,
			apierrors.NewForbidden(pods, "x", errors.New(`error looking up service account demo/nobody: serviceaccount "nobody" not found`)),
			DeniedByAdmission,
			`error looking up service account demo/nobody: serviceaccount "nobody" not found`,
			"--mover-service-account",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			denial, err := denialOf(Candidate{"it", tt.object}, tt.err)
			if err != nil {
				t.Fatal(err)
			}
			if denial == nil {
				if tt.kind != "" {
					t.Fatal("it is admitted")
				}
				return
			}
			if denial.Kind != tt.kind || denial.Cause() != tt.cause || denial.Message != tt.err.Error() ||
				!strings.Contains(denial.Next(), tt.next) {
				t.Errorf("denied by %s, cause %q, next %q", denial.Kind, denial.Cause(), denial.Next())
			}
		})
	}
	for _, trouble := range []error{
		errors.New("connection refused"), apierrors.NewTooManyRequests("later", 1), apierrors.NewServiceUnavailable("away"),
		apierrors.NewInternalError(errors.New("etcd is away")), answeredWith(http.StatusNotFound, metav1.StatusReasonNotFound,
			`namespaces "demo" not found`),
	} {
		if denial, err := denialOf(Candidate{"claim demo/it", claim}, trouble); denial != nil || !errors.Is(err, trouble) ||
			!strings.Contains(err.Error(), "claim demo/it") {
			t.Errorf("%v: denial %v, error %v", trouble, denial, err)
		}
	}
}

// TestAdmits: Admits creates nothing and asks about all objects; of a kind that one may not create, it asks only about the first.
func TestAdmits(t *testing.T) {
	c, kube, _ := fakeCluster()
	config := MoverConfig{Image: "stsbackup:test"}
	var asked []string
	kube.PrependReactor("create", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		create := action.(clienttesting.CreateActionImpl)
		if !slices.Equal(create.CreateOptions.DryRun, []string{metav1.DryRunAll}) {
			t.Errorf("%s are created, and not as a dry run: %v", action.GetResource().Resource, create.CreateOptions.DryRun)
		}
		asked = append(asked, action.GetResource().Resource)
		if action.GetResource().Resource == "pods" {
			return true, nil, answeredWith(403, metav1.StatusReasonForbidden, `pods is forbidden: User "u" cannot create resource "pods"`)
		}
		return true, create.Object, nil
	})
	m := testMover()
	claim := Candidate{"claim", &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "x"}}}
	candidates := append([]Candidate{claim, DryRunAccount(m.Operation)}, append(DryRunMover(config, m), DryRunMover(config, m)...)...)
	denials, err := c.Admits(t.Context(), candidates...)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{
		"persistentvolumeclaims",
		"serviceaccounts",
		"jobs",
		"pods",
		"secrets",
		"jobs",
		"secrets",
	}; !slices.Equal(asked, want) {
		t.Errorf("asked for %v, want %v", asked, want)
	}
	if len(denials) != 1 || denials[0].Kind != DeniedByRights || denials[0].What != "the mover's pod for claim demo/"+m.Claim {
		t.Errorf("denials: %+v", denials)
	}
	if _, err := c.Admits(t.Context(), Candidate{"it", &corev1.Node{}}); err == nil {
		t.Error("an object of another kind counts as admitted")
	}
}

// TestDryRunMover: the pod is the one that the Job controller would make for the Job, and nothing secret goes into a dry run.
func TestDryRunMover(t *testing.T) {
	m := testMover()
	asked := false
	config := MoverConfig{Image: "stsbackup:test", Files: func(context.Context) (KeyFiles, error) {
		asked = true
		return KeyFiles{Content: map[string][]byte{"password": []byte("a secret")}}, nil
	}}
	var job *batchv1.Job
	var pod *corev1.Pod
	var secret *corev1.Secret
	for _, candidate := range DryRunMover(config, m) {
		switch o := candidate.Object.(type) {
		case *batchv1.Job:
			job = o
		case *corev1.Pod:
			pod = o
		case *corev1.Secret:
			secret = o
		}
	}
	if asked || len(secret.Data) != 1 || secret.OwnerReferences[0].UID == "" {
		t.Errorf("secrets were asked for: %v; the Secret holds %q, for %+v", asked, secret.Data, secret.OwnerReferences)
	}
	owner := metav1.GetControllerOf(pod)
	if owner == nil || owner.Kind != "Job" || owner.Name != job.Name || owner.UID == "" || pod.GenerateName != job.Name+"-" {
		t.Errorf("the pod is not the Job's: %+v", pod.ObjectMeta)
	}
	if pod.Labels[batchv1.JobNameLabel] != job.Name || pod.Labels[LabelMover] != m.Name {
		t.Errorf("labels %v", pod.Labels)
	}
	if pod.Spec.ServiceAccountName != "default" || pod.Spec.Containers[0].Image != config.Image {
		t.Errorf("the pod runs %q with account %q", pod.Spec.Containers[0].Image, pod.Spec.ServiceAccountName)
	}
}
