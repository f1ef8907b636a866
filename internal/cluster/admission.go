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

// Candidate is an object that is to be created later.
type Candidate struct {
	// What it is, in messages: "claim demo/data-web-0".
	What string
	// Object is a claim, a VolumeSnapshot, a Job, a pod, a Secret or a ServiceAccount.
	Object runtime.Object
}

// DenialKind says why an object would not be created.
type DenialKind string

// The kinds of denials.
const (
	DeniedByAdmission DenialKind = "admission" // by a limit, a policy, a webhook, or because it is not valid
	DeniedByQuota     DenialKind = "quota"     // a ResourceQuota has no room for it as things are now
	DeniedByRights    DenialKind = "rights"    // whoever asks may create no such objects
	DeniedDryRun      DenialKind = "dry run"   // nobody knows: a webhook takes no part in dry runs
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

// Admits asks the API server, as a dry run, whether it would create these objects. What exists under the same name is
// admitted: that is only found out after all others have been asked. The error says that there was no answer.
func (c *Client) Admits(ctx context.Context, candidates ...Candidate) ([]Denial, error) {
	var denials []Denial
	withoutRight := map[reflect.Type]bool{} // once is enough to be told
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

// denialOf reads the API server's answer to a dry run. Neither is an admission.
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

// Cause is what the server says apart from the object's name: the same for all objects that are denied for one reason.
func (d *Denial) Cause() string {
	for _, words := range []string{" is forbidden: ", " is invalid: "} {
		if _, cause, found := strings.Cut(d.Message, words); found {
			return cause
		}
	}
	return d.Message
}

// Like reports whether another denial is of an object of the same kind, for the same reason.
func (d *Denial) Like(other *Denial) bool {
	return reflect.TypeOf(d.Object) == reflect.TypeOf(other.Object) && d.Kind == other.Kind && d.Cause() == other.Cause()
}

// Passing reports whether the object may be created a little later, without that anybody changes what it is or what is allowed.
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

// DryRunMover gives what a mover is made of, for Admits: its Job, its pod, and its Secret, without anything secret in it.
func DryRunMover(cfg MoverConfig, m Mover) []Candidate {
	if cfg.ServiceAccount == "" {
		cfg.ServiceAccount = "default" // a pod's account must exist, and that of an operation does not yet
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

// DryRunAccount gives the account that is made for an operation's movers if they are to have none of their own.
func DryRunAccount(op Operation) Candidate {
	account := moverAccount(op)
	return Candidate{"ServiceAccount " + account.Namespace + "/" + account.Name, account}
}

// DryRunCut gives what is made of a claim to read it by a VolumeSnapshot, for Admits: that, and the temporary claim.
func DryRunCut(op Operation, ordinal int32, template string, source *corev1.PersistentVolumeClaim, class string) []Candidate {
	vs := volumeSnapshotOf(op, ordinal, template, source.Name, class)
	about := fmt.Sprintf(" of claim %s/%s", op.Namespace, source.Name)
	return []Candidate{
		{"the VolumeSnapshot" + about, vs},
		{"the temporary claim" + about, TemporaryClaim(op, ordinal, template, source, vs.Name, 0)},
	}
}

// podOfJob is the pod as the Job controller makes it: policies may ask who made a pod.
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
