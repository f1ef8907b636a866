package cluster

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"strings"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v6/apis/volumesnapshot/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Candidate is an object that the caller will create later.
type Candidate struct {
	// What names the object in messages: "claim demo/data-web-0".
	What string
	// Object is a claim, a VolumeSnapshot, a Job, a pod, a Secret or a ServiceAccount.
	Object runtime.Object
}

// DenialKind says why the API server would not create an object.
type DenialKind string

// The kinds of denials.
const (
	DeniedByAdmission DenialKind = "admission" // a limit, a policy or a webhook forbids it, or it is not valid
	DeniedByQuota     DenialKind = "quota"     // a ResourceQuota has no room for it at present
	DeniedByRights    DenialKind = "rights"    // our account may not create such objects
	DeniedDryRun      DenialKind = "dry run"   // unknown: a webhook does not support dry runs
)

// Denial is the API server's answer to a Candidate that it would not create.
type Denial struct {
	Candidate
	Kind DenialKind
	// Message is the server's own.
	Message string
}

// dryRunUID stands for the UID of an owner that has not been created.
const dryRunUID = "dry-run"

// Admits asks the API server, as a dry run, whether it would create these objects. An object whose name is already taken counts
// as admitted: the server finds the conflict only after it has asked everyone else. The error means that there was no answer.
func (c *Client) Admits(ctx context.Context, candidates ...Candidate) ([]Denial, error) {
	var denials []Denial
	withoutRight := map[reflect.Type]bool{} // report each missing right once
	for _, candidate := range candidates {
		kind := reflect.TypeOf(candidate.Object)
		if withoutRight[kind] {
			continue
		}
		denial, err := denialOf(candidate, c.createDry(ctx, candidate.Object))
		if err != nil {
			return nil, err
		}
		if denial == nil {
			continue
		}
		withoutRight[kind] = denial.Kind == DeniedByRights
		denials = append(denials, *denial)
	}
	return denials, nil
}

func (c *Client) createDry(ctx context.Context, object runtime.Object) error {
	dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	var err error
	switch o := object.(type) {
	case *corev1.PersistentVolumeClaim:
		_, err = c.Kube.CoreV1().PersistentVolumeClaims(o.Namespace).Create(ctx, o, dry)
	case *batchv1.Job:
		_, err = c.Kube.BatchV1().Jobs(o.Namespace).Create(ctx, o, dry)
	case *corev1.Pod:
		_, err = c.Kube.CoreV1().Pods(o.Namespace).Create(ctx, o, dry)
	case *corev1.Secret:
		_, err = c.Kube.CoreV1().Secrets(o.Namespace).Create(ctx, o, dry)
	case *corev1.ServiceAccount:
		_, err = c.Kube.CoreV1().ServiceAccounts(o.Namespace).Create(ctx, o, dry)
	case *snapshotv1.VolumeSnapshot:
		_, err = c.Snapshots.SnapshotV1().VolumeSnapshots(o.Namespace).Create(ctx, o, dry)
	default:
		err = fmt.Errorf("no dry run is known for a %T", object)
	}
	return err
}

// denialOf reads the API server's answer to a dry run. It returns neither a denial nor an error for an object that is admitted.
func denialOf(candidate Candidate, err error) (*Denial, error) {
	if err == nil || apierrors.IsAlreadyExists(err) {
		return nil, nil
	}
	denial := &Denial{Candidate: candidate, Message: err.Error()}
	said := func(text string) bool { return strings.Contains(denial.Message, text) }
	switch {
	case said("does not support dry run"):
		denial.Kind = DeniedDryRun
	case apierrors.IsForbidden(err) && said("exceeded quota: "):
		denial.Kind = DeniedByQuota
	case apierrors.IsForbidden(err) && said("cannot create resource"):
		denial.Kind = DeniedByRights
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err),
		said("admission webhook ") && said("denied the request"), // with any code that it likes
		said("failed calling webhook"):
		denial.Kind = DeniedByAdmission
	default:
		return nil, fmt.Errorf("ask the API server, as a dry run, whether it would create %s: %w", candidate.What, err)
	}
	return denial, nil
}

// Cause is the server's message without the object's name: the same for all objects that are denied for the same reason.
func (d *Denial) Cause() string {
	for _, words := range []string{" is forbidden: ", " is invalid: "} {
		if _, cause, found := strings.Cut(d.Message, words); found {
			return cause
		}
	}
	return d.Message
}

// Like reports whether both denials are of objects of the same kind, for the same reason.
func (d *Denial) Like(other *Denial) bool {
	return reflect.TypeOf(d.Object) == reflect.TypeOf(other.Object) && d.Kind == other.Kind && d.Cause() == other.Cause()
}

// Passing reports whether the object may be admitted a little later, although nobody changes the object or the rules.
func (d *Denial) Passing() bool { return mayPass(d.Message) }

// Next says what a person can do about the denial.
func (d *Denial) Next() string {
	namespace := "NAMESPACE"
	if accessor, ok := d.Object.(metav1.Object); ok {
		namespace = accessor.GetNamespace()
	}
	_, isPod := d.Object.(*corev1.Pod)
	said := func(text string) bool { return strings.Contains(d.Message, text) }
	switch {
	case d.Kind == DeniedByRights:
		return "have an administrator grant that right (docs/rbac.md lists all rights and their reasons)"
	case d.Kind == DeniedByQuota:
		return "raise that quota, or free what is no longer needed in this namespace"
	case said("violates PodSecurity"):
		return fmt.Sprintf(
			"let the namespace admit movers (kubectl label namespace %s pod-security.kubernetes.io/enforce=baseline --overwrite), and put the "+
				"label back afterwards",
			namespace,
		)
	case said("failed quota: ") && isPod:
		return "say what movers may use, with --mover-requests and --mover-limits (such as cpu=1), or add a LimitRange with defaults"
	case said(" usage per "), said(" limit to request ratio per "):
		next := fmt.Sprintf("change the LimitRange that says so (kubectl -n %s describe limitrange)", namespace)
		if isPod {
			next += ", or what movers ask for (--mover-requests, --mover-limits)"
		}
		return next
	case said("service account"):
		return "create that ServiceAccount, or name another with --mover-service-account"
	case said("failed calling webhook"):
		return "bring back what serves that webhook"
	case said("admission webhook "), said("ValidatingAdmissionPolicy"):
		return "have that policy exempt objects with the label " + LabelManagedBy + "=" + ManagedBy
	default:
		return "change what stands in the way"
	}
}

// DryRunMover returns the objects of a mover, for Admits: its Job, its pod, and its Secret without any secret data.
func DryRunMover(cfg MoverConfig, m Mover) []Candidate {
	if cfg.ServiceAccount == "" {
		cfg.ServiceAccount = "default" // a pod's account must exist, and the operation's own does not exist yet
	}
	about := fmt.Sprintf(" for claim %s/%s", m.Operation.Namespace, m.Claim)
	job := moverJob(cfg, m)
	files := KeyFiles{Content: map[string][]byte{"dry-run": []byte("dry run")}}
	owner := job.DeepCopy()
	owner.UID = dryRunUID
	return []Candidate{
		{"the mover's Job" + about, job},
		{"the mover's pod" + about, podOfJob(owner)},
		{"the mover's Secret" + about, moverSecret(files, m, owner)},
	}
}

// DryRunAccount returns the ServiceAccount that the operation makes for its movers if they are given none.
func DryRunAccount(op Operation) Candidate {
	account := moverAccount(op)
	return Candidate{"ServiceAccount " + account.Namespace + "/" + account.Name, account}
}

// DryRunCut returns, for Admits, what an operation makes to read a claim by a VolumeSnapshot: the VolumeSnapshot and the temporary claim.
func DryRunCut(op Operation, ordinal int32, template string, source *corev1.PersistentVolumeClaim, class string) []Candidate {
	vs := volumeSnapshotOf(op, ordinal, template, source.Name, class)
	about := fmt.Sprintf(" of claim %s/%s", op.Namespace, source.Name)
	return []Candidate{
		{"the VolumeSnapshot" + about, vs},
		{"the temporary claim" + about, TemporaryClaim(op, ordinal, template, source, vs.Name, 0)},
	}
}

// podOfJob is the pod as the Job controller makes it: policies may check who made a pod.
func podOfJob(job *batchv1.Job) *corev1.Pod {
	template := job.Spec.Template.DeepCopy()
	labels := maps.Clone(template.Labels)
	labels[batchv1.JobNameLabel], labels["job-name"] = job.Name, job.Name
	labels[batchv1.ControllerUidLabel], labels["controller-uid"] = string(job.UID), string(job.UID)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: job.Namespace, GenerateName: job.Name + "-", Labels: labels, Annotations: template.Annotations,
			OwnerReferences: []metav1.OwnerReference{
				{APIVersion: "batch/v1", Kind: "Job", Name: job.Name, UID: job.UID, Controller: new(true)},
			},
		},
		Spec: template.Spec,
	}
}
